//! A registry's numbers for exporters, through the `metrics` facade, and whether it is ready.
//!
//! Nothing is reported while it works: whoever exports asks for a sample now and then. The names are in
//! [`TABLE`], and in `docs/metrics.md`.

use std::sync::{Mutex, PoisonError, Weak};

use jackfield_wire::metric::{Metric, MetricKind};

use crate::server::Inside;
use crate::status::RegistryStatus;

/// What looks at a registry for whoever runs it: for probes and exporters. Outlives the registry and
/// keeps nothing of it.
pub struct RegistryMonitor {
    inside: Weak<Inside>,
    /// The status of the sample before. Held while one is reported, never across an await.
    reported: Mutex<Option<RegistryStatus>>,
}

/// Why hosts and clients should not be sent to a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// It is cut off from a store that others change: it goes on with what it knows.
    #[error("it cannot reach its store; what it knows grows old")]
    CutOff,
    /// It takes its leave, or has.
    #[error("it is ending")]
    Ending,
}

impl RegistryMonitor {
    pub(crate) fn new(inside: Weak<Inside>) -> Self {
        TABLE.iter().for_each(|(metric, _)| metric.describe());
        Self { inside, reported: Mutex::default() }
    }

    /// Whether hosts and clients should be sent to it. It has read its store before it listens.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), NotReady> {
        let inside = self.inside.upgrade().ok_or(NotReady::Ending)?;
        match (inside.is_ending(), inside.is_cut_off()) {
            (true, _) => Err(NotReady::Ending),
            (_, true) => Err(NotReady::CutOff),
            _ => Ok(()),
        }
    }

    /// Reports to the recorder that is installed for the `metrics` facade what has happened since
    /// the sample before, and how it is now.
    ///
    /// # Cost
    /// That of [`Registry::status`](crate::Registry::status): for every few seconds.
    pub fn sample(&self) {
        let Some(inside) = self.inside.upgrade() else { return };
        let status = inside.status();
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let before = reported.replace(status);
        for (metric, value) in &TABLE {
            let now = value(&status);
            match metric.kind {
                MetricKind::Counter => {
                    let more = now.saturating_sub(before.as_ref().map_or(0, value));
                    metrics::counter!(metric.name).increment(more);
                }
                _ => metrics::gauge!(metric.name).set(float(now)),
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 is beyond what it shows")]
fn float(count: u64) -> f64 {
    count as f64
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

type Value = fn(&RegistryStatus) -> u64;

/// Everything that is reported, and where it is from.
const TABLE: [(Metric, Value); 14] = [
    (gauge("jackfield_registry_instances", "Instances, whatever their health"), |s| {
        number(s.instances)
    }),
    (gauge("jackfield_registry_instances_available", "Instances that may be called"), |s| {
        number(s.available)
    }),
    (
        gauge("jackfield_registry_instances_doubtful", "Silent instances that are kept so far"),
        |s| number(s.doubtful),
    ),
    (gauge("jackfield_registry_watches", "Watches that are open"), |s| number(s.watches)),
    (gauge("jackfield_registry_revision", "Number of the newest revision of the set"), |s| {
        s.revision.number
    }),
    (gauge("jackfield_registry_authoritative", "1 when what it does not hold is gone"), |s| {
        u64::from(s.authoritative)
    }),
    (counter("jackfield_registry_registrations_total", "Registrations of instances"), |s| {
        s.registered
    }),
    (counter("jackfield_registry_heartbeats_total", "Heartbeat messages"), |s| s.heartbeats),
    (counter("jackfield_registry_deregistrations_total", "Instances that left"), |s| {
        s.deregistered
    }),
    (counter("jackfield_registry_suspected_total", "Instances whose connection was lost"), |s| {
        s.suspected
    }),
    (
        counter("jackfield_registry_expired_total", "Instances that no heartbeat renewed in time"),
        |s| s.expired,
    ),
    (counter("jackfield_registry_requests_refused_total", "Requests that were refused"), |s| {
        s.refused
    }),
    (
        counter("jackfield_registry_requests_denied_total", "Of those, what the peer may not do"),
        |s| s.denied,
    ),
    (
        counter("jackfield_registry_requests_malformed_total", "Of those, what cannot be read"),
        |s| s.malformed,
    ),
];

const fn gauge(name: &'static str, text: &'static str) -> Metric {
    Metric::gauge(name, "", text)
}

const fn counter(name: &'static str, text: &'static str) -> Metric {
    Metric::counter(name, "", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_wire::metric;

    #[test]
    fn the_documentation_lists_every_metric_as_it_is() {
        let document = include_str!("../../docs/metrics.md");
        let table = TABLE.map(|(metric, _)| metric);
        assert_eq!(metric::differences(document, "jackfield_registry_", &table), [""; 0]);
    }
}
