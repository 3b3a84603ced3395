//! What a host says of its work: the answer of `jackfield.stats`.
//!
//! Counters begin with 0 when a plugin's method is first loaded, go on over reloads of its plugin, and
//! end with it. Whoever wants rates asks twice and takes the difference, by `since`. All numbers are
//! taken one after another: under load they need not add up.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::{Generation, Load};
use crate::name::ServiceName;
use crate::status::Status;

/// What a host has done since it started, and has in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// The host's name.
    pub host: String,
    /// The version of Jackfield that it runs.
    pub version: String,
    /// Milliseconds since it started. When it becomes less, every counter began anew.
    pub uptime_ms: u64,
    /// Calls that run and that wait.
    pub load: Load,
    /// Calls that it runs at once at most.
    pub concurrency: u32,
    /// It will close soon.
    pub draining: bool,
    /// Instances of guests that there are, idle ones too.
    pub instances: u64,
    /// Bytes of their linear memories.
    pub memory_bytes: u64,
    /// Versions that were replaced or removed and still have calls running.
    pub retired: u32,
    /// Calls that were refused before their method was found: malformed, of a service or method that
    /// is not here, of a caller that leaves too many answers unread.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<Status, u64>,
    /// Files of its folder that do not serve and that no service tells of, because none can be called
    /// like them: the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameless: Vec<NamelessFile>,
    /// Each service that it serves, by name.
    pub services: Vec<ServiceReport>,
}

/// A file that does not serve, and whose name can be no service's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamelessFile {
    /// Its name in the folder, with control characters escaped.
    pub file: String,
    /// Why it does not serve, and what to do.
    pub reason: String,
}

/// What a host says of its work for one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Which.
    pub service: ServiceName,
    /// The plugin's version, where it tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What serves.
    pub generation: Generation,
    /// Its calls that hold a place and that wait for one, those of older versions with them.
    pub load: Load,
    /// Instances of all its versions, idle ones too.
    pub instances: u64,
    /// Those of the version that serves which are kept warm and serve no call.
    pub idle: u64,
    /// Bytes of the linear memories of all its instances.
    pub memory_bytes: u64,
    /// Why its calls are refused for a while, when they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<String>,
    /// Its methods, in the component's order.
    pub methods: Vec<MethodReport>,
}

/// What a host says of its work for one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodReport {
    /// The name to call it by.
    pub name: String,
    /// Made by a tool for its own use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Calls that have ended, however they did: refusals, and callers that went away, too.
    pub calls: u64,
    /// Those that did not end well, by how they ended; nothing under `ok`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<Status, u64>,
    /// Calls that have begun and not ended: they wait or run.
    pub in_flight: u64,
    /// How long the calls that have ended took.
    pub latency: Latency,
}

/// Durations, counted in buckets. Of a call it is the time from when its stream began until its answer
/// was ready to be sent: with waiting for a place, without the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// All of them together, in nanoseconds.
    pub sum_ns: u64,
    /// Those buckets that are not empty, the shortest first.
    pub buckets: Vec<LatencyBucket>,
}

/// How many durations were longer than the bound before and no longer than this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyBucket {
    /// The bound in nanoseconds, one of [`LATENCY_BOUNDS`]; `None` for those beyond the last.
    pub up_to_ns: Option<u64>,
    /// How many.
    pub count: u64,
}

impl ServiceReport {
    /// Calls that have ended.
    pub fn calls(&self) -> u64 {
        self.methods.iter().map(|method| method.calls).sum()
    }

    /// Calls in which the guest trapped.
    pub fn traps(&self) -> u64 {
        self.methods.iter().map(|method| method.failed(Status::Trapped)).sum()
    }
}

impl MethodReport {
    /// Calls that ended with `status`, which is not `ok`.
    pub fn failed(&self, status: Status) -> u64 {
        self.failures.get(&status).copied().unwrap_or_default()
    }

    /// Calls that a person should care for: all that failed, but for errors of the method's own, bad
    /// arguments, and callers that went away.
    pub fn errors(&self) -> u64 {
        let callers = [Status::Application, Status::InvalidArgument, Status::Cancelled];
        let own = self.failures.iter().filter(|(status, _)| !callers.contains(status));
        own.map(|(_, count)| count).sum()
    }

    /// What happened between `before` and this; all of this when counting began anew meanwhile.
    pub fn since(&self, before: &Self) -> Self {
        if before.calls > self.calls {
            return self.clone();
        }
        let left = |(status, count): (&Status, &u64)| {
            let count = count.saturating_sub(before.failed(*status));
            (count > 0).then_some((*status, count))
        };
        Self {
            calls: self.calls - before.calls,
            failures: self.failures.iter().filter_map(left).collect(),
            latency: self.latency.since(&before.latency),
            ..self.clone()
        }
    }
}

impl Latency {
    /// From the count of each of [`LATENCY_BOUNDS`], and of what is beyond the last.
    pub fn new(sum_ns: u64, counts: impl IntoIterator<Item = u64>) -> Self {
        let bounds = LATENCY_BOUNDS.iter().map(|bound| Some(*bound)).chain([None]);
        let all = bounds.zip(counts).map(|(up_to_ns, count)| LatencyBucket { up_to_ns, count });
        Self { sum_ns, buckets: all.filter(|bucket| bucket.count > 0).collect() }
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// Their mean; `None` without any.
    pub fn mean(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.sum_ns.checked_div(self.count())?))
    }

    /// The duration that a share `q` of them, between 0 and 1, does not exceed, to about a tenth;
    /// `None` without any. What is beyond the last bound counts as that.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "a bucket is wider than the loss")]
        let mut left = self.count() as f64 * q.clamp(0.0, 1.0);
        for bucket in &self.buckets {
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            let count = bucket.count as f64;
            if left <= count || Some(bucket) == self.buckets.last() {
                let (low, high) = bucket.ends();
                let share = (left / count).clamp(0.0, 1.0);
                return Some(low + (high - low).mul_f64(share));
            }
            left -= count;
        }
        None
    }

    /// Those of this that were not in `before`.
    pub fn since(&self, before: &Self) -> Self {
        let left = |bucket: &LatencyBucket| {
            let same = before.buckets.iter().find(|other| other.up_to_ns == bucket.up_to_ns);
            let count = bucket.count.saturating_sub(same.map_or(0, |same| same.count));
            (count > 0).then_some(LatencyBucket { count, ..*bucket })
        };
        Self {
            sum_ns: self.sum_ns.saturating_sub(before.sum_ns),
            buckets: self.buckets.iter().filter_map(left).collect(),
        }
    }

    /// Adds those of `other`, as of another host.
    pub fn add(&mut self, other: &Self) {
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        let key = |bucket: &LatencyBucket| bucket.up_to_ns.unwrap_or(u64::MAX);
        for bucket in &other.buckets {
            match self.buckets.binary_search_by_key(&key(bucket), key) {
                Ok(at) => self.buckets[at].count += bucket.count,
                Err(at) => self.buckets.insert(at, *bucket),
            }
        }
    }
}

impl LatencyBucket {
    /// Its lower and its upper end; for what is beyond the last bound both are that.
    pub fn ends(&self) -> (Duration, Duration) {
        let last = LATENCY_BOUNDS[LATENCY_BOUNDS.len() - 1];
        let Some(high) = self.up_to_ns else {
            return (Duration::from_nanos(last), Duration::from_nanos(last));
        };
        let below = LATENCY_BOUNDS.partition_point(|bound| *bound < high).checked_sub(1);
        let low = below.map_or(0, |at| LATENCY_BOUNDS[at]);
        (Duration::from_nanos(low), Duration::from_nanos(high))
    }
}

/// Which of the buckets a duration belongs to; the one after the last bound for what is beyond.
pub fn latency_bucket(duration: Duration) -> usize {
    let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    LATENCY_BOUNDS.partition_point(|bound| *bound < ns)
}

/// Upper bounds of the buckets in nanoseconds: from 1 µs to 100 s, ten in each power of ten (the
/// series R10 of ISO 3), so that a quantile is right to about a tenth, and 1, 2 and 5 are among them.
pub const LATENCY_BOUNDS: [u64; 81] = bounds();

const fn bounds() -> [u64; 81] {
    let series = [1000, 1250, 1600, 2000, 2500, 3200, 4000, 5000, 6300, 8000];
    let (mut bounds, mut at, mut scale) = ([0; 81], 0, 1);
    while at < bounds.len() {
        bounds[at] = series[at % 10] * scale;
        at += 1;
        if at % 10 == 0 {
            scale *= 10;
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(durations: impl IntoIterator<Item = Duration>) -> Latency {
        let (mut counts, mut sum) = ([0; LATENCY_BOUNDS.len() + 1], Duration::ZERO);
        for duration in durations {
            counts[latency_bucket(duration)] += 1;
            sum += duration;
        }
        Latency::new(u64::try_from(sum.as_nanos()).unwrap(), counts)
    }

    #[test]
    fn bounds_rise_from_a_microsecond_to_a_hundred_seconds() {
        assert!(LATENCY_BOUNDS.is_sorted_by(|a, b| a < b));
        assert_eq!(LATENCY_BOUNDS[0], 1_000);
        assert_eq!(LATENCY_BOUNDS[80], 100_000_000_000);
        for round in [10_000, 20_000, 50_000, 1_000_000, 2_500_000, 5_000_000_000] {
            assert!(LATENCY_BOUNDS.contains(&round), "{round}");
        }
    }

    #[test]
    fn a_duration_belongs_to_the_first_bound_that_it_does_not_exceed() {
        for (ns, bucket) in [(0, 0), (1_000, 0), (1_001, 1), (100_000_000_000, 80)] {
            assert_eq!(latency_bucket(Duration::from_nanos(ns)), bucket, "{ns}");
        }
        assert_eq!(latency_bucket(Duration::MAX), 81);
    }

    #[test]
    fn quantiles_are_right_to_about_a_tenth() {
        let latency = of((1..=1000).map(Duration::from_micros));
        for (q, right) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latency.quantile(q).unwrap().as_secs_f64() * 1e6;
            assert!((found - right).abs() < right * 0.13, "{q}: {found} for {right}");
        }
        assert_eq!(latency.mean(), Some(Duration::from_nanos(500_500)));
        assert_eq!((Latency::default().quantile(0.5), Latency::default().mean()), (None, None));
        assert_eq!(of([Duration::MAX / 2 / 1_000_000_000]).count(), 1);
        assert_eq!(of([Duration::from_secs(200)]).quantile(0.5), Some(Duration::from_secs(100)));
    }

    #[test]
    fn what_two_hosts_measured_adds_up_and_what_was_before_comes_off() {
        let (fast, slow) = (of([Duration::from_micros(3); 5]), of([Duration::from_secs(1); 2]));
        let mut both = slow.clone();
        both.add(&fast);
        assert_eq!(both.count(), 7);
        assert!(both.buckets.is_sorted_by_key(|bucket| bucket.up_to_ns));
        assert_eq!(both.since(&slow), fast);
    }

    #[test]
    fn a_method_that_began_anew_has_all_its_calls_since() {
        let method = |calls, trapped| MethodReport {
            name: "f".into(),
            hidden: false,
            calls,
            failures: BTreeMap::from([(Status::Trapped, trapped), (Status::Application, 1)]),
            in_flight: 0,
            latency: Latency::default(),
        };
        let since = method(9, 4).since(&method(5, 3));
        assert_eq!((since.calls, since.failed(Status::Trapped), since.errors()), (4, 1, 1));
        assert_eq!(method(2, 1).since(&method(5, 3)), method(2, 1));
    }

    #[test]
    fn a_report_survives_json_and_later_fields() {
        let json = r#"{"host":"a","version":"1","uptime_ms":5,"load":{"in_flight":1,"queued":0},
            "concurrency":8,"draining":false,"instances":1,"memory_bytes":65536,"retired":0,
            "refused":{"not-found":2},"later":[],"services":[{"service":"calc",
            "generation":"00000000000000000000000000000001","load":{"in_flight":1,"queued":0},
            "instances":1,"idle":0,"memory_bytes":65536,"methods":[{"name":"add","calls":1,
            "failures":{"deadline-exceeded":1},"in_flight":0,
            "latency":{"sum_ns":7,"buckets":[{"up_to_ns":null,"count":1}]}}]}]}"#;
        let report: HostReport = serde_json::from_str(json).unwrap();
        assert_eq!(report.refused[&Status::NotFound], 2);
        assert_eq!(report.services[0].methods[0].failed(Status::DeadlineExceeded), 1);
        let again = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<HostReport>(&again).unwrap(), report);
    }
}
