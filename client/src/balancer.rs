//! From a service to the endpoint of the next attempt, and back with what became of it.
//!
//! All state that outlives a call is here: what is left out, and for each service its pickers, its
//! budget and the sets that were computed for it. A [`Seat`] must be concluded; one that is dropped
//! counts as given up, so that a cancelled call leaves nothing behind. Opens no connection.

mod seat;
mod service;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::{InstanceId, ServiceName};
use tokio::time::Instant;

use crate::budget::RetryBudget;
use crate::chance::Chance;
use crate::ejection::{EjectionPolicy, Line, Moment, Probe};
use crate::ejector::Ejector;
use crate::filter::Filter;
use crate::picker::{Draw, Picker, PickerChoice};
use crate::snapshot::{Endpoint, Snapshot};

pub(crate) use seat::{Seat, SeatTerms, Verdict};
pub(crate) use service::Service;

/// Everything that is known of services and endpoints beyond the snapshot.
#[derive(Debug)]
pub(crate) struct Balancer {
    began: Instant,
    chance: Chance,
    ejector: Ejector,
    budget: RetryBudget,
    /// Held to look up or add one, never across an await. Grows with the services that are called
    /// and known: unknown ones never get here.
    services: RwLock<HashMap<ServiceName, Arc<Service>>>,
    unlisted: Arc<Service>,
}

/// What the next attempt is looking for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) service: &'a ServiceName,
    pub(crate) filter: &'a Arc<Filter>,
    pub(crate) picker: &'a PickerChoice,
    pub(crate) key: Option<&'a str>,
    /// The client itself connects to it, so it must have an address and can be probed.
    pub(crate) is_dialled: bool,
    /// Where attempts of this call went already.
    pub(crate) tried: &'a [InstanceId],
}

impl Wanted<'_> {
    fn has_tried(&self, endpoint: &Endpoint) -> bool {
        self.tried.contains(&endpoint.instance.id)
    }
}

impl Balancer {
    pub(crate) fn new(policy: EjectionPolicy, budget: RetryBudget, chance: Chance) -> Self {
        let (began, ejector) = (Instant::now(), Ejector::new(policy));
        let name = ServiceName::new(BUILTIN_SERVICE).expect("a constant that is a name");
        let unlisted = Arc::new(Service::new(name, budget));
        Self { began, chance, ejector, budget, services: RwLock::default(), unlisted }
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { now: self.began.elapsed(), entropy: self.chance.draw() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// What is kept, together, of every service that is called at an address and not chosen: such
    /// names nobody has vouched for, so they must not fill the memory.
    pub(crate) fn unlisted(&self) -> &Arc<Service> {
        &self.unlisted
    }

    /// What is kept of a service.
    pub(crate) fn service(&self, name: &ServiceName) -> Arc<Service> {
        let known = self.services.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.unwrap_or_else(|| {
            let mut all = self.services.write().unwrap_or_else(PoisonError::into_inner);
            let service = || Arc::new(Service::new(name.clone(), self.budget));
            all.entry(name.clone()).or_insert_with(service).clone()
        })
    }

    /// A place on the endpoint that takes the attempt; `None` when there is nobody.
    pub(crate) fn choose(
        self: &Arc<Self>,
        snapshot: &Arc<Snapshot>,
        wanted: &Wanted<'_>,
    ) -> Option<Seat> {
        if snapshot.endpoints(wanted.service.as_str()).is_empty() && !is_builtin(wanted.service) {
            return None;
        }
        let (service, at) = (self.service(wanted.service), self.moment());
        let is_dialled = wanted.is_dialled;
        let mut terms = SeatTerms { set: None, is_on_trial: false, is_dialled };
        let seat =
            |endpoint, terms| Some(Seat::new(self, service.clone(), snapshot, endpoint, terms));
        if let Some(endpoint) = self.on_trial(snapshot, wanted) {
            terms.is_on_trial = true;
            return seat(endpoint, terms);
        }
        if !wanted.tried.is_empty()
            && let Some(endpoint) = self.another(snapshot, &service, wanted, at)
        {
            return seat(endpoint, terms);
        }
        let set = service.set(snapshot, wanted, &self.ejector)?;
        let picker = service.picker(wanted.picker, at.entropy);
        let endpoint = self.pick(&*picker, set.choices(), wanted, at);
        terms.set = Some(set);
        seat(endpoint, terms)
    }

    /// Whether somebody is left who was not tried.
    pub(crate) fn is_another_left(&self, snapshot: &Snapshot, wanted: &Wanted<'_>) -> bool {
        let is_left = |endpoint: &Endpoint| {
            endpoint.instance.enabled
                && is_suitable(endpoint, wanted)
                && !wanted.has_tried(endpoint)
        };
        match is_builtin(wanted.service) {
            true => endpoints(snapshot, wanted.service).into_iter().any(is_left),
            false => snapshot.endpoints(wanted.service.as_str()).iter().any(is_left),
        }
    }

    /// Endpoints whose time out is over; each is to be connected to, and [`Self::probed`] told.
    pub(crate) fn due(&self) -> Vec<Probe> {
        let now = self.now();
        if !self.ejector.is_due(now) {
            return Vec::new();
        }
        self.ejector.change(|core| core.due(now))
    }

    pub(crate) fn probed(&self, snapshot: &Snapshot, probe: &Probe, is_up: bool) {
        let at = self.moment();
        if self.ejector.change(|core| core.probed(probe, is_up, at)) {
            self.welcome(snapshot, probe.line.address, at.now);
        }
    }

    /// Nobody answers at an address.
    pub(crate) fn unreachable(&self, line: Line) {
        let (at, address) = (self.moment(), line.address);
        if self.ejector.change(|core| core.unreachable(line, at)) {
            self.ejector.telemetry.unreachable();
            tracing::debug!(%address, "cannot be reached; left out");
        }
    }

    /// Somebody answers at an address.
    pub(crate) fn reached(&self, snapshot: &Snapshot, address: SocketAddr) {
        let now = self.now();
        if self.ejector.change(|core| core.reached(address, now)) {
            self.welcome(snapshot, address, now);
        }
    }

    /// Whether an address is left out. Takes no lock while nothing is: calls ask this.
    pub(crate) fn is_unreachable(&self, address: SocketAddr) -> bool {
        self.ejector.is_anyone_out() && self.ejector.look().is_unreachable(address)
    }

    /// Forgets what the registry does not hold for healthy: those come after the others anyway, and
    /// one that is healthy again has just been started.
    pub(crate) fn keep_only(&self, snapshot: &Snapshot) {
        if !self.ejector.is_anyone_out() {
            return;
        }
        let healthy = || snapshot.all_endpoints().filter(|it| it.instance.is_available());
        let ids: HashSet<_> = healthy().map(|it| &it.instance.id).collect();
        let addresses: HashSet<_> = healthy().filter_map(|it| it.address).collect();
        self.ejector.keep_only(|id| ids.contains(id), |address| addresses.contains(&address));
    }

    /// Forgets every address but these, without a registry.
    pub(crate) fn keep_addresses(&self, served: &[SocketAddr]) {
        if self.ejector.is_anyone_out() {
            self.ejector.keep_only(|_| true, |address| served.contains(&address));
        }
    }

    fn welcome(&self, snapshot: &Snapshot, address: SocketAddr, now: Duration) {
        tracing::debug!(%address, "is back");
        let there = snapshot.all_endpoints().filter(|it| it.address == Some(address));
        there.for_each(|endpoint| endpoint.stats.welcome(now));
    }

    /// One that waits for a call to show that it is well, and that this call may go to.
    fn on_trial(&self, snapshot: &Snapshot, wanted: &Wanted<'_>) -> Option<Endpoint> {
        if !self.ejector.is_anyone_ready() {
            return None;
        }
        let find = |id: &InstanceId| {
            let endpoint = snapshot.endpoint(wanted.service.as_str(), id)?;
            let is_well = endpoint.instance.is_available() && is_suitable(endpoint, wanted);
            (is_well && !wanted.has_tried(endpoint)).then_some(endpoint)
        };
        let id = self.ejector.change(|core| core.try_one(|id| find(id).is_some()))?;
        find(&id).cloned()
    }

    /// One that was not tried: of those that take calls, and only when all of them were, of the
    /// rest.
    fn another(
        &self,
        snapshot: &Arc<Snapshot>,
        service: &Service,
        wanted: &Wanted<'_>,
        at: Moment,
    ) -> Option<Endpoint> {
        let was_tried = |it: &Endpoint| wanted.has_tried(it);
        let set = service.set(snapshot, wanted, &self.ejector)?;
        let mut untried = crate::candidates::some_of(set.choices(), was_tried, at.entropy);
        if untried.is_empty() {
            let mut endpoints = endpoints(snapshot, wanted.service);
            endpoints.retain(|endpoint| is_suitable(endpoint, wanted));
            let core = self.ejector.look();
            let bar = |it: &Endpoint| core.bar(&it.instance.id, it.address);
            untried =
                crate::candidates::untried(&endpoints, wanted.filter, bar, was_tried, at.entropy);
        }
        if untried.is_empty() {
            return None;
        }
        let choices = crate::picker::Choices::new(untried, service.in_flight.clone());
        let picker = service.picker(wanted.picker, at.entropy);
        Some(self.pick(&*picker, &choices, wanted, at))
    }

    /// Picks, and picks anew when it hits one that has just come back, as often as its share is
    /// below a full one.
    fn pick(
        &self,
        picker: &dyn Picker,
        choices: &crate::picker::Choices,
        wanted: &Wanted<'_>,
        at: Moment,
    ) -> Endpoint {
        let slow_start = self.ejector.policy.slow_start;
        let mut draw = Draw { slow_start, ..Draw::new(at.entropy, wanted.key, at.now) };
        let mut picked = &choices[picker.pick(choices, &draw) % choices.len()];
        for _ in 0..MOST_REDRAWS {
            let share = draw.share(picked);
            if share >= 1.0 || self.chance.unit() < share {
                break;
            }
            draw.entropy = self.chance.draw();
            picked = &choices[picker.pick(choices, &draw) % choices.len()];
        }
        picked.clone()
    }
}

/// Who may answer. What every host answers itself may be asked of any, each once.
pub(crate) fn endpoints<'a>(snapshot: &'a Snapshot, service: &ServiceName) -> Vec<&'a Endpoint> {
    if !is_builtin(service) {
        return snapshot.endpoints(service.as_str()).iter().collect();
    }
    let mut all: Vec<_> = snapshot.all_endpoints().collect();
    all.sort_by_key(|endpoint| endpoint.address);
    all.dedup_by_key(|endpoint| endpoint.address);
    all
}

fn is_builtin(service: &ServiceName) -> bool {
    service.as_str() == BUILTIN_SERVICE
}

fn is_suitable(endpoint: &Endpoint, wanted: &Wanted<'_>) -> bool {
    wanted.filter.admits(&endpoint.instance) && (!wanted.is_dialled || endpoint.address.is_some())
}

/// When everyone has just come back, somebody takes the call in the end.
const MOST_REDRAWS: usize = 3;

#[cfg(test)]
mod simulation;
