//! A host's numbers for exporters, through the `metrics` facade.
//!
//! Nothing is reported while calls run: whoever exports asks for a sample now and then, and what has
//! happened since the one before is reported then, out of the report that `jackfield.stats` gives
//! too. The names are in [`TABLE`], and in `docs/metrics.md`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use jackfield_wire::metric::Metric;
use jackfield_wire::reflect::{HostReport, Latency, MethodReport, ServiceReport};
use jackfield_wire::{Load, ServiceName, Status};

/// What was reported so far.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    /// Held while a sample is reported, so that no two report the same. Never across an await.
    reported: Mutex<Reported>,
}

#[derive(Debug, Default)]
struct Reported {
    refused: BTreeMap<Status, u64>,
    methods: HashMap<(ServiceName, String), MethodReport>,
    /// Services that have gauges, and whether they are there.
    services: HashMap<ServiceName, bool>,
}

/// What a sample tells besides the host's report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    /// Files that do not serve.
    pub(crate) rejected: usize,
    pub(crate) registered: bool,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        TABLE.iter().for_each(Metric::describe);
        Self::default()
    }

    /// Reports what has happened since the sample before, and how it is now.
    pub(crate) fn sample(&self, report: &HostReport, beside: Beside) {
        let mut reported = self.reported.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        host(report, beside);
        for (status, count) in &report.refused {
            let before = reported.refused.insert(*status, *count).unwrap_or_default();
            let more = count.saturating_sub(before);
            metrics::counter!(REFUSED, "status" => status.name()).increment(more);
        }
        for there in reported.services.values_mut() {
            *there = false;
        }
        for service in &report.services {
            reported.service(service);
        }
        reported.forget_gone(report);
    }
}

impl Reported {
    fn service(&mut self, report: &ServiceReport) {
        let name = &report.service;
        if self.services.contains_key(name) || self.services.len() < MOST_SERVICES {
            self.services.insert(name.clone(), true);
            gauges(report);
        }
        for method in &report.methods {
            let key = (name.clone(), method.name.clone());
            let is_known = self.methods.contains_key(&key);
            if method.calls == 0 || (!is_known && self.methods.len() >= MOST_METHODS) {
                continue;
            }
            let before = self.methods.insert(key, method.clone());
            let since = before.map_or_else(|| method.clone(), |before| method.since(&before));
            if since.calls > 0 {
                calls(name, &since);
            }
        }
    }

    /// A gauge keeps its last value: of a service that is gone that is nothing.
    fn forget_gone(&mut self, report: &HostReport) {
        for (name, _) in self.services.iter().filter(|(_, there)| !**there) {
            for gauge in OF_SERVICES {
                metrics::gauge!(gauge, "service" => name.to_string()).set(0.0);
            }
        }
        let is_there = |(service, method): &(ServiceName, String)| {
            let mut all = report.services.iter().filter(|one| one.service == *service);
            all.any(|one| one.methods.iter().any(|known| known.name == *method))
        };
        if self.methods.len() > report.services.iter().map(|one| one.methods.len()).sum() {
            self.methods.retain(|key, _| is_there(key));
        }
    }
}

fn host(report: &HostReport, beside: Beside) {
    let gauge = |name: &'static str, value: f64| metrics::gauge!(name).set(value);
    gauge(LIMIT, f64::from(report.concurrency));
    gauge(SERVICES, number(report.services.len()));
    gauge(REJECTED, number(beside.rejected));
    gauge(RETIRED, f64::from(report.retired));
    gauge(DRAINING, f64::from(u8::from(report.draining)));
    gauge(REGISTERED, f64::from(u8::from(beside.registered)));
}

fn gauges(report: &ServiceReport) {
    let gauge = |name: &'static str, value: f64| {
        metrics::gauge!(name, "service" => report.service.to_string()).set(value);
    };
    let Load { in_flight, queued } = report.load;
    gauge(IN_FLIGHT, f64::from(in_flight));
    gauge(QUEUED, f64::from(queued));
    gauge(INSTANCES, count(report.instances));
    gauge(IDLE, count(report.idle));
    gauge(MEMORY, count(report.memory_bytes));
    gauge(QUARANTINED, f64::from(u8::from(report.quarantined.is_some())));
}

/// Calls of a method that have ended since the sample before.
fn calls(service: &ServiceName, since: &MethodReport) {
    let labels = [("service", service.to_string()), ("method", since.name.clone())];
    let failed: u64 = since.failures.values().sum();
    let ended = since.failures.iter().map(|(status, count)| (*status, *count));
    for (status, count) in ended.chain([(Status::Ok, since.calls.saturating_sub(failed))]) {
        if count > 0 {
            let label = ("status", status.name().to_owned());
            let labels: Vec<_> = labels.iter().cloned().chain([label]).collect();
            metrics::counter!(CALLS, &labels).increment(count);
        }
    }
    let duration = metrics::histogram!(DURATION, &labels);
    for (value, count) in values(&since.latency) {
        duration.record_many(value, usize::try_from(count).unwrap_or(usize::MAX));
    }
}

/// A value in each bucket, and how often: together they are as long as what was measured.
///
/// Of durations that are known by their buckets and their sum, each could have been at the same share
/// of its bucket.
fn values(latency: &Latency) -> Vec<(Duration, u64)> {
    let ends: Vec<_> = latency.buckets.iter().map(|one| (one.ends(), one.count)).collect();
    let sum = |of: fn((Duration, Duration)) -> Duration| -> f64 {
        ends.iter().map(|(ends, times)| of(*ends).as_secs_f64() * count(*times)).sum()
    };
    let (low, high) = (sum(|(low, _)| low), sum(|(_, high)| high));
    let whole = Duration::from_nanos(latency.sum_ns).as_secs_f64();
    let share = if high > low { (whole - low) / (high - low) } else { 1.0 };
    // Above 0: a bucket has its upper end, not its lower one.
    let share = share.clamp(0.001, 1.0);
    ends.iter().map(|((low, high), times)| (*low + (*high - *low).mul_f64(share), *times)).collect()
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 is beyond what it shows")]
fn count(count: u64) -> f64 {
    count as f64
}

/// Services with gauges, and methods with counters, of one host. A recorder keeps each for ever.
const MOST_SERVICES: usize = 1000;
const MOST_METHODS: usize = 5000;

const CALLS: &str = "jackfield_host_calls_total";
const DURATION: &str = "jackfield_host_call_duration_seconds";
const REFUSED: &str = "jackfield_host_calls_refused_total";
const IN_FLIGHT: &str = "jackfield_host_calls_in_flight";
const QUEUED: &str = "jackfield_host_calls_queued";
const LIMIT: &str = "jackfield_host_calls_limit";
const INSTANCES: &str = "jackfield_host_instances";
const IDLE: &str = "jackfield_host_instances_idle";
const MEMORY: &str = "jackfield_host_memory_bytes";
const QUARANTINED: &str = "jackfield_host_quarantined";
const SERVICES: &str = "jackfield_host_services";
const REJECTED: &str = "jackfield_host_files_rejected";
const RETIRED: &str = "jackfield_host_versions_retired";
const DRAINING: &str = "jackfield_host_draining";
const REGISTERED: &str = "jackfield_host_registered";

const OF_SERVICES: [&str; 6] = [IN_FLIGHT, QUEUED, INSTANCES, IDLE, MEMORY, QUARANTINED];

/// Everything that is reported.
const TABLE: [Metric; 15] = [
    Metric::counter(CALLS, "service, method, status", "Calls that have ended"),
    Metric::durations(
        DURATION,
        "service, method",
        "Calls, with waiting for a place, without the network",
    ),
    Metric::counter(REFUSED, "status", "Calls that were refused before their method was found"),
    Metric::gauge(IN_FLIGHT, "service", "Calls that run"),
    Metric::gauge(QUEUED, "service", "Calls that wait for a place"),
    Metric::gauge(LIMIT, "", "Calls that run at once at most"),
    Metric::gauge(INSTANCES, "service", "Instances, idle ones too"),
    Metric::gauge(IDLE, "service", "Instances that are kept warm and serve no call"),
    Metric::gauge(MEMORY, "service", "Linear memory of all instances").bytes(),
    Metric::gauge(QUARANTINED, "service", "1 while calls are refused because the plugin trapped"),
    Metric::gauge(SERVICES, "", "Services that are served"),
    Metric::gauge(REJECTED, "", "Files that do not serve"),
    Metric::gauge(
        RETIRED,
        "",
        "Versions that were replaced or removed and still have calls running",
    ),
    Metric::gauge(DRAINING, "", "1 while the host takes its leave"),
    Metric::gauge(REGISTERED, "", "1 while a registry has its services"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_wire::metric;
    use jackfield_wire::reflect::{LATENCY_BOUNDS, latency_bucket};

    #[test]
    fn the_documentation_lists_every_metric_as_it_is() {
        let document = include_str!("../../docs/metrics.md");
        assert_eq!(metric::differences(document, "jackfield_host_", &TABLE), [""; 0]);
    }

    #[test]
    fn values_are_in_their_buckets_and_as_long_together_as_what_was_measured() {
        let measured: Vec<_> = (1..400).map(|n| Duration::from_micros(n * n)).collect();
        let mut counts = [0; LATENCY_BOUNDS.len() + 1];
        for one in &measured {
            counts[latency_bucket(*one)] += 1;
        }
        let sum: Duration = measured.iter().sum();
        let values = values(&Latency::new(u64::try_from(sum.as_nanos()).unwrap(), counts));
        let mut again = [0; LATENCY_BOUNDS.len() + 1];
        for (value, count) in &values {
            again[latency_bucket(*value)] += count;
        }
        assert_eq!(again, counts);
        let total: f64 = values.iter().map(|(value, n)| value.as_secs_f64() * count(*n)).sum();
        assert!((total - sum.as_secs_f64()).abs() < 0.001 * total, "{total} {sum:?}");
    }
}
