//! The live view: looks at the hosts now and then, shows what it saw, heeds keys.
//!
//! The terminal is given back as it was however this ends: by a key, a signal, a panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jackfield_client::{Client, HostAnswer};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::model::Model;
use super::state::{State, Wish};
use super::view::{self, Surroundings};
use crate::args::TopArgs;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;

/// Shows it until somebody quits.
pub(super) async fn run(client: &Client, args: &TopArgs, terminal: &Terminal) -> Outcome {
    let mut screen = Screen::open()?;
    let mut events = screen.events();
    let (send, mut looks) = mpsc::channel(1);
    let filter = args.filter.clone().unwrap_or_default();
    let mut show = Show {
        model: Model::default(),
        state: State::new(args.view, args.sort, filter),
        around: surroundings(args, terminal),
    };
    let looking = look(client, args.every, send);
    tokio::pin!(looking);
    loop {
        show.around.trouble = trouble(client);
        screen.draw(&show)?;
        tokio::select! {
            () = &mut looking => return Ok(()),
            Some(answers) = looks.recv() => {
                if !show.state.paused {
                    show.model.look(&answers);
                }
            }
            event = events.recv() => match event {
                Some(event) if show.heed(&event) == Wish::Go => {}
                _ => return Ok(()),
            },
        }
    }
}

/// Asks all hosts, over and over, until nobody wants to know.
async fn look(client: &Client, every: Duration, send: mpsc::Sender<Vec<HostAnswer>>) {
    let mut turns = tokio::time::interval(every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if send.send(client.stats(every.max(PATIENCE)).await).await.is_err() {
            return;
        }
    }
}

struct Show {
    model: Model,
    state: State,
    around: Surroundings,
}

impl Show {
    fn heed(&mut self, event: &Event) -> Wish {
        let Event::Key(key) = event else { return Wish::Go };
        if key.kind == KeyEventKind::Release {
            return Wish::Go;
        }
        let picture = self.model.picture();
        let rows = picture.rows(self.state.view, &self.state.filter, self.state.order);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        self.state.key(*key, &names)
    }
}

fn surroundings(args: &TopArgs, terminal: &Terminal) -> Surroundings {
    let source = match &args.direct {
        Some(place) => format!("host {place}"),
        None => format!("registry {}", args.registry.registry.join(", ")),
    };
    Surroundings { source, trouble: None, every: args.every, colors: terminal.colors() }
}

/// What is wrong with the registry; what was known before is shown on.
fn trouble(client: &Client) -> Option<String> {
    let link = client.registry_link().filter(|link| link.connected.is_none())?;
    let why = link
        .failures
        .first()
        .map(|failed| format!(": {}: {}", failed.registry, failed.message))
        .unwrap_or_default();
    let text = format!("no registry answers{why}; these are the hosts of before");
    Some(jackfield_wire::status::printable(&text).replace('\n', " "))
}

/// The whole terminal, until it is dropped.
struct Screen {
    terminal: DefaultTerminal,
    closed: Arc<AtomicBool>,
}

impl Screen {
    fn open() -> Outcome<Self> {
        let failed = |error| Problem::internal(format!("cannot take the terminal: {error}"));
        let terminal = ratatui::try_init().map_err(failed)?;
        Ok(Self { terminal, closed: Arc::default() })
    }

    fn draw(&mut self, show: &Show) -> Outcome {
        let Show { model, state, around } = show;
        self.terminal.draw(|frame| view::draw(frame, model.picture(), state, around))?;
        Ok(())
    }

    /// What happens at the terminal. A thread reads it, because reading blocks; it ends soon after
    /// this screen.
    fn events(&self) -> mpsc::Receiver<Event> {
        let (send, receive) = mpsc::channel(64);
        let closed = Arc::clone(&self.closed);
        std::thread::spawn(move || {
            while !closed.load(Ordering::Relaxed) {
                match event::poll(GLANCE) {
                    Ok(false) => {}
                    Ok(true) => {
                        let Ok(event) = event::read() else { return };
                        if send.blocking_send(event).is_err() {
                            return;
                        }
                    }
                    Err(_) => return,
                }
            }
        });
        receive
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        ratatui::restore();
    }
}

/// How long a host has to answer at least: one that is busy or far shows up late, not as gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How soon the reading thread sees that nobody reads any more.
const GLANCE: Duration = Duration::from_millis(100);
