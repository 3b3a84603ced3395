//! The course of a call, or of a closure that is run for one: find, try, perhaps try again or twice
//! at once, conclude.
//!
//! What one attempt does is the caller's; where it goes, whether another follows and what the call
//! becomes is decided here. Everything ends with the future: a seat that is dropped gives its place
//! back, and so does an attempt.

mod end;
mod find;
mod round;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_wire::{Executed, InstanceId, Load, ServiceName};
use tokio::time::{timeout, timeout_at};

use crate::attempt::{Failed, FailureKind};
use crate::balancer::{Seat, Service};
use crate::client::{Inner, Source};
use crate::deadline::Deadline;
use crate::error::{Attempt, CallError, Exhaustion};
use crate::options::CallOptions;
use crate::picker::PickerChoice;
use crate::retry::{Cure, Decision, RetryPolicy, Standing};
use crate::spec::Route;

/// What is to be done, whatever it is.
pub(crate) struct Job<'a> {
    /// For errors.
    pub(crate) target: &'a (dyn fmt::Display + Sync),
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
}
