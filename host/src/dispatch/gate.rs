//! The way in: a call takes a permit here before it costs anything, or waits for one, or is told
//! that the host is full.
//!
//! A permit goes back when it is dropped, however its call ended; a wait that is dropped gives its
//! place in the queue up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jackfield_wire::Load;
use tokio::sync::oneshot;

pub(super) use super::schedule::Share;
use super::schedule::{Bounds, Entry, Full, Schedule, Ticket};

/// Shares places between plugins. Cheap to clone.
#[derive(Clone)]
pub(super) struct Gate(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    /// Never held across an await.
    state: Mutex<State>,
}

struct State {
    schedule: Schedule,
    waiting: HashMap<Ticket, Waiter>,
}

/// Where a call in the queue hears of its turn.
type Waiter = oneshot::Sender<Result<Permit, Full>>;

/// A call that was turned away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(super) struct Busy {
    text: String,
    /// When it may find a place.
    pub(super) retry_after: Duration,
}

/// The right to run a guest.
pub(super) struct Permit {
    gate: Gate,
    plugin: Arc<str>,
    since: Instant,
}

impl Permit {
    /// When it was given.
    pub(super) fn since(&self) -> Instant {
        self.since
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let granted = {
            let mut state = self.gate.state();
            state.schedule.leave(&self.plugin, self.since.elapsed());
            state.granted()
        };
        self.gate.hand_out(granted);
    }
}

/// A call on its way in.
pub(super) enum Entrance {
    In(Permit),
    Waiting(Waiting),
}

impl Gate {
    pub(super) fn new(concurrency: u32, queue: u32) -> Self {
        let bounds = Bounds { concurrency, queue };
        let state = State { schedule: Schedule::new(bounds), waiting: HashMap::new() };
        Self(Arc::new(Shared { bounds, state: Mutex::new(state) }))
    }

    pub(super) fn load(&self) -> Load {
        let state = self.state();
        Load { in_flight: state.schedule.running(), queued: state.schedule.waiting() }
    }

    /// The same of one plugin.
    pub(super) fn load_of(&self, plugin: &str) -> Load {
        let (in_flight, queued) = self.state().schedule.of(plugin);
        Load { in_flight, queued }
    }

    /// A call of `plugin`, which has `share`, wants in.
    ///
    /// # Errors
    /// When neither a place nor a place in the queue is free.
    pub(super) fn enter(&self, plugin: &Arc<str>, share: Share) -> Result<Entrance, Busy> {
        let mut state = self.state();
        match state.schedule.enter(plugin, share) {
            Entry::Run => {
                drop(state);
                Ok(Entrance::In(self.permit(plugin)))
            }
            Entry::Full(what) => Err(self.busy(&state, plugin, what, share)),
            Entry::Wait { ticket, displaced } => {
                let (send, answer) = oneshot::channel();
                state.waiting.insert(ticket, send);
                let pushed_out = displaced.and_then(|ticket| state.waiting.remove(&ticket));
                let granted = state.granted();
                drop(state);
                if let Some(other) = pushed_out {
                    // It may have gone away just now.
                    let _ = other.send(Err(Full::Host));
                }
                self.hand_out(granted);
                let (gate, plugin) = (self.clone(), Arc::clone(plugin));
                Ok(Entrance::Waiting(Waiting { gate, plugin, share, ticket, answer }))
            }
        }
    }

    fn permit(&self, plugin: &Arc<str>) -> Permit {
        Permit { gate: self.clone(), plugin: Arc::clone(plugin), since: Instant::now() }
    }

    /// Not under the lock: whoever is gone gives the permit back, which takes it.
    fn hand_out(&self, granted: Vec<(Arc<str>, Waiter)>) {
        for (plugin, waiter) in granted {
            // A permit that nobody receives is dropped, which gives it back.
            let _ = waiter.send(Ok(self.permit(&plugin)));
        }
    }

    fn busy(&self, state: &State, plugin: &str, what: Full, share: Share) -> Busy {
        let (whose, running, waiting) = match what {
            Full::Host => ("this host".to_owned(), self.0.bounds.concurrency, self.0.bounds.queue),
            Full::Plugin => (format!("{plugin} on this host"), share.concurrency, share.queue),
        };
        let text = format!(
            "{whose} is full: {running} calls run and {waiting} wait, which are its limits; try \
             again later or on another host"
        );
        Busy { text, retry_after: state.schedule.retry_after(plugin) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Those whose turn it is now.
    fn granted(&mut self) -> Vec<(Arc<str>, Waiter)> {
        let mut granted = Vec::new();
        while let Some((plugin, ticket)) = self.schedule.grant() {
            match self.waiting.remove(&ticket) {
                Some(waiter) => granted.push((plugin, waiter)),
                None => self.schedule.leave(&plugin, Duration::ZERO),
            }
        }
        granted
    }
}

/// A call in the queue.
pub(super) struct Waiting {
    gate: Gate,
    plugin: Arc<str>,
    share: Share,
    ticket: Ticket,
    answer: oneshot::Receiver<Result<Permit, Full>>,
}

impl Waiting {
    /// Waits for its turn. Cancel safe.
    ///
    /// # Errors
    /// When a plugin with fewer waiting calls needed the room.
    pub(super) async fn turn(&mut self) -> Result<Permit, Busy> {
        match (&mut self.answer).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(full)) => Err(self.busy(full)),
            // The sender lives as long as the ticket does, and answers before it goes.
            Err(_) => Err(self.busy(Full::Host)),
        }
    }

    /// What its caller is told when it has waited for as long as a call may wait.
    pub(super) fn too_long(&self, limit: Duration) -> Busy {
        let state = self.gate.state();
        let text = format!(
            "{} had no free place on this host for {limit:?}, the longest that a call waits; try \
             again later or on another host",
            self.plugin
        );
        Busy { text, retry_after: state.schedule.retry_after(&self.plugin) }
    }

    fn busy(&self, full: Full) -> Busy {
        self.gate.busy(&self.gate.state(), &self.plugin, full, self.share)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.schedule.cancel(&self.plugin, self.ticket);
        state.waiting.remove(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Share = Share { concurrency: 1, queue: 8 };

    fn name() -> Arc<str> {
        "calc".into()
    }

    fn enter(gate: &Gate) -> Waiting {
        match gate.enter(&name(), SHARE) {
            Ok(Entrance::Waiting(waiting)) => waiting,
            Ok(Entrance::In(_)) => panic!("there is no place"),
            Err(busy) => panic!("{busy}"),
        }
    }

    fn run(gate: &Gate) -> Permit {
        match gate.enter(&name(), SHARE) {
            Ok(Entrance::In(permit)) => permit,
            _ => panic!("there is a place"),
        }
    }

    #[test]
    fn the_queue_is_bounded_and_drops_give_places_back() {
        let gate = Gate::new(1, 1);
        let permit = run(&gate);
        let waiting = enter(&gate);
        assert_eq!(gate.load(), Load { in_flight: 1, queued: 1 });
        let busy = gate.enter(&name(), SHARE).err().expect("it is full");
        assert!(busy.to_string().starts_with("this host is full: 1 calls run and 1 wait"));
        drop(waiting);
        assert_eq!(gate.load(), Load { in_flight: 1, queued: 0 });
        drop(permit);
        assert_eq!(gate.load(), Load::default());
        drop(run(&gate));
    }

    #[tokio::test]
    async fn who_waits_gets_the_place_that_becomes_free() {
        let gate = Gate::new(1, 8);
        let permit = run(&gate);
        let mut waiting = enter(&gate);
        drop(permit);
        let permit = waiting.turn().await.expect("its turn");
        assert_eq!(gate.load_of("calc"), Load { in_flight: 1, queued: 0 });
        drop(permit);
    }

    #[test]
    fn a_permit_that_its_receiver_never_saw_is_not_lost() {
        let gate = Gate::new(1, 8);
        let permit = run(&gate);
        let waiting = enter(&gate);
        drop(permit);
        assert_eq!(gate.load().in_flight, 1, "granted, not yet received");
        drop(waiting);
        assert_eq!(gate.load(), Load::default());
    }
}
