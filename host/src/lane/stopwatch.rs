//! For how long work held a thread.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long a thread was held.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// By the clock.
    pub(super) wall: Duration,
    /// Without the time in which the system gave the core to somebody else; `None` when nobody
    /// asked for it.
    pub(super) computed: Option<Duration>,
}

/// Runs while a thread is held.
pub(super) struct Stopwatch {
    began: Instant,
    computed: Option<Duration>,
}

impl Stopwatch {
    /// By the clock alone: from `now` to the end.
    pub(super) fn rough(now: Instant) -> Self {
        Self { began: now, computed: None }
    }

    /// Looks at the thread's own time as well. What it computed in the moment before may count too:
    /// asking the system each time would be a tenth of a short call.
    pub(super) fn exact(now: Instant) -> Self {
        Self { began: now, computed: Some(recent_time_of_thread(now)) }
    }

    /// How long it ran; and the time at its end.
    pub(super) fn stop(self) -> (Instant, Held) {
        let now = Instant::now();
        let wall = now - self.began;
        let computed = self.computed.map(|before| match wall < MOMENT {
            true => wall,
            false => time_of_thread().saturating_sub(before).min(wall),
        });
        (now, Held { wall, computed })
    }
}

thread_local! {
    /// What this thread had computed at that time.
    static LAST: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// What this thread had computed not longer than a moment before `now`.
fn recent_time_of_thread(now: Instant) -> Duration {
    match LAST.get() {
        Some((at, computed)) if now.saturating_duration_since(at) < MOMENT => computed,
        _ => {
            let computed = time_of_thread();
            LAST.set(Some((now, computed)));
            computed
        }
    }
}

/// How stale a thread's time may be, and how short a time counts as computed whole: a tenth of
/// what anybody notices.
const MOMENT: Duration = Duration::from_micros(50);

/// What this thread has computed so far.
#[cfg(unix)]
pub(super) fn time_of_thread() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    // It is not negative, and its nanoseconds are less than a second.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Where the system does not say it: the clock's time, as if the core was always its own.
#[cfg(not(unix))]
pub(super) fn time_of_thread() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computing_counts_and_waiting_does_not() {
        let watch = Stopwatch::exact(Instant::now());
        while time_of_thread().subsec_millis() == 0 {}
        let (_, held) = watch.stop();
        assert!(held.computed.is_some_and(|computed| computed > Duration::ZERO));
        let (watch, pause) = (Stopwatch::exact(Instant::now()), Duration::from_millis(20));
        std::thread::sleep(pause);
        let (_, held) = watch.stop();
        assert!(held.wall >= pause);
        #[cfg(unix)]
        assert!(held.computed.is_some_and(|computed| computed < pause));
    }
}
