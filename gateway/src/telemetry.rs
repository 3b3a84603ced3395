//! A gateway's numbers for exporters, through the `metrics` facade, and whether it is ready.
//!
//! The names are in [`TABLE`], and in `docs/metrics.md`. The calls behind the requests are counted by
//! the client's own metrics. The labels are from fixed sets: no request can make a new series.

use std::sync::Weak;
use std::time::Instant;

use http::StatusCode;
use jackfield_wire::metric::{Metric, There};
use metrics::Gauge;

use crate::connection::Connections;
use crate::health;

/// What a gateway reports to.
pub(crate) struct Telemetry {
    in_flight: Gauge,
    connections: Gauge,
}

/// A request that is being answered; reports when it is dropped.
pub(crate) struct Counted {
    _there: There,
    route: &'static str,
    began: Instant,
    code: Option<StatusCode>,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        TABLE.iter().for_each(Metric::describe);
        Self { in_flight: metrics::gauge!(IN_FLIGHT), connections: metrics::gauge!(CONNECTIONS) }
    }

    /// A request for `path` begins. Unless it says how it ended, its client went away.
    pub(crate) fn request(&self, path: &str) -> Counted {
        let there = There::new(&self.in_flight);
        Counted { _there: there, route: route(path), began: Instant::now(), code: None }
    }

    /// A connection is there.
    pub(crate) fn connection(&self) -> There {
        There::new(&self.connections)
    }

    /// A connection was refused because there are too many.
    pub(crate) fn refused(&self) {
        metrics::counter!(REFUSED).increment(1);
    }
}

impl Counted {
    /// Its answer is ready.
    pub(crate) fn ended(mut self, code: StatusCode) {
        self.code = Some(code);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let code = self.code.map_or_else(|| "gone".to_owned(), |code| code.as_str().to_owned());
        metrics::counter!(REQUESTS, "route" => self.route, "code" => code).increment(1);
        metrics::histogram!(DURATION, "route" => self.route).record(self.began.elapsed());
    }
}

/// The first part of a path, if it is one of ours.
fn route(path: &str) -> &'static str {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    ROUTES.into_iter().find(|route| *route == first).unwrap_or("other")
}

const ROUTES: [&str; 8] =
    ["call", "services", "openapi.json", "problems", "healthz", "readyz", "mcp", "console"];

/// What looks at a gateway for whoever runs it: for probes. Outlives the gateway and keeps nothing of
/// it.
pub struct GatewayMonitor {
    pub(crate) shared: Weak<Connections>,
}

/// Why requests should not be sent to a gateway yet, or any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// No registry has told it of any host.
    #[error("no registry has answered yet, so it knows no host")]
    KnowsNobody,
    /// It takes its leave, or has.
    #[error("it is ending")]
    Ending,
}

impl GatewayMonitor {
    /// Whether requests should be sent to it; see `GET /readyz` of the gateway itself.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), NotReady> {
        let shared = self.shared.upgrade().ok_or(NotReady::Ending)?;
        if shared.drain.is_cancelled() {
            return Err(NotReady::Ending);
        }
        if health::knows_hosts(&shared.desk) { Ok(()) } else { Err(NotReady::KnowsNobody) }
    }
}

const REQUESTS: &str = "jackfield_gateway_requests_total";
const DURATION: &str = "jackfield_gateway_request_duration_seconds";
const IN_FLIGHT: &str = "jackfield_gateway_requests_in_flight";
const CONNECTIONS: &str = "jackfield_gateway_connections";
const REFUSED: &str = "jackfield_gateway_connections_refused_total";

/// Everything that is reported.
const TABLE: [Metric; 5] = [
    Metric::counter(REQUESTS, "route, code", "Requests that have an answer"),
    Metric::durations(DURATION, "route", "Requests until their answer was ready"),
    Metric::gauge(IN_FLIGHT, "", "Requests that are being answered"),
    Metric::gauge(CONNECTIONS, "", "Connections of clients"),
    Metric::counter(REFUSED, "", "Connections refused because there were too many"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_wire::metric;

    #[test]
    fn the_documentation_lists_every_metric_as_it_is() {
        let document = include_str!("../../docs/metrics.md");
        assert_eq!(metric::differences(document, "jackfield_gateway_", &TABLE), [""; 0]);
    }

    #[test]
    fn paths_that_anybody_makes_up_share_one_label() {
        assert_eq!(route("/call/calc/add"), "call");
        for path in ["/", "", "/calls", "/%63all/a/b", "/x/call"] {
            assert_eq!(route(path), "other", "{path}");
        }
    }
}
