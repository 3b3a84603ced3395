//! What of the picture is shown, and how keys change that. Pure: no terminal, no clock.

use clap::ValueEnum as _;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::Order;
use crate::args::{Column, View};

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) view: View,
    pub(crate) order: Order,
    pub(crate) filter: String,
    /// The row that is looked at, among those shown.
    pub(crate) selected: usize,
    /// The filter is being typed.
    pub(crate) typing: bool,
    pub(crate) help: bool,
    /// The picture stands still.
    pub(crate) paused: bool,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Go,
    Quit,
}

impl State {
    pub(crate) fn new(view: View, by: Column, filter: String) -> Self {
        let order = Order { by, is_reversed: false };
        Self { view, order, filter, selected: 0, typing: false, help: false, paused: false }
    }

    /// A key was pressed, with `rows` names on the screen.
    pub(crate) fn key(&mut self, key: KeyEvent, rows: &[&str]) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Wish::Quit } else { Wish::Go };
        }
        if self.help {
            self.help = false;
        } else if self.typing {
            self.type_filter(key.code);
        } else if key.code == KeyCode::Char('q') {
            return Wish::Quit;
        } else {
            self.command(key.code, rows);
        }
        Wish::Go
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => (self.typing, self.filter) = (false, String::new()),
            KeyCode::Backspace => _ = self.filter.pop(),
            KeyCode::Char(c) if self.filter.chars().count() < MOST_FILTER => self.filter.push(c),
            _ => {}
        }
        self.selected = 0;
    }

    fn command(&mut self, code: KeyCode, rows: &[&str]) {
        let last = rows.len().saturating_sub(1);
        match code {
            KeyCode::Char('1') => self.show(View::Services),
            KeyCode::Char('2') => self.show(View::Methods),
            KeyCode::Char('3') => self.show(View::Hosts),
            KeyCode::Tab => self.show(next(self.view, 1)),
            KeyCode::BackTab => self.show(next(self.view, View::value_variants().len() - 1)),
            KeyCode::Right | KeyCode::Char('>') => self.order.by = next(self.order.by, 1),
            KeyCode::Left | KeyCode::Char('<') => {
                self.order.by = next(self.order.by, Column::value_variants().len() - 1);
            }
            KeyCode::Char('r') => self.order.is_reversed = !self.order.is_reversed,
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(PAGE),
            KeyCode::PageDown => self.selected = (self.selected + PAGE).min(last),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            KeyCode::Enter if self.view == View::Services => {
                if let Some(service) = rows.get(self.selected) {
                    let filter = format!("{service}.");
                    self.show(View::Methods);
                    self.filter = filter;
                }
            }
            _ => {}
        }
    }

    fn show(&mut self, view: View) {
        (self.view, self.selected) = (view, 0);
    }
}

/// The value that is `steps` after this one, around.
fn next<T: clap::ValueEnum + PartialEq + Clone>(now: T, steps: usize) -> T {
    let all = T::value_variants();
    let at = all.iter().position(|one| *one == now).unwrap_or_default();
    all[(at + steps) % all.len()].clone()
}

/// Rows that a page key goes.
const PAGE: usize = 10;

/// Characters of a filter: more fits on no line.
const MOST_FILTER: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(state: &mut State, codes: &[KeyCode]) -> Wish {
        let rows = ["calc", "text", "bad"];
        codes.iter().fold(Wish::Go, |_, code| state.key(KeyEvent::from(*code), &rows))
    }

    fn state() -> State {
        State::new(View::Services, Column::Calls, String::new())
    }

    #[test]
    fn keys_move_sort_and_switch_and_stop_at_the_ends() {
        let mut state = state();
        let down = KeyCode::Down;
        pressed(&mut state, &[down, down, down, down, KeyCode::Right, KeyCode::Char('r')]);
        let order = Order { by: Column::Errors, is_reversed: true };
        assert_eq!((state.selected, state.order), (2, order));
        pressed(&mut state, &[KeyCode::Left, KeyCode::Left, KeyCode::Tab]);
        assert_eq!((state.order.by, state.view, state.selected), (Column::Name, View::Methods, 0));
        pressed(&mut state, &[KeyCode::BackTab, KeyCode::BackTab, KeyCode::PageUp]);
        assert_eq!((state.view, state.selected), (View::Hosts, 0));
    }

    #[test]
    fn what_is_typed_as_a_filter_is_no_command() {
        let mut state = state();
        let typed = [KeyCode::Char('/'), KeyCode::Char('q'), KeyCode::Char('2')];
        assert_eq!(pressed(&mut state, &typed), Wish::Go);
        assert_eq!((state.filter.as_str(), state.view), ("q2", View::Services));
        pressed(&mut state, &[KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!((state.filter.as_str(), state.typing), ("q", false));
        pressed(&mut state, &[KeyCode::Esc]);
        assert_eq!(state.filter, "");
        assert_eq!(pressed(&mut state, &[KeyCode::Char('q')]), Wish::Quit);
    }

    #[test]
    fn enter_on_a_service_shows_its_methods() {
        let mut state = state();
        pressed(&mut state, &[KeyCode::Down, KeyCode::Enter]);
        assert_eq!((state.view, state.filter.as_str()), (View::Methods, "text."));
    }

    #[test]
    fn ctrl_c_quits_from_anywhere() {
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        let mut state = State { typing: true, help: true, ..state() };
        assert_eq!(state.key(ctrl_c, &[]), Wish::Quit);
    }
}
