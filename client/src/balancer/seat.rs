//! A place on an endpoint for one attempt, and what its end teaches.

use std::sync::Arc;
use std::time::Duration;

use jackfield_wire::{InstanceId, Load};

use super::{Balancer, Service};
use crate::candidates::Set;
use crate::ejection::{Line, Peers, slow_ones};
use crate::snapshot::{Endpoint, Snapshot};
use crate::stats::Occupied;

/// One attempt on one endpoint. Dropped without a verdict it counts as given up.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) endpoint: Endpoint,
    pub(crate) terms: SeatTerms,
    balancer: Arc<Balancer>,
    service: Arc<Service>,
    snapshot: Arc<Snapshot>,
    /// Counts the attempt until the seat is dropped.
    _occupied: Occupied,
}

/// How a seat was taken.
#[derive(Debug)]
pub(crate) struct SeatTerms {
    /// What it was picked from, unless it is another attempt.
    pub(super) set: Option<Arc<Set>>,
    /// The endpoint is out, and this call shall show whether it is well.
    pub(super) is_on_trial: bool,
    /// The client itself connects to it.
    pub(super) is_dialled: bool,
}

/// What became of an attempt, as far as it says something of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It did what it was asked.
    Answered,
    /// It was slow, and another one was faster.
    Overtaken,
    /// It said no, with reason: the fault is the caller's.
    Refused,
    /// It has too much to do.
    Busy,
    /// It failed, the connection broke, or no answer came in time.
    Failed,
    /// It could not be connected to.
    Unreachable,
    /// Somebody else is there.
    Misplaced,
}

impl Seat {
    pub(super) fn new(
        balancer: &Arc<Balancer>,
        service: Arc<Service>,
        snapshot: &Arc<Snapshot>,
        endpoint: Endpoint,
        terms: SeatTerms,
    ) -> Self {
        let _occupied = endpoint.stats.occupy(&service.in_flight);
        let (balancer, snapshot) = (balancer.clone(), snapshot.clone());
        Self { endpoint, terms, balancer, service, snapshot, _occupied }
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Takes note of how the attempt ended.
    pub(crate) fn conclude(mut self, verdict: Verdict, elapsed: Duration, load: Option<Load>) {
        let (stats, now) = (&self.endpoint.stats, self.balancer.now());
        if let Some(load) = load {
            stats.reported(load, now);
        }
        match verdict {
            Verdict::Answered => {
                stats.succeeded(elapsed, now);
                self.service.latencies.add(elapsed);
            }
            Verdict::Overtaken => stats.overtaken(elapsed, now),
            Verdict::Refused => stats.cleared(),
            _ => stats.penalized(elapsed, now),
        }
        let is_well = matches!(verdict, Verdict::Answered | Verdict::Refused | Verdict::Busy);
        if verdict != Verdict::Overtaken && std::mem::take(&mut self.terms.is_on_trial) {
            self.end_trial(Some(is_well));
        }
        self.leave_out(verdict);
        if self.service.is_time_to_look(now) {
            self.look(now);
        }
    }

    fn leave_out(&self, verdict: Verdict) {
        let most = self.balancer.ejector.policy.consecutive_failures;
        match verdict {
            Verdict::Answered | Verdict::Overtaken | Verdict::Refused | Verdict::Busy => {}
            Verdict::Failed => {
                if self.endpoint.stats.failed() >= most && most > 0 {
                    self.eject(&self.endpoint);
                }
            }
            Verdict::Misplaced => _ = self.eject(&self.endpoint),
            Verdict::Unreachable => {
                if let Some(line) = self.line(&self.endpoint) {
                    self.balancer.unreachable(Line { host: None, ..line });
                }
            }
        }
    }

    /// Outliers by latency, and a zone that has too much to do.
    fn look(&self, now: Duration) {
        let Some(set) = &self.terms.set else { return };
        set.look_at_crowds(now);
        let seen: Vec<_> = set.best().iter().map(|it| it.stats.take_window()).collect();
        for at in slow_ones(&seen, &self.balancer.ejector.policy) {
            let it = &set.best()[at];
            if self.eject(it) {
                let (host, latency) = (&it.instance.host, seen[at].1);
                tracing::debug!(service = %self.service.name, host, ?latency, "far slower than others");
            }
        }
    }

    fn eject(&self, endpoint: &Endpoint) -> bool {
        let service = self.service.name.as_str();
        let (at, id) = (self.balancer.moment(), &endpoint.instance.id);
        let include = |id: &InstanceId| self.snapshot.endpoint(service, id).is_some();
        let peers = Peers { count: self.snapshot.endpoints(service).len(), include };
        let line = self.line(endpoint);
        let is_out = self.balancer.ejector.change(|core| core.eject(id, line, peers, at));
        if is_out {
            self.balancer.ejector.telemetry.outlier();
            tracing::debug!(service, instance = %id, "an outlier; left out for a while");
        }
        is_out
    }

    fn line(&self, endpoint: &Endpoint) -> Option<Line> {
        let address = endpoint.address.filter(|_| self.terms.is_dialled)?;
        Some(Line { address, host: Some(endpoint.instance.host.clone()) })
    }

    fn end_trial(&self, is_well: Option<bool>) {
        let (id, at) = (&self.endpoint.instance.id, self.balancer.moment());
        self.balancer.ejector.change(|core| core.tried(id, is_well, at));
        if is_well == Some(true) {
            tracing::debug!(instance = %id, "answers again");
            self.endpoint.stats.welcome(at.now);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.terms.is_on_trial {
            self.end_trial(None);
        }
    }
}
