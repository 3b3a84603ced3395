//! The picture on a terminal's cells. Fits 80 columns and 24 lines; with less, columns are left out
//! before names are.

use std::time::Duration;

use clap::ValueEnum as _;
use jackfield_wire::units::show_size;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as Cells, Table, TableState, Wrap};

use super::model::{Figures, Order, Picture, Row};
use super::state::State;
use crate::args::{Column, View};
use crate::table::fit;

/// Beside the picture.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// Whom the hosts are known from.
    pub(crate) source: String,
    /// What is wrong with that.
    pub(crate) trouble: Option<String>,
    pub(crate) every: Duration,
    pub(crate) colors: bool,
}

/// Draws all.
pub(crate) fn draw(frame: &mut Frame, picture: &Picture, state: &State, around: &Surroundings) {
    let parts = [2, 0, 2, 1].map(|lines| match lines {
        0 => Constraint::Min(3),
        lines => Constraint::Length(lines),
    });
    let [head, body, detail, foot] = Layout::vertical(parts).areas(frame.area());
    let rows = picture.rows(state.view, &state.filter, state.order);
    frame.render_widget(Paragraph::new(summary(picture, state, around)), head);
    if state.help {
        frame.render_widget(Paragraph::new(HELP).wrap(Wrap { trim: false }), body);
    } else if let Some(why) = empty(picture, state, &rows) {
        frame.render_widget(Paragraph::new(why).wrap(Wrap { trim: true }), body);
    } else {
        table(frame, body, &rows, state, around);
    }
    if let Some(row) = rows.get(state.selected.min(rows.len().saturating_sub(1))) {
        frame.render_widget(Paragraph::new(about(row, around)), detail);
    }
    let keys = match state.typing {
        true => format!("filter: {}_  (Enter keeps it, Esc clears it)", state.filter),
        false => KEYS.to_owned(),
    };
    frame.render_widget(Paragraph::new(keys).style(Modifier::DIM), foot);
}

fn summary(picture: &Picture, state: &State, around: &Surroundings) -> Vec<Line<'static>> {
    let whole = &picture.whole;
    let hosts = picture.hosts.len();
    let mut first = vec![
        Span::styled("jackfield top", Modifier::BOLD),
        Span::raw(format!(
            "  {} calls/s  {} errors/s  {} running  {} services on {hosts} hosts",
            rate(whole.calls_per_second),
            rate(whole.errors_per_second),
            whole.running,
            picture.services.len(),
        )),
    ];
    if picture.silent > 0 {
        let text = format!("  {} not answering", picture.silent);
        first.push(Span::styled(text, bad(around)));
    }
    let mut second: Vec<Span> = Vec::new();
    for (number, view) in View::value_variants().iter().enumerate() {
        let name = format!(" {} {} ", number + 1, heading(*view).to_lowercase());
        let is_shown = *view == state.view;
        second.push(Span::styled(
            name,
            if is_shown { Modifier::REVERSED } else { Modifier::empty() },
        ));
    }
    if !state.filter.is_empty() && !state.typing {
        second.push(Span::raw(format!("  filter: {}", state.filter)));
    }
    if state.paused {
        second.push(Span::styled("  paused", Modifier::BOLD));
    }
    second.push(match &around.trouble {
        Some(trouble) => Span::styled(format!("  {trouble}"), bad(around)),
        None => {
            let every = around.every.as_secs_f64();
            Span::styled(format!("  {}, every {every} s", around.source), Modifier::DIM)
        }
    });
    vec![Line::from(first), Line::from(second)]
}

/// Why there is no row.
fn empty(picture: &Picture, state: &State, rows: &[&Row]) -> Option<String> {
    if !rows.is_empty() {
        return None;
    }
    Some(match (picture.hosts.is_empty(), state.filter.is_empty()) {
        (true, _) => "no host serves anything yet: jackfield host DIR".into(),
        (false, false) => format!("nothing here has {:?} in its name; Esc shows all", state.filter),
        (false, true) if picture.silent == picture.hosts.len() => {
            "no host answers: 3 shows why".into()
        }
        (false, true) => "the hosts serve nothing yet: copy a .wasm into their folders".into(),
    })
}

fn table(frame: &mut Frame, area: Rect, rows: &[&Row], state: &State, around: &Surroundings) {
    let columns = columns(area.width);
    let taken: u16 = columns.iter().map(|column| width(*column) + 1).sum();
    let name = usize::from(area.width.saturating_sub(taken));
    let headings = columns
        .iter()
        .map(|column| Cell::from(Line::from(marked(*column, state.order)).right_aligned()));
    let first = Cell::from(fit(&named(state), name));
    let header = Cells::new(std::iter::once(first).chain(headings)).style(Modifier::BOLD);
    let lines = rows.iter().map(|row| {
        let mark = if row.trouble.is_some() { "! " } else { "" };
        let first = Cell::from(fit(&format!("{mark}{}", row.name), name));
        let numbers = columns.iter().map(|column| {
            let text = number(&row.figures, *column);
            let is_bad = matches!(column, Column::Errors | Column::Traps) && text != "0";
            let style = if is_bad { bad(around) } else { Style::new() };
            Cell::from(Line::styled(text, style).right_aligned())
        });
        let style = if row.trouble.is_some() { bad(around) } else { Style::new() };
        Cells::new(std::iter::once(first.style(style)).chain(numbers))
    });
    let widths = columns.iter().map(|column| Constraint::Length(width(*column)));
    let widths = std::iter::once(Constraint::Min(0)).chain(widths);
    let table = Table::new(lines, widths)
        .header(header)
        .column_spacing(1)
        .row_highlight_style(Modifier::REVERSED);
    let selected = state.selected.min(rows.len().saturating_sub(1));
    let mut place = TableState::default().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut place);
}

fn about(row: &Row, around: &Surroundings) -> Vec<Line<'static>> {
    let first = format!("{}  {}", row.name, row.about);
    let second = match &row.trouble {
        Some(trouble) => Line::styled(trouble.clone(), bad(around)),
        None if row.figures.failures.is_empty() => Line::default(),
        None => {
            let failed = row.figures.failures.iter();
            let failed = failed.map(|(status, count)| format!("{count} {status}"));
            Line::raw(format!("failed just now: {}", failed.collect::<Vec<_>>().join(", ")))
        }
    };
    vec![Line::styled(first, Modifier::BOLD), second]
}

/// The columns that fit beside names.
fn columns(available: u16) -> Vec<Column> {
    let mut columns: Vec<Column> = Column::value_variants()[1..].to_vec();
    for dispensable in DISPENSABLE {
        let taken: u16 = columns.iter().map(|column| width(*column) + 1).sum();
        if taken + NARROWEST_NAME <= available {
            break;
        }
        columns.retain(|column| *column != dispensable);
    }
    columns
}

fn width(column: Column) -> u16 {
    match column {
        Column::Name | Column::Calls | Column::Errors => 8,
        Column::P50 | Column::P99 | Column::Memory => 8,
        Column::Running | Column::Traps => 6,
        Column::Instances => 5,
    }
}

pub(crate) fn title(column: Column) -> &'static str {
    match column {
        Column::Name => "NAME",
        Column::Calls => "CALLS/S",
        Column::Errors => "ERR/S",
        Column::P50 => "P50",
        Column::P99 => "P99",
        Column::Running => "RUN",
        Column::Instances => "INST",
        Column::Memory => "MEMORY",
        Column::Traps => "TRAPS",
    }
}

/// The heading of the first column.
pub(crate) fn heading(view: View) -> &'static str {
    match view {
        View::Services => "SERVICES",
        View::Methods => "METHODS",
        View::Hosts => "HOSTS",
    }
}

fn named(state: &State) -> String {
    let mark = if state.order.by == Column::Name { arrow(state.order) } else { "" };
    format!("{}{mark}", heading(state.view))
}

fn marked(column: Column, order: Order) -> String {
    let mark = if column == order.by { arrow(order) } else { "" };
    format!("{}{mark}", title(column))
}

fn arrow(order: Order) -> &'static str {
    // Names rise where numbers fall.
    if order.is_reversed == (order.by == Column::Name) { "▼" } else { "▲" }
}

/// What stands in a column.
pub(crate) fn number(figures: &Figures, column: Column) -> String {
    let time = |q| figures.quantile(q).map_or_else(|| "-".into(), duration);
    match column {
        Column::Name => String::new(),
        Column::Calls => rate(figures.calls_per_second),
        Column::Errors => rate(figures.errors_per_second),
        Column::P50 => time(0.5),
        Column::P99 => time(0.99),
        Column::Running => figures.running.to_string(),
        Column::Instances => figures.instances.to_string(),
        Column::Memory => memory(figures.memory_bytes),
        Column::Traps => figures.traps.to_string(),
    }
}

/// `0`, `0.4`, `12`, `3400`, `12.3k`, `1.2M`.
fn rate(rate: f64) -> String {
    match rate {
        0.0 => "0".into(),
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate if rate < 10_000.0 => format!("{rate:.0}"),
        rate if rate < 1e6 => format!("{:.1}k", rate / 1e3),
        rate => format!("{:.1}M", rate / 1e6),
    }
}

fn duration(time: Duration) -> String {
    crate::duration::show(time).replace(' ', "")
}

/// Whole units, so that all rows are alike.
fn memory(bytes: u64) -> String {
    let unit = [1 << 30, 1 << 20, 1 << 10].into_iter().find(|unit| bytes >= 10 * unit);
    show_size(unit.map_or(bytes, |unit| bytes / unit * unit))
}

fn bad(around: &Surroundings) -> Style {
    if around.colors {
        Style::new().fg(Color::Red)
    } else {
        Style::new().add_modifier(Modifier::BOLD)
    }
}

/// What goes first where there is little room.
const DISPENSABLE: [Column; 6] = [
    Column::Instances,
    Column::Running,
    Column::P50,
    Column::Memory,
    Column::Traps,
    Column::Errors,
];

/// Names need this much.
const NARROWEST_NAME: u16 = 14;

const KEYS: &str = "q quit  1-3 view  ↑↓ row  ←→ sort  r reverse  / filter  p pause  ? help";

const HELP: &str = "
  1 2 3, Tab      services, methods, hosts
  ↑ ↓ j k         another row; PageUp, PageDown, Home, End
  Enter           the methods of the service
  ← →  < >        sort by another column
  r               the other way round
  /               show only names with what you type; Esc shows all
  p               hold the picture; again: go on
  q, Ctrl-C       quit

  Rates and times are those between the last two looks; memory is the linear
  memory of instances; traps count from the start of the hosts. Errors are
  failures of the service: not a method's own error, bad arguments or callers
  that went away.

  Any key goes back.";

#[cfg(test)]
mod tests {
    use super::super::model::Model;
    use super::super::model::tests::looked;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn around() -> Surroundings {
        let source = "registry 127.0.0.1:9999".into();
        Surroundings { source, trouble: None, every: Duration::from_secs(1), colors: false }
    }

    fn state() -> State {
        State::new(View::Services, Column::Calls, String::new())
    }

    /// The screen's lines.
    fn shown(
        size: (u16, u16),
        picture: &Picture,
        state: &State,
        around: &Surroundings,
    ) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        terminal.draw(|frame| draw(frame, picture, state, around)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let line = |y| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..size.1).map(|y| line(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn services_fit_eighty_columns_with_everything_that_matters() {
        let model = looked();
        let lines = shown((80, 24), model.picture(), &state(), &around());
        assert_eq!(lines.len(), 24);
        assert!(lines[0].contains("1505 calls/s  5.0 errors/s"), "{lines:#?}");
        for word in
            ["SERVICES", "CALLS/S▼", "ERR/S", "P50", "P99", "RUN", "INST", "MEMORY", "TRAPS"]
        {
            assert!(lines[2].contains(word), "{word}: {lines:#?}");
        }
        assert!(lines[3].starts_with("calc ") && lines[3].contains("1500"), "{lines:#?}");
        assert!(lines[4].starts_with("! bad"), "{lines:#?}");
        assert!(lines[21].starts_with("calc  2 hosts, 1.2.0"), "{lines:#?}");
        assert!(lines[23].contains("? help"), "{lines:#?}");
    }

    #[test]
    fn the_selected_row_says_what_is_wrong() {
        let model = looked();
        let state = State { selected: 1, ..state() };
        let lines = shown((80, 24), model.picture(), &state, &around());
        assert!(lines[22].contains("on b: trapped too often\\u{1b}[2J"), "{lines:#?}");
    }

    #[test]
    fn a_small_screen_keeps_names_and_rates() {
        let model = looked();
        for (columns, rows) in [(40, 10), (20, 8), (5, 3), (1, 1)] {
            let lines = shown((columns, rows), model.picture(), &state(), &around());
            if columns >= 40 {
                assert!(lines[2].contains("CALLS/S") && lines[2].contains("P99"), "{lines:#?}");
                assert!(lines[3].starts_with("calc"), "{lines:#?}");
            }
        }
    }

    #[test]
    fn an_empty_screen_says_why() {
        let nothing = Model::default();
        let lines = shown((80, 24), nothing.picture(), &state(), &around());
        assert!(lines[2].contains("jackfield host DIR"), "{lines:#?}");
        let state = State { filter: "x".into(), ..state() };
        let model = looked();
        let lines = shown((80, 24), model.picture(), &state, &around());
        assert!(lines[2].contains("Esc shows all"), "{lines:#?}");
        let lost = Surroundings { trouble: Some("no registry".into()), ..around() };
        assert!(shown((80, 24), model.picture(), &state, &lost)[1].contains("no registry"));
    }

    #[test]
    fn help_lists_the_keys_and_fits() {
        let model = looked();
        let state = State { help: true, ..state() };
        let lines = shown((80, 24), model.picture(), &state, &around());
        assert!(lines.iter().any(|line| line.contains("Any key goes back")), "{lines:#?}");
    }

    #[test]
    fn numbers_have_at_most_three_digits_that_matter() {
        let rates = [0.0, 0.42, 12.34, 3400.0, 12_345.0, 2.5e6].map(rate);
        assert_eq!(rates, ["0", "0.4", "12", "3400", "12.3k", "2.5M"]);
    }
}
