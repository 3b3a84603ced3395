//! Counts the engines' epochs, from a thread of its own so that no load on the runtime delays it.
//!
//! Rests while no guest runs. Ends when it was dropped and no guest runs any more: one that still spins must meet its next tick
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
    /// It does not count, and is to be woken by the first guest.
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

    /// For those who run guests.
    pub(crate) fn pulse(&self) -> Pulse {
        Pulse(Arc::clone(&self.shared))
    }
}

/// Tells a ticker of guests. Does not keep it alive.
#[derive(Clone)]
pub(crate) struct Pulse(Arc<Shared>);

impl Pulse {
    /// Says that guest code may run on this thread, for as long as the answer lives.
    pub(crate) fn running(&self) -> Running {
        // In one order for all threads, as in `count`: either this sees that it is idle, or that
        // sees that a guest runs.
        self.0.running.fetch_add(1, Ordering::SeqCst);
        if self.0.idle.load(Ordering::SeqCst)
            && self.0.idle.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.0.counts.get()
        {
            thread.unpark();
        }
        Running(Arc::clone(&self.0))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if self.shared.running.load(Ordering::Relaxed) == 0 {
                // A thread that panicked has ended all the same.
                let _ = thread.join();
            }
        }
    }
}

/// While it lives, guest code may run.
pub(crate) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn count(tick: impl Fn(), shared: &Shared) {
    shared.counts.get_or_init(std::thread::current);
    let mut quiet = 0;
    loop {
        let busy = shared.running.load(Ordering::Relaxed) > 0;
        if !busy && shared.stop.load(Ordering::Relaxed) {
            return;
        }
        quiet = if busy { 0 } else { quiet + 1 };
        if quiet > QUIET_TICKS {
            rest(shared);
            quiet = 0;
        }
        std::thread::park_timeout(TICK);
        tick();
    }
}

/// Waits for a guest, or the end.
fn rest(shared: &Shared) {
    shared.idle.store(true, Ordering::SeqCst);
    let over = || {
        !shared.idle.load(Ordering::SeqCst)
            || shared.running.load(Ordering::SeqCst) > 0
            || shared.stop.load(Ordering::SeqCst)
    };
    while !over() {
        std::thread::park();
    }
    shared.idle.store(false, Ordering::SeqCst);
}

/// How long a guest may hold a thread of the runtime. A longer tick shows as latency of every other
/// call; a shorter one costs more wake-ups than it saves.
const TICK: Duration = Duration::from_millis(1);

/// A host with as many calls as one in a tenth of a second counts as busy between them: to wake the
/// thread for each costs more than its ticks.
const QUIET_TICKS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn it_rests_while_no_guest_runs_and_a_guest_that_comes_wakes_it() {
        let shared = Arc::new(Shared::default());
        let ticks = Arc::new(AtomicU32::new(0));
        let (counted, told) = (Arc::clone(&shared), Arc::clone(&ticks));
        let thread = std::thread::spawn(move || {
            let tick = || {
                told.fetch_add(1, Ordering::Relaxed);
            };
            count(tick, &counted);
        });
        let until = |so: &dyn Fn() -> bool| {
            while !so() {
                std::thread::yield_now();
            }
        };
        for _ in 0..3 {
            until(&|| shared.idle.load(Ordering::SeqCst));
            let before = ticks.load(Ordering::Relaxed);
            std::thread::sleep(10 * TICK);
            assert_eq!(ticks.load(Ordering::Relaxed), before, "it rests");
            let running = Pulse(Arc::clone(&shared)).running();
            until(&|| ticks.load(Ordering::Relaxed) > before + 2 * QUIET_TICKS);
            drop(running);
        }
        until(&|| shared.idle.load(Ordering::SeqCst));
        shared.stop.store(true, Ordering::SeqCst);
        thread.thread().unpark();
        thread.join().expect("it ends");
    }
}
