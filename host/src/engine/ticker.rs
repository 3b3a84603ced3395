//! Counts the engines' epochs, from a thread of its own so that no load on the runtime delays it.
//!
//! Ends when it was dropped and no guest runs any more: one that still spins must meet its next tick
//! to be stopped at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Engines;

/// The thread that counts.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    running: AtomicUsize,
    stop: AtomicBool,
}

impl Ticker {
    /// Starts to count for `engines`.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn spawn(engines: Arc<Engines>) -> std::io::Result<Self> {
        let shared =
            Arc::new(Shared { running: AtomicUsize::new(0), stop: AtomicBool::new(false) });
        let counted = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("jackfield-epoch".into())
            .spawn(move || count(&engines, &counted))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Says that a guest runs, for as long as the answer lives.
    pub(crate) fn running(&self) -> Running {
        self.pulse().running()
    }

    /// For those who run guests elsewhere.
    pub(crate) fn pulse(&self) -> Pulse {
        Pulse(Arc::clone(&self.shared))
    }
}

/// Tells a ticker of guests. Does not keep it alive.
#[derive(Clone)]
pub(crate) struct Pulse(Arc<Shared>);

impl Pulse {
    /// Says that a guest runs, for as long as the answer lives.
    pub(crate) fn running(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(&self.0))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if self.shared.running.load(Ordering::Relaxed) == 0 {
                // A thread that panicked has ended all the same.
                let _ = thread.join();
            }
        }
    }
}

/// While it lives, a guest runs.
pub(crate) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn count(engines: &Engines, shared: &Shared) {
    loop {
        let busy = shared.running.load(Ordering::Relaxed) > 0;
        if !busy && shared.stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::park_timeout(if busy { BUSY_TICK } else { IDLE_TICK });
        engines.tick();
    }
}

/// How long a guest may hold a thread of the runtime while calls run. A longer tick shows as
/// latency of every other call; a shorter one costs more wake-ups than it saves.
const BUSY_TICK: Duration = Duration::from_millis(1);

/// How late the first tick of the first call may come. An idle host wakes up this often.
const IDLE_TICK: Duration = Duration::from_millis(10);
