//! Who is left out for a while, for how long, and how it comes back. Pure.
//!
//! An instance that fails several calls in a row, or is far slower than its peers, is an outlier:
//! it takes no calls until its time is over, then its connection is tried, then one call; when that
//! goes well it is back, with a growing share. Each time in a row the time doubles. An address that
//! cannot be reached is left out for every service that is there; trying it costs no call.
//!
//! Only a share of a service's instances may be outliers at once, and when too few are left all of
//! them are used ([`crate::candidates`]): if everyone fails, the fault is elsewhere. Cases end when
//! the instance has been back for a while, or is gone.

mod policy;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use jackfield_transport::Backoff;
use jackfield_wire::InstanceId;

pub use policy::EjectionPolicy;

/// Who is or was out.
#[derive(Debug)]
pub(crate) struct Ejection {
    policy: EjectionPolicy,
    instances: HashMap<InstanceId, Case>,
    addresses: HashMap<SocketAddr, Case>,
    /// Counts the changes of who is out.
    version: u64,
}

/// Something whose time is over: its connection is to be tried, and the outcome told by
/// [`Ejection::probed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// `None` when it is about the address alone.
    pub(crate) instance: Option<InstanceId>,
    pub(crate) line: Line,
}

/// How something is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    /// Whose certificate must be shown there; anyone's without.
    pub(crate) host: Option<String>,
}

#[derive(Debug)]
struct Case {
    stage: Stage,
    /// Ejections in a row.
    times: u32,
    /// How long the last one was.
    span: Duration,
    /// `None` for what the client has no connection to: it is tried by a call alone.
    line: Option<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Until then nothing goes there.
    Out { until: Duration },
    /// Its connection is being tried.
    Probing,
    /// The next call may go there.
    Ready,
    /// One call is there.
    Trying,
    /// It is back since then; kept so that another ejection soon is a longer one.
    Back { since: Duration },
}

/// How an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    In,
    Outlier,
    Unreachable,
}

/// The instances of a service, to bound how many of them are out.
pub(crate) struct Peers<F> {
    /// How many there are.
    pub(crate) count: usize,
    /// Whether an instance is one of them.
    pub(crate) include: F,
}

impl Ejection {
    pub(crate) fn new(policy: EjectionPolicy) -> Self {
        Self { policy, instances: HashMap::new(), addresses: HashMap::new(), version: 0 }
    }

    pub(crate) fn policy(&self) -> &EjectionPolicy {
        &self.policy
    }

    /// Leaves an instance out, unless too many of its peers are out already. Says whether it is out
    /// by this.
    pub(crate) fn eject(
        &mut self,
        id: &InstanceId,
        line: Option<Line>,
        peers: Peers<impl Fn(&InstanceId) -> bool>,
        at: Moment,
    ) -> bool {
        let is_peer = |(peer, case): &(&InstanceId, &Case)| case.is_out() && (peers.include)(peer);
        let out = self.instances.iter().filter(is_peer).count();
        let most = peers.count * self.policy.max_ejected_percent as usize / 100;
        // One of two or more may always go, or a share below 1/n would switch this off.
        let most = most.max(1).min(peers.count.saturating_sub(1));
        let earlier = self.instances.get(id);
        if out >= most || earlier.is_some_and(Case::is_out) {
            return false;
        }
        let case = Case::out(earlier, line, &self.policy, at);
        self.instances.insert(id.clone(), case);
        self.version += 1;
        true
    }

    /// Leaves an address out, which is certain not to answer. Says whether it is out by this.
    pub(crate) fn unreachable(&mut self, line: Line, at: Moment) -> bool {
        let (address, earlier) = (line.address, self.addresses.get(&line.address));
        if earlier.is_some_and(Case::is_out) {
            return false;
        }
        let case = Case::out(earlier, Some(line), &self.policy, at);
        self.addresses.insert(address, case);
        self.version += 1;
        true
    }

    /// Somebody reached it. Says whether that changes how it stands.
    pub(crate) fn reached(&mut self, address: SocketAddr, now: Duration) -> bool {
        let case = self.addresses.get_mut(&address).filter(|case| case.is_out());
        let is_back = case.map(|case| case.stage = Stage::Back { since: now }).is_some();
        self.version += u64::from(is_back);
        is_back
    }

    /// Begins to try those whose time is over.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<Probe> {
        let instances = self.instances.iter_mut().map(|(id, case)| (Some(id), case));
        let addresses = self.addresses.values_mut().map(|case| (None, case));
        let begin = |(id, case): (Option<&InstanceId>, &mut Case)| {
            let line = case.begin(now)?;
            Some(Probe { instance: id.cloned(), line })
        };
        let due = instances.chain(addresses).filter_map(begin).collect();
        self.instances.retain(|_, case| case.is_recent(now));
        self.addresses.retain(|_, case| case.is_recent(now));
        due
    }

    /// How a probe ended. An address is back with its connection, an instance must also answer a
    /// call. Says whether somebody is back.
    pub(crate) fn probed(&mut self, probe: &Probe, is_up: bool, at: Moment) -> bool {
        let case = match &probe.instance {
            Some(id) => self.instances.get_mut(id),
            None => self.addresses.get_mut(&probe.line.address),
        };
        let Some(case) = case.filter(|case| case.stage == Stage::Probing) else { return false };
        match probe.instance {
            _ if !is_up => *case = Case::out(Some(case), case.line.clone(), &self.policy, at),
            Some(_) => case.stage = Stage::Ready,
            None => case.stage = Stage::Back { since: at.now },
        }
        let is_back = is_up && probe.instance.is_none();
        self.version += u64::from(is_back);
        is_back
    }

    /// Lets one call go to an instance that waits for one and that this call may go to.
    pub(crate) fn try_one(&mut self, may: impl Fn(&InstanceId) -> bool) -> Option<InstanceId> {
        let mut cases = self.instances.iter_mut();
        let (id, case) = cases.find(|(id, case)| case.stage == Stage::Ready && may(id))?;
        case.stage = Stage::Trying;
        Some(id.clone())
    }

    /// How that call ended; `None` when it was given up, so that nobody knows.
    pub(crate) fn tried(&mut self, id: &InstanceId, is_well: Option<bool>, at: Moment) {
        let case = self.instances.get_mut(id).filter(|case| case.stage == Stage::Trying);
        let Some(case) = case else { return };
        match is_well {
            Some(true) => {
                case.stage = Stage::Back { since: at.now };
                self.version += 1;
            }
            Some(false) => *case = Case::out(Some(case), case.line.clone(), &self.policy, at),
            None => case.stage = Stage::Ready,
        }
    }

    /// How an endpoint stands.
    pub(crate) fn bar(&self, id: &InstanceId, address: Option<SocketAddr>) -> Bar {
        if address.is_some_and(|address| self.is_unreachable(address)) {
            return Bar::Unreachable;
        }
        match self.instances.get(id) {
            Some(case) if case.is_out() => Bar::Outlier,
            _ => Bar::In,
        }
    }

    pub(crate) fn is_unreachable(&self, address: SocketAddr) -> bool {
        self.addresses.get(&address).is_some_and(Case::is_out)
    }

    /// How many are out, instances and addresses.
    pub(crate) fn out(&self) -> usize {
        self.instances.values().chain(self.addresses.values()).filter(|it| it.is_out()).count()
    }

    /// Another number whenever who is out has changed, and only then: sets are computed anew for it.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whether somebody waits for a call.
    pub(crate) fn is_anyone_ready(&self) -> bool {
        self.instances.values().any(|case| case.stage == Stage::Ready)
    }

    /// When somebody's time is next over.
    pub(crate) fn wakes(&self) -> Option<Duration> {
        let cases = self.instances.values().chain(self.addresses.values());
        cases.filter_map(Case::wakes).min()
    }

    /// Forgets everyone else.
    pub(crate) fn keep_only(
        &mut self,
        is_known: impl Fn(&InstanceId) -> bool,
        is_served: impl Fn(SocketAddr) -> bool,
    ) {
        self.instances.retain(|id, _| is_known(id));
        self.addresses.retain(|address, _| is_served(*address));
        self.version += 1;
    }
}

/// Now, and a uniformly drawn number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Duration,
    pub(crate) entropy: u64,
}

impl Case {
    fn out(
        earlier: Option<&Self>,
        line: Option<Line>,
        policy: &EjectionPolicy,
        at: Moment,
    ) -> Self {
        let times = match earlier {
            Some(case) if case.is_recent(at.now) => case.times.saturating_add(1),
            _ => 1,
        };
        let bounds = Backoff { first: policy.first_time, most: policy.max_time, factor: 2.0 };
        let span = bounds.bound(times);
        // Up to a quarter more, so that many clients do not all try in the same moment.
        let jitter = Backoff { first: span / 4, ..bounds }.pause(1, at.entropy);
        Self {
            stage: Stage::Out { until: at.now.saturating_add(span).saturating_add(jitter) },
            times,
            span,
            line,
        }
    }

    fn is_out(&self) -> bool {
        !matches!(self.stage, Stage::Back { .. })
    }

    /// Whether another ejection now is one in a row.
    fn is_recent(&self, now: Duration) -> bool {
        match self.stage {
            Stage::Back { since } => now.saturating_sub(since) < self.span.max(SHORTEST_MEMORY) * 2,
            _ => true,
        }
    }

    /// Gives what is to be connected to when its time is over. Without a connection a call is all
    /// there is to try.
    fn begin(&mut self, now: Duration) -> Option<Line> {
        if !matches!(self.stage, Stage::Out { until } if until <= now) {
            return None;
        }
        self.stage = if self.line.is_some() { Stage::Probing } else { Stage::Ready };
        self.line.clone()
    }

    fn wakes(&self) -> Option<Duration> {
        match self.stage {
            Stage::Out { until } => Some(until),
            Stage::Probing | Stage::Ready | Stage::Trying | Stage::Back { .. } => None,
        }
    }
}

/// Which of these are far slower than the others: `(answers, mean latency)` of each since the last
/// look. Nobody is while fewer than three have answered often enough to be compared.
pub(crate) fn slow_ones(seen: &[(u32, Duration)], policy: &EjectionPolicy) -> Vec<usize> {
    let known = |&&(answers, _): &&(u32, Duration)| answers >= policy.latency_answers;
    let mut means: Vec<Duration> = seen.iter().filter(known).map(|(_, mean)| *mean).collect();
    if policy.latency_factor <= 0.0 || means.len() < 3 {
        return Vec::new();
    }
    means.sort_unstable();
    let median = means[(means.len() - 1) / 2];
    // What no duration can hold is beyond every latency: nobody is slow.
    let multiple = Duration::try_from_secs_f64(median.as_secs_f64() * policy.latency_factor);
    let most = multiple.unwrap_or(Duration::MAX).max(median.saturating_add(policy.latency_floor));
    let is_slow = |(_, it): &(usize, &(u32, Duration))| known(it) && it.1 > most;
    seen.iter().enumerate().filter(is_slow).map(|(at, _)| at).collect()
}

/// One that flaps faster than this is still one that flaps.
const SHORTEST_MEMORY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
