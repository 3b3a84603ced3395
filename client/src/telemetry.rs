//! Counters, gauges and histograms of the client, through the `metrics` facade.
//!
//! The names are in [`TABLE`], and in `docs/metrics.md` for those who look at them. What a call
//! reports to is looked up once for each service and endpoint, from the recorder that is installed
//! then; without one, reporting is a branch that is not taken. The number of time series is bounded
//! whatever is called: services and endpoints beyond [`MOST`] count as `other`.

mod ejections;
mod series;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use jackfield_wire::metric::{Metric, There};
use jackfield_wire::{ServiceName, Status};
use metrics::{Counter, Gauge, Histogram};

pub(crate) use self::ejections::Ejections;
use self::series::ByStatus;

/// What one client reports to.
pub(crate) struct Telemetry {
    /// Held to look up or add, never across an await.
    services: RwLock<HashMap<ServiceName, Arc<Service>>>,
    others: Arc<Service>,
    dialed: Counter,
    not_dialed: Counter,
    connections: Gauge,
    registries: Gauge,
}

/// The time series of one service.
struct Service {
    name: String,
    calls: ByStatus,
    duration: Histogram,
    in_flight: Gauge,
    retries: Counter,
    /// Held to look up or add, never across an await.
    endpoints: RwLock<HashMap<SocketAddr, Arc<Endpoint>>>,
    others: Arc<Endpoint>,
}

/// The time series of one endpoint of a service.
struct Endpoint {
    attempts: ByStatus,
    duration: Histogram,
}

/// A call that runs; reports when it is dropped.
pub(crate) struct Call {
    service: Arc<Service>,
    began: Instant,
    status: Status,
}

/// An attempt that runs; reports when it is dropped.
pub(crate) struct Attempt {
    endpoint: Arc<Endpoint>,
    began: Instant,
    status: Status,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        TABLE.iter().for_each(Metric::describe);
        Self {
            services: RwLock::default(),
            others: Arc::new(Service::new(OTHER)),
            dialed: metrics::counter!(DIALS, "outcome" => "connected"),
            not_dialed: metrics::counter!(DIALS, "outcome" => "failed"),
            connections: metrics::gauge!(CONNECTIONS),
            registries: metrics::gauge!(REGISTRIES),
        }
    }

    /// A call begins. Unless it says how it ended, it was cancelled.
    pub(crate) fn call(&self, service: &ServiceName) -> Call {
        let service = self.service(service);
        service.in_flight.increment(1.0);
        Call { service, began: Instant::now(), status: Status::Cancelled }
    }

    /// An attempt of a call begins. Unless it says how it ended, it was cancelled.
    pub(crate) fn attempt(&self, service: &ServiceName, address: SocketAddr) -> Attempt {
        let endpoint = self.service(service).endpoint(address);
        Attempt { endpoint, began: Instant::now(), status: Status::Cancelled }
    }

    /// A dial has ended.
    pub(crate) fn dialed<T, E>(&self, outcome: &Result<T, E>) {
        let counter = if outcome.is_ok() { &self.dialed } else { &self.not_dialed };
        counter.increment(1);
    }

    /// A connection is held.
    pub(crate) fn connection(&self) -> There {
        There::new(&self.connections)
    }

    /// A registry is being watched.
    pub(crate) fn registry(&self) -> There {
        There::new(&self.registries)
    }

    fn service(&self, name: &ServiceName) -> Arc<Service> {
        get_or_add(&self.services, name, &self.others, || Service::new(name.as_str()))
    }
}

impl Service {
    fn new(name: &str) -> Self {
        let label = [("service", name.to_owned())];
        Self {
            calls: ByStatus::new(CALLS, &label),
            duration: metrics::histogram!(CALL_DURATION, &label),
            in_flight: metrics::gauge!(CALLS_IN_FLIGHT, &label),
            retries: metrics::counter!(RETRIES, &label),
            endpoints: RwLock::default(),
            others: Arc::new(Endpoint::new(name, OTHER)),
            name: name.to_owned(),
        }
    }

    fn endpoint(&self, address: SocketAddr) -> Arc<Endpoint> {
        let new = || Endpoint::new(&self.name, &address.to_string());
        get_or_add(&self.endpoints, &address, &self.others, new)
    }
}

impl Endpoint {
    fn new(service: &str, address: &str) -> Self {
        let labels = [("service", service.to_owned()), ("endpoint", address.to_owned())];
        Self {
            attempts: ByStatus::new(ATTEMPTS, &labels),
            duration: metrics::histogram!(ATTEMPT_DURATION, &labels),
        }
    }
}

impl Call {
    /// How it ended, and how many attempts it took.
    pub(crate) fn ended(mut self, status: Status, attempts: usize) {
        self.status = status;
        let retries = attempts.saturating_sub(1);
        if retries > 0 {
            self.service.retries.increment(u64::try_from(retries).unwrap_or(u64::MAX));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.service.in_flight.decrement(1.0);
        self.service.calls.count(self.status);
        self.service.duration.record(self.began.elapsed());
    }
}

impl Attempt {
    /// How it ended.
    pub(crate) fn ended(mut self, status: Status) {
        self.status = status;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.endpoint.attempts.count(self.status);
        self.endpoint.duration.record(self.began.elapsed());
    }
}

/// The entry of `key`, a new one, or `others` when there are enough.
fn get_or_add<K: Clone + Eq + std::hash::Hash, V>(
    map: &RwLock<HashMap<K, Arc<V>>>,
    key: &K,
    others: &Arc<V>,
    new: impl FnOnce() -> V,
) -> Arc<V> {
    if let Some(known) = map.read().unwrap_or_else(PoisonError::into_inner).get(key) {
        return known.clone();
    }
    let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
    match map.len() {
        0..MOST => map.entry(key.clone()).or_insert_with(|| Arc::new(new())).clone(),
        _ => map.get(key).unwrap_or(others).clone(),
    }
}

/// Services, and endpoints of each, that get time series of their own. A recorder keeps each for
/// ever: what calls mistyped names or meets ever new hosts must not fill its memory.
const MOST: usize = 1000;
/// The label of the rest.
const OTHER: &str = "other";

const CALLS: &str = "jackfield_client_calls_total";
const CALL_DURATION: &str = "jackfield_client_call_duration_seconds";
const CALLS_IN_FLIGHT: &str = "jackfield_client_calls_in_flight";
const RETRIES: &str = "jackfield_client_retries_total";
const ATTEMPTS: &str = "jackfield_client_attempts_total";
const ATTEMPT_DURATION: &str = "jackfield_client_attempt_duration_seconds";
const DIALS: &str = "jackfield_client_dials_total";
const CONNECTIONS: &str = "jackfield_client_connections";
const EJECTIONS: &str = "jackfield_client_ejections_total";
const EJECTED: &str = "jackfield_client_ejected";
const REGISTRIES: &str = "jackfield_client_registries_connected";

/// Everything that is reported.
const TABLE: [Metric; 11] = [
    Metric::counter(CALLS, "service, status", "Calls that have ended"),
    Metric::durations(CALL_DURATION, "service", "Calls, with all their attempts"),
    Metric::gauge(CALLS_IN_FLIGHT, "service", "Calls that run"),
    Metric::counter(RETRIES, "service", "Attempts beyond the first of their call"),
    Metric::counter(ATTEMPTS, "service, endpoint, status", "Attempts that have ended"),
    Metric::durations(ATTEMPT_DURATION, "service, endpoint", "Attempts"),
    Metric::counter(DIALS, "outcome", "Connections tried"),
    Metric::gauge(CONNECTIONS, "", "Connections to hosts that are held"),
    Metric::counter(EJECTIONS, "reason", "Times that anyone was left out"),
    Metric::gauge(EJECTED, "", "Instances and addresses that are left out"),
    Metric::gauge(REGISTRIES, "", "Registries that are being watched"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_wire::metric;

    #[test]
    fn the_documentation_lists_every_metric_as_it_is() {
        let document = include_str!("../../docs/metrics.md");
        assert_eq!(metric::differences(document, "jackfield_client_", &TABLE), [""; 0]);
    }

    #[test]
    fn services_and_endpoints_beyond_the_bound_share_one_series() {
        let telemetry = Telemetry::new();
        let name = |n: usize| ServiceName::new(format!("s{n}")).unwrap();
        for n in 0..MOST {
            assert_eq!(telemetry.service(&name(n)).name, format!("s{n}"));
        }
        assert_eq!(telemetry.service(&name(MOST)).name, OTHER);
        assert_eq!(telemetry.service(&name(7)).name, "s7");
    }
}
