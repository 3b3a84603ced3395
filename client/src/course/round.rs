//! One round of a course: an attempt, or two at once, and what they tell of the endpoints.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use jackfield_wire::Load;
use tokio::time::Instant;

use super::{Course, Done, Way};
use crate::attempt::{Failed, FailureKind};
use crate::balancer::Verdict;
use crate::client::{Inner, Source};
use crate::deadline::Deadline;
use crate::direct::Direct;
use crate::ejection::Line;
use crate::options::Hedge;
use crate::retry::Cure;
use crate::snapshot::Snapshot;

impl Course<'_> {
    /// One attempt, or two of which the second was made because the first was slow. The last
    /// failure is not yet in the history.
    pub(super) async fn round<T, W, F>(&mut self, way: Way, work: &W) -> Result<T, Failed>
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
}

impl Way {
    fn conclude(self, verdict: Verdict, elapsed: Duration, load: Option<Load>) {
        if let Self::Seat(seat) = self {
            seat.conclude(verdict, elapsed, load);
        }
    }
}
