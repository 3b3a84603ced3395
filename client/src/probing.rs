//! Probes: endpoints that were left out are dialled, beside the calls, to see whether they are back.
//!
//! A probe ends with its dial, or with the runtime that it runs in; either way the balancer is told.

use std::sync::Arc;

use crate::balancer::Balancer;
use crate::client::{Inner, Source};
use crate::discovery::Shared;
use crate::ejection::{Line, Probe};

impl Inner {
    /// Tries to connect to endpoints whose time out is over, beside the calls.
    pub(crate) fn probe_those_due(&self) {
        for probe in self.balancer.due() {
            let shared = match &self.source {
                Source::Registry(shared) => Some(shared.clone()),
                Source::Direct(_) => None,
            };
            let (balancer, pool) = (self.balancer.clone(), self.pool.clone());
            let mut probing = Probing { probe, balancer, shared, is_up: false };
            self.tasks.spawn(async move {
                let Line { address, host } = &probing.probe.line;
                let connected = pool.connect(*address, host.as_deref()).await;
                let is_up = connected.is_ok() && !pool.reach().is_down(*address);
                probing.ended(is_up);
            });
        }
    }
}

/// A probe under way; tells the balancer how it ended when it is dropped. One that is given up, as
/// when its runtime ends, has failed: otherwise nobody would ever try that endpoint again.
struct Probing {
    probe: Probe,
    balancer: Arc<Balancer>,
    /// `None` in direct mode.
    shared: Option<Arc<Shared>>,
    is_up: bool,
}

impl Probing {
    fn ended(&mut self, is_up: bool) {
        self.is_up = is_up;
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        let snapshot = self.shared.as_ref().map(|shared| shared.snapshot()).unwrap_or_default();
        self.balancer.probed(&snapshot, &self.probe, self.is_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::RetryBudget;
    use crate::chance::Chance;
    use crate::ejection::EjectionPolicy;
    use std::time::Duration;

    /// A time after which anybody's time out is over.
    const LONG: Duration = Duration::from_secs(3600);

    fn only(mut probes: Vec<Probe>) -> Probe {
        assert_eq!(probes.len(), 1, "{probes:?}");
        probes.remove(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_lost_has_failed_and_another_follows() {
        let policy = EjectionPolicy::default();
        let balancer = Arc::new(Balancer::new(policy, RetryBudget::default(), Chance::seeded(7)));
        let address = ([127, 0, 0, 1], 4433).into();
        balancer.unreachable(Line { address, host: None });
        for _ in 0..3 {
            tokio::time::advance(LONG).await;
            let probe = only(balancer.due());
            assert!(balancer.due().is_empty(), "a second probe beside the first");
            drop(Probing { probe, balancer: balancer.clone(), shared: None, is_up: false });
            assert!(balancer.is_unreachable(address));
            assert!(balancer.due().is_empty(), "no pause after a probe that failed");
        }
        tokio::time::advance(LONG).await;
        let probe = only(balancer.due());
        Probing { probe, balancer: balancer.clone(), shared: None, is_up: false }.ended(true);
        assert!(!balancer.is_unreachable(address));
    }
}
