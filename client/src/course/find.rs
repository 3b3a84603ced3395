//! Where the next attempt of a course goes, and what is said when there is nobody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Course, Way};
use crate::balancer::{Verdict, Wanted};
use crate::client::{Inner, Source};
use crate::error::{CallError, NoAvailableInstance, NoInstance};
use crate::snapshot::{Origin, Snapshot};
use crate::spec::Route;

impl Course<'_> {
    /// The next endpoint. Waits only for what was never heard of.
    pub(super) async fn find(&mut self) -> Result<Way, CallError> {
        self.inner.probe_those_due();
        if let Some(way) = self.way() {
            return Ok(self.begin(way));
        }
        let Source::Registry(shared) = &self.inner.source else {
            return Err(self.nobody(NoInstance::Direct));
        };
        if let Err(none) = shared.first(self.deadline.left()).await {
            return Err(self.nobody(NoInstance::NoRegistry(none)));
        }
        let service = self.job.service;
        let settled = |snapshot: &Snapshot| {
            snapshot.origin() != Origin::Gathering
                || !crate::balancer::endpoints(snapshot, service).is_empty()
        };
        // When the patience ends first, the set is as good as it gets.
        _ = shared.until(self.deadline.left().min(SETTLE), settled).await;
        self.heed_registry();
        match self.way() {
            Some(way) => Ok(self.begin(way)),
            None => Err(self.nobody(self.no_instance(&shared.snapshot()))),
        }
    }

    /// The registry's settings were not known when the call began.
    fn heed_registry(&mut self) {
        let registry = self.inner.settings(self.job.service);
        let registry = registry.as_ref();
        let total = self.job.options.deadline_or(registry);
        self.deadline = self.deadline.lasting(total).or_sooner(self.job.left);
        self.retry = self.job.options.retry_or(registry);
        self.picker = self.job.options.picker_or(registry);
    }

    /// A call begins with its first attempt: now there is such a service.
    fn begin(&mut self, way: Way) -> Way {
        if self.service.is_none() {
            let service = match &way {
                Way::Seat(seat) => seat.service().clone(),
                Way::Address(_) => self.inner.balancer.unlisted().clone(),
            };
            service.earn(self.inner.balancer.now());
            self.service = Some(service);
        }
        way
    }

    fn way(&self) -> Option<Way> {
        match (self.job.route, &self.inner.source) {
            (Route::At(address), _) => Some(Way::Address(*address)),
            (_, Source::Direct(_)) if !self.job.is_dialled => None,
            (_, Source::Direct(direct)) => {
                let Inner { pool, balancer, .. } = self.inner;
                let rank = |address: &SocketAddr| {
                    let is_out = balancer.is_unreachable(*address);
                    (self.went_to(address), is_out || pool.reach().is_down(*address))
                };
                direct.addresses().into_iter().min_by_key(rank).map(Way::Address)
            }
            (_, Source::Registry(shared)) => self.seat(&shared.snapshot()),
        }
    }

    /// A seat at an endpoint whose connection is not known to be bad, if there is one.
    pub(super) fn seat(&self, snapshot: &Arc<Snapshot>) -> Option<Way> {
        let Inner { balancer, pool, .. } = self.inner;
        for _ in 0..MOST_DOWN {
            let seat = balancer.choose(snapshot, &self.wanted())?;
            match seat.endpoint.address.filter(|_| self.job.is_dialled) {
                Some(address)
                    if !balancer.is_unreachable(address) && pool.reach().is_down(address) =>
                {
                    seat.conclude(Verdict::Unreachable, Duration::ZERO, None);
                }
                _ => return Some(Way::Seat(seat)),
            }
        }
        balancer.choose(snapshot, &self.wanted()).map(Way::Seat)
    }

    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            service: self.job.service,
            filter: &self.job.options.filter,
            picker: &self.picker,
            key: self.job.options.key.as_deref(),
            is_dialled: self.job.is_dialled,
            tried: &self.tried,
        }
    }

    pub(super) fn is_another_left(&self) -> bool {
        match (self.job.route, &self.inner.source) {
            (Route::At(_), _) => false,
            (_, Source::Direct(direct)) => {
                direct.addresses().iter().any(|address| !self.went_to(address))
            }
            (_, Source::Registry(shared)) => {
                self.inner.balancer.is_another_left(&shared.snapshot(), &self.wanted())
            }
        }
    }

    fn went_to(&self, address: &SocketAddr) -> bool {
        let address = address.to_string();
        self.history.iter().any(|attempt| attempt.address == address)
    }

    fn nobody(&mut self, reason: NoInstance) -> CallError {
        let service = self.job.service.clone();
        let attempts = std::mem::take(&mut self.history);
        CallError::NoAvailableInstance(Box::new(NoAvailableInstance { service, reason, attempts }))
    }

    fn no_instance(&self, snapshot: &Snapshot) -> NoInstance {
        let all = crate::balancer::endpoints(snapshot, self.job.service);
        let enabled = all.iter().filter(|endpoint| endpoint.instance.enabled).count();
        match (all.len(), enabled) {
            (0, _) => {
                let known = snapshot.services().map(|(name, _)| name.clone()).collect();
                NoInstance::UnknownService { known }
            }
            (count, 0) => NoInstance::AllDisabled { count },
            (_, count) => {
                let wanted = self.job.options.filter.to_string();
                NoInstance::NoneMatches { count, wanted }
            }
        }
    }
}

/// How long a call for an unknown service waits for a registry that has just started: most hosts
/// register again within it, and a mistyped name does not look like a hang.
const SETTLE: Duration = Duration::from_secs(2);

/// Endpoints that one call may find down before it takes what it gets: a network that is gone as a
/// whole costs one call no more than this many looks.
const MOST_DOWN: usize = 8;
