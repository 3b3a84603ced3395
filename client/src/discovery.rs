//! Keeps the snapshot up to date: one task per client that watches one registry at a time.
//!
//! The task never removes what no registry said is gone: while all of them are away, the last good
//! set stays. It ends when its client is closed or its last handle is dropped. Calls never wait
//! for it, except for the very first set.

mod session;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::{Backoff, Dialer, chain};
use jackfield_wire::Namespace;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::balancer::Balancer;
use crate::disk::LastGood;
use crate::place::{Place, Resolve};
use crate::pool::Pool;
use crate::snapshot::Origin;
use crate::view::{Change, View};

pub use shared::RegistryLink;
pub(crate) use shared::Shared;

/// What the task needs to begin.
pub(crate) struct Settings {
    pub(crate) registries: Vec<Place>,
    pub(crate) namespace: Namespace,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) connect_timeout: Duration,
    pub(crate) refresh_interval: Duration,
    pub(crate) max_instances: usize,
    pub(crate) last_good: Option<LastGood>,
    pub(crate) seed: u64,
}

/// The task's state.
pub(crate) struct Watcher {
    settings: Settings,
    dialer: Dialer,
    view: View,
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    balancer: Arc<Balancer>,
    rng: fastrand::Rng,
    /// Watches that ended since the last one that was of use for a while.
    failures: u32,
    /// Since when the current watch is of use.
    useful_since: Option<Instant>,
    saved: Saved,
}

/// How the file compares with what is held.
struct Saved {
    dirty: bool,
    at: Option<Instant>,
}

impl Watcher {
    pub(crate) fn new(
        settings: Settings,
        dialer: Dialer,
        shared: Arc<Shared>,
        pool: Arc<Pool>,
        balancer: Arc<Balancer>,
    ) -> Self {
        let view = View::new(settings.max_instances);
        let rng = fastrand::Rng::with_seed(settings.seed);
        let saved = Saved { dirty: false, at: None };
        let (failures, useful_since) = (0, None);
        Self { settings, dialer, view, shared, pool, balancer, rng, failures, useful_since, saved }
    }

    /// What it writes to.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Watches until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        _ = stop.run_until_cancelled(self.watch_forever()).await;
        if self.saved.dirty {
            self.save().await;
        }
        self.dialer.shutdown().await;
    }

    /// One registry after the other, with a pause that grows with each full round of failures.
    async fn watch_forever(&mut self) {
        let rounds = self.rounds();
        for index in (0..self.settings.registries.len()).cycle() {
            let error = chain(&self.watch(index).await);
            if self.saved.dirty {
                // There may be no registry for long: what it said last is worth a write.
                self.save().await;
            }
            let registry = self.settings.registries[index].to_string();
            tracing::debug!(registry, error, "not watching");
            self.shared.lost(index, error);
            let lasted = self.useful_since.take().map(|since| since.elapsed());
            self.failures = failures_after(self.failures, lasted);
            if self.failures >= rounds {
                self.fall_back_to_disk().await;
            }
            let pause = Backoff::RECONNECT.pause(self.failures / rounds, self.rng.u64(..));
            tokio::time::sleep(pause).await;
        }
    }

    /// Watches that fail in a row until every registry has had its turn.
    fn rounds(&self) -> u32 {
        u32::try_from(self.settings.registries.len()).unwrap_or(u32::MAX).max(1)
    }

    /// With no registry that knows everyone, the last good set is better than none. Not once one
    /// has been: then more is held, or the same.
    async fn fall_back_to_disk(&mut self) {
        let Some(file) = self.settings.last_good.clone() else { return };
        let is_known = self.saved.dirty || self.saved.at.is_some();
        if is_known || !matches!(self.view.origin(), Origin::Nothing | Origin::Gathering) {
            return;
        }
        let loaded = tokio::task::spawn_blocking(move || file.load()).await;
        if let Ok(Some(kept)) = loaded {
            let count = kept.instances.len();
            let change = self.view.restore(kept);
            if change == Change::Changed {
                tracing::warn!(count, "no registry knows everyone; going by the last good set");
            }
            self.publish(change);
        }
    }

    fn publish(&mut self, change: Change) {
        if change == Change::Nothing {
            return;
        }
        let snapshot = Arc::new(self.view.snapshot());
        self.saved.dirty |= snapshot.origin() == Origin::Registry;
        self.pool.keep_only(snapshot.all_endpoints().filter_map(|endpoint| endpoint.address));
        self.balancer.keep_only(&snapshot);
        self.shared.publish(snapshot);
    }

    async fn save_if_due(&mut self) {
        if self.saved.dirty && self.saved.at.is_none_or(|at| at.elapsed() >= SAVE_INTERVAL) {
            self.save().await;
        }
    }

    async fn save(&mut self) {
        self.saved = Saved { dirty: false, at: Some(Instant::now()) };
        let Some(file) = self.settings.last_good.clone() else { return };
        let snapshot = self.shared.snapshot();
        // A panic in there is a fault of ours that the runtime has printed; the watch goes on.
        _ = tokio::task::spawn_blocking(move || file.save(&snapshot)).await;
    }
}

/// How many watches have failed in a row when the last one was of use for as long as it `lasted`.
///
/// A registry that ends each watch right after its beginning, or whose set is refused, is asked ever
/// less often; otherwise every client would fetch the whole set twenty times a second.
fn failures_after(before: u32, lasted: Option<Duration>) -> u32 {
    match lasted {
        Some(lasted) if lasted >= Backoff::RECONNECT.most => 1,
        _ => before.saturating_add(1),
    }
}

/// The file is a cache: a network that changes all the time does not keep the disk busy.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_watch_that_was_of_use_for_a_while_makes_failures_forgotten() {
        assert_eq!(failures_after(7, None), 8);
        assert_eq!(failures_after(7, Some(Duration::from_millis(1))), 8);
        assert_eq!(failures_after(7, Some(Backoff::RECONNECT.most)), 1);
        assert_eq!(failures_after(u32::MAX, None), u32::MAX);
    }
}
