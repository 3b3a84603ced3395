//! Counts the engines' epochs, from a thread of its own so that no load on the runtime delays it.
//!
//! Ends when it was dropped and no guest runs any more: one that still spins must meet its next tick
//! to be stopped at all.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use super::Engines;

/// The thread that counts.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    stop: AtomicBool,
    /// It counts slowly, and is to be woken by the first guest. What is missed of that costs one
    /// slow tick.
    idle: AtomicBool,
    /// The thread that counts.
    counts: OnceLock<Thread>,
}

impl Ticker {
    /// Starts to count for `engines`.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn spawn(engines: Arc<Engines>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let counted = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("jackfield-epoch".into())
            .spawn(move || count(|| engines.tick(), &counted))?;
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
        if self.0.idle.load(Ordering::Relaxed)
            && self.0.idle.swap(false, Ordering::Relaxed)
            && let Some(thread) = self.0.counts.get()
        {
            thread.unpark();
        }
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

fn count(tick: impl Fn(), shared: &Shared) {
    shared.counts.get_or_init(std::thread::current);
    let mut quiet = QUIET_TICKS;
    loop {
        let busy = shared.running.load(Ordering::Relaxed) > 0;
        if !busy && shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let was_idle = quiet >= QUIET_TICKS;
        let woken = was_idle && !shared.idle.load(Ordering::Relaxed);
        quiet = if busy || woken { 0 } else { quiet.saturating_add(1) };
        let idle = quiet >= QUIET_TICKS;
        // Only then: a guest may just have come and said so.
        if idle != was_idle {
            shared.idle.store(idle, Ordering::Relaxed);
        }
        std::thread::park_timeout(if idle { IDLE_TICK } else { BUSY_TICK });
        tick();
    }
}

/// How long a guest may hold a thread of the runtime while calls run. A longer tick shows as
/// latency of every other call; a shorter one costs more wake-ups than it saves.
const BUSY_TICK: Duration = Duration::from_millis(1);

/// A host with as many calls as one in a tenth of a second counts as busy between them: small calls
/// are seldom seen, and a long one beside them should not begin with a slow tick.
const QUIET_TICKS: u32 = 100;

/// An idle host wakes up this often, for what guests do when none of their calls runs.
const IDLE_TICK: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_guest_that_comes_to_an_idle_host_ends_the_slow_ticks() {
        let shared = Arc::new(Shared::default());
        let ticks = Arc::new(AtomicU32::new(0));
        let (counted, told) = (Arc::clone(&shared), Arc::clone(&ticks));
        let thread = std::thread::spawn(move || {
            let tick = || {
                told.fetch_add(1, Ordering::Relaxed);
            };
            count(tick, &counted);
        });
        let until_idle = || {
            while !shared.idle.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        };
        until_idle();
        let before = ticks.load(Ordering::Relaxed);
        drop(Pulse(Arc::clone(&shared)).running());
        until_idle();
        assert!(ticks.load(Ordering::Relaxed) >= before + QUIET_TICKS, "it was awake for a while");
        shared.stop.store(true, Ordering::Relaxed);
        thread.join().expect("it ends");
    }
}
