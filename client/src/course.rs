//! The course of a call, or of a closure that is run for one: find, try, perhaps try again or twice
//! at once, conclude.
//!
//! What one attempt does is the caller's; where it goes, whether another follows and what the call
//! becomes is decided here. Everything ends with the future: a seat that is dropped gives its place
//! back, and so does an attempt.

mod end;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jackfield_wire::{Executed, InstanceId, Load, ServiceName};
use tokio::time::{Instant, timeout, timeout_at};

use crate::attempt::{Failed, FailureKind};
use crate::balancer::{Seat, Service, Verdict, Wanted};
use crate::client::{Inner, Source};
use crate::deadline::Deadline;
use crate::direct::Direct;
use crate::ejection::Line;
use crate::error::{Attempt, CallError, Exhaustion, NoAvailableInstance, NoInstance};
use crate::options::{CallOptions, Hedge};
use crate::picker::PickerChoice;
use crate::retry::{Cure, Decision, RetryPolicy, Standing};
use crate::snapshot::{Origin, Snapshot};
use crate::spec::Route;

/// What is to be done, whatever it is.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// For errors.
    pub(crate) target: String,
    /// The service whose instances are asked.
    pub(crate) service: &'a ServiceName,
    pub(crate) route: &'a Route,
    /// The call's and the client's together.
    pub(crate) options: &'a CallOptions,
    /// What the calling code inherited: how long its own caller still waits.
    pub(crate) left: Option<Duration>,
    /// The client itself connects to the instance.
    pub(crate) is_dialled: bool,
}

/// Where an attempt goes.
#[derive(Debug)]
pub(crate) enum Way {
    Seat(Seat),
    /// Without a registry, or past it.
    Address(SocketAddr),
}

/// An attempt that went well.
#[derive(Debug)]
pub(crate) struct Done<T> {
    pub(crate) value: T,
    pub(crate) load: Option<Load>,
}

/// A course that ended well.
#[derive(Debug)]
pub(crate) struct Finished<T> {
    pub(crate) value: T,
    pub(crate) elapsed: Duration,
    /// Those that failed before.
    pub(crate) attempts: Vec<Attempt>,
}

/// A course under way.
pub(crate) struct Course<'a> {
    inner: &'a Inner,
    job: Job<'a>,
    deadline: Deadline,
    retry: RetryPolicy,
    picker: PickerChoice,
    history: Vec<Attempt>,
    /// Of those, failures after which the host was waited for: they are no attempts on it.
    waits: usize,
    tried: Vec<InstanceId>,
    /// Once it is known that there is such a service.
    service: Option<Arc<Service>>,
}

impl<'a> Course<'a> {
    pub(crate) fn new(inner: &'a Inner, job: Job<'a>) -> Self {
        let registry = inner.settings(job.service);
        let registry = registry.as_ref();
        let deadline = Deadline::after(job.options.deadline_or(registry)).or_sooner(job.left);
        let retry = job.options.retry_or(registry);
        let picker = job.options.picker_or(registry);
        let (history, waits, tried, service) = (Vec::new(), 0, Vec::new(), None);
        Self { inner, job, deadline, retry, picker, history, waits, tried, service }
    }

    /// Goes on until an attempt went well, or no other may follow.
    pub(crate) async fn run<T, W, F>(mut self, work: W) -> Result<Finished<T>, CallError>
    where
        W: Fn(&Way, Deadline) -> F,
        F: Future<Output = Result<Done<T>, Failed>>,
    {
        let mut is_paid = false;
        loop {
            let way = match self.find().await {
                Ok(way) => way,
                Err(nobody) => {
                    if is_paid {
                        self.refund();
                    }
                    return Err(nobody);
                }
            };
            let failed = match self.round(way, &work).await {
                Ok(value) => {
                    let (elapsed, attempts) = (self.deadline.elapsed(), self.history);
                    return Ok(Finished { value, elapsed, attempts });
                }
                Err(failed) => failed,
            };
            if self.is_back(&failed).await {
                self.remember(&failed);
                (self.waits, is_paid) = (self.waits + 1, false);
                continue;
            }
            match self.decide(&failed) {
                Decision::Again(pause) => {
                    is_paid = true;
                    tokio::time::sleep(pause).await;
                }
                Decision::Exhausted(why) => return Err(end::exhausted(self, failed, why)),
                Decision::Final => return Err(end::conclude(self, failed)),
            }
            if let (Source::Direct(direct), FailureKind::Connect) =
                (&self.inner.source, failed.kind)
            {
                // A name server may be slower than the call may take.
                _ = timeout_at(
                    self.deadline.at(),
                    direct.refresh(&self.inner.pool, &self.inner.balancer),
                )
                .await;
            }
        }
    }

    /// One attempt, or two of which the second was made because the first was slow. The last
    /// failure is not yet in the history.
    async fn round<T, W, F>(&mut self, way: Way, work: &W) -> Result<T, Failed>
    where
        W: Fn(&Way, Deadline) -> F,
        F: Future<Output = Result<Done<T>, Failed>>,
    {
        let started = Instant::now();
        let mut first = pin!(work(&way, self.deadline));
        if let Some(wait) = self.hedge_after() {
            tokio::select! {
                biased;
                end = &mut first => return self.close(way, started, end),
                () = tokio::time::sleep(wait) => {}
            }
            if let Some(other) = self.hedge(&way) {
                let since = Instant::now();
                let mut second = pin!(work(&other, self.deadline));
                return tokio::select! {
                    biased;
                    end = &mut first => match self.close(way, started, end) {
                        Err(failed) if !failed.is_final() => {
                            self.remember(&failed);
                            let end = second.await;
                            self.close(other, since, end)
                        }
                        answer => answer,
                    },
                    end = &mut second => match self.close(other, since, end) {
                        Err(failed) if !failed.is_final() => {
                            self.remember(&failed);
                            let end = first.await;
                            self.close(way, started, end)
                        }
                        answer => {
                            way.conclude(Verdict::Overtaken, started.elapsed(), None);
                            answer
                        }
                    },
                };
            }
        }
        let end = first.await;
        self.close(way, started, end)
    }

    /// Tells the endpoint's record how the attempt ended.
    fn close<T>(
        &mut self,
        way: Way,
        started: Instant,
        end: Result<Done<T>, Failed>,
    ) -> Result<T, Failed> {
        match (&way, &self.inner.source) {
            (Way::Seat(seat), _) => self.tried.push(seat.endpoint.instance.id.clone()),
            (Way::Address(address), Source::Direct(direct)) => {
                self.note_direct(direct, *address, &end);
            }
            (Way::Address(_), Source::Registry(_)) => {}
        }
        match end {
            Ok(Done { value, load }) => {
                self.note_reached(&way);
                way.conclude(Verdict::Answered, started.elapsed(), load);
                Ok(value)
            }
            Err(failed) => {
                tracing::debug!(target = %self.job.target, attempt = %failed.attempt, "attempt failed");
                match failed.verdict() {
                    Some(verdict) => way.conclude(verdict, started.elapsed(), failed.load),
                    None => drop(way),
                }
                Err(failed)
            }
        }
    }

    /// Without a registry, addresses alone are left out and come back.
    fn note_direct<T>(&self, direct: &Direct, address: SocketAddr, end: &Result<T, Failed>) {
        let balancer = &self.inner.balancer;
        match end {
            Err(Failed { kind: FailureKind::Connect, outcome, .. }) => {
                if outcome.cure != Cure::Nothing {
                    balancer.unreachable(Line { address, host: None });
                }
            }
            _ => {
                direct.note_reached();
                if balancer.is_unreachable(address) {
                    balancer.reached(&Snapshot::default(), address);
                }
            }
        }
    }

    /// An address that was thought to be out of reach is not, unless its connection is about to end.
    fn note_reached(&self, way: &Way) {
        let (Way::Seat(seat), Source::Registry(shared)) = (way, &self.inner.source) else { return };
        let Inner { balancer, pool, .. } = self.inner;
        if let Some(address) = seat.endpoint.address.filter(|_| self.job.is_dialled)
            && balancer.is_unreachable(address)
            && !pool.reach().is_down(address)
        {
            balancer.reached(&shared.snapshot(), address);
        }
    }

    /// Waits for the only host there is, if it is away; says whether it has come back. Takes nothing
    /// from the budget: the host sees one dial for all who wait.
    async fn is_back(&self, failed: &Failed) -> bool {
        let Source::Direct(direct) = &self.inner.source else { return false };
        if matches!(self.job.route, Route::At(_)) || self.retry.max_retries == 0 {
            return false;
        }
        let Inner { pool, balancer, stop, .. } = self.inner;
        let is_closing = || direct.addresses().iter().all(|it| pool.reach().is_down(*it));
        let is_away = failed.outcome.executed == Executed::No
            && failed.outcome.cure == Cure::Time
            && (failed.kind == FailureKind::Connect || is_closing());
        let patience = direct.patience().min(self.deadline.total());
        let left = patience.saturating_sub(self.deadline.elapsed());
        if !is_away || left.is_zero() {
            return false;
        }
        let back = timeout(left, direct.back(pool, balancer));
        matches!(stop.run_until_cancelled(back).await, Some(Ok(())))
    }

    fn remember(&mut self, failed: &Failed) {
        self.history.push(Attempt::clone(&failed.attempt));
    }

    fn decide(&mut self, failed: &Failed) -> Decision {
        self.remember(failed);
        let standing = Standing {
            made: u32::try_from(self.history.len() - self.waits).unwrap_or(u32::MAX),
            idempotent: self.job.options.is_idempotent,
            another: self.is_another_left(),
            left: self.deadline.left(),
        };
        let entropy = self.inner.balancer.moment().entropy;
        match self.retry.decide(&failed.outcome, &standing, entropy) {
            Decision::Again(_) if !self.may_spend() => Decision::Exhausted(Exhaustion::Budget),
            decision => decision,
        }
    }

    fn may_spend(&self) -> bool {
        let now = self.inner.balancer.now();
        self.service.as_ref().is_none_or(|service| service.spend(now))
    }

    /// An attempt that was paid for cannot be made.
    fn refund(&self) {
        let now = self.inner.balancer.now();
        self.service.iter().for_each(|service| service.refund(now));
    }

    /// After how long a second attempt is made, if one may be.
    fn hedge_after(&self) -> Option<Duration> {
        match self.job.options.hedge? {
            Hedge::After(wait) => Some(wait),
            Hedge::AtP95 => self.service.as_ref()?.latencies.at(95),
        }
    }

    /// Where a second attempt goes while the first, at `way`, still runs.
    fn hedge(&mut self, way: &Way) -> Option<Way> {
        let (Way::Seat(seat), Source::Registry(shared)) = (way, &self.inner.source) else {
            return None;
        };
        self.tried.push(seat.endpoint.instance.id.clone());
        let snapshot = shared.snapshot();
        let balancer = &self.inner.balancer;
        let is_another_left = balancer.is_another_left(&snapshot, &self.wanted());
        if !is_another_left || !self.may_spend() {
            return None;
        }
        let seat = self.seat(&snapshot);
        if seat.is_none() {
            self.refund();
        }
        seat
    }

    /// The next endpoint. Waits only for what was never heard of.
    async fn find(&mut self) -> Result<Way, CallError> {
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
    fn seat(&self, snapshot: &Arc<Snapshot>) -> Option<Way> {
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

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            service: self.job.service,
            filter: &self.job.options.filter,
            picker: &self.picker,
            key: self.job.options.key.as_deref(),
            is_dialled: self.job.is_dialled,
            tried: &self.tried,
        }
    }

    fn is_another_left(&self) -> bool {
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

impl Way {
    fn conclude(self, verdict: Verdict, elapsed: Duration, load: Option<Load>) {
        if let Self::Seat(seat) = self {
            seat.conclude(verdict, elapsed, load);
        }
    }
}

/// How long a call for an unknown service waits for a registry that has just started: most hosts
/// register again within it, and a mistyped name does not look like a hang.
const SETTLE: Duration = Duration::from_secs(2);

/// Endpoints that one call may find down before it takes what it gets: a network that is gone as a
/// whole costs one call no more than this many looks.
const MOST_DOWN: usize = 8;
