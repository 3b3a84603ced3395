//! The way out of a host: it says in its answers that it will close, and waits until callers have
//! turned away.
//!
//! Callers learn of the end from the registry, and from the answers to their own calls where that
//! is late or where there is none. What still arrives after that is served as ever: turning it away
//! would cost its caller a retry.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Whether a host is on its way out, and whether calls still arrive.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    begun: AtomicBool,
    arrivals: AtomicU64,
}

impl Drain {
    /// From now on answers say that the host will close.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// What answers say.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// A call has arrived.
    pub(crate) fn arrival(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until no call has arrived for [`QUIET`], for at most `most`.
    pub(crate) async fn lull(&self, most: Duration) {
        let quiet = async {
            let mut before = self.arrivals.load(Ordering::Relaxed);
            loop {
                sleep(QUIET).await;
                let now = self.arrivals.load(Ordering::Relaxed);
                if now == before {
                    return;
                }
                before = now;
            }
        };
        // Callers who stay in spite of what they were told are turned away: that too they can
        // repeat elsewhere, because nothing was executed.
        let _busy = timeout(most, quiet).await;
    }
}

/// Longer than word from a registry, or an answer, takes to a caller on another continent.
const QUIET: Duration = Duration::from_millis(150);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_calls_have_ceased_and_at_the_latest_when_told() {
        let drain = Drain::default();
        let start = Instant::now();
        drain.lull(Duration::from_secs(9)).await;
        assert_eq!(start.elapsed(), QUIET);
        let busy = async {
            loop {
                drain.arrival();
                sleep(QUIET / 2).await;
            }
        };
        let start = Instant::now();
        tokio::select! {
            () = busy => {}
            () = drain.lull(Duration::from_secs(2)) => {}
        }
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }
}
