//! Traces and metrics over OTLP, as the standard variables of OpenTelemetry say; nothing unless
//! `OTEL_EXPORTER_OTLP_ENDPOINT`, or the one of traces or metrics, is set.
//!
//! A collector that is slow or away holds nothing up: spans wait in a bounded queue and are dropped
//! beyond it, and exports run on threads of their own.

mod recorder;
mod runtime;
mod spans;

use std::env;
use std::sync::OnceLock;
use std::time::Duration;

use jackfield_wire::trace::Sampling;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor};

pub(crate) use recorder::OtlpRecorder;
use runtime::InRuntime;
pub use spans::{SpanFilter, SpanLayer};

/// Where spans go; a process has one subscriber for its spans, and so one of these.
static SPANS: OnceLock<BatchSpanProcessor> = OnceLock::new();

/// What exports until it is finished.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    has_spans: bool,
    meters: Option<SdkMeterProvider>,
}

/// Variables that ask for something that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// Encryption is the affair of a collector nearby.
    #[error(
        "{name} is {value:?}: exports are not encrypted; name a collector on this machine or in its \
         network by http://, which sends them on"
    )]
    Encrypted {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// Something else is wrong with them.
    #[error("the variables OTEL_… ask for what cannot be had: {0}")]
    Variables(String),
}

/// The layer of the `tracing` subscriber that takes the spans of calls; `None` when nobody asked for
/// traces. They wait for [`Observation::start`](crate::Observation::start), and are gone without it.
pub fn span_layer() -> Option<SpanLayer> {
    wants(TRACES).then(|| SpanLayer::new(sampling()))
}

/// Which new traces are recorded, by `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`; all, as far
/// as callers do not say otherwise, when they do not say.
pub fn sampling() -> Sampling {
    let name = variable("OTEL_TRACES_SAMPLER").unwrap_or_default();
    let share = variable("OTEL_TRACES_SAMPLER_ARG").and_then(|text| text.parse().ok());
    let all = Sampling::default();
    match name.as_str() {
        "always_on" => all.alone(),
        "always_off" => all.share(0.0).alone(),
        "traceidratio" => all.share(share.unwrap_or(1.0)).alone(),
        "parentbased_always_off" => all.share(0.0),
        "parentbased_traceidratio" => all.share(share.unwrap_or(1.0)),
        "" | "parentbased_always_on" => all,
        other => {
            tracing::warn!("OTEL_TRACES_SAMPLER={other:?} is not known: every trace is recorded");
            all
        }
    }
}

impl Exports {
    /// Starts what is asked for. Must be called inside a tokio runtime.
    pub(crate) fn start(role: &'static str) -> Result<(Self, Option<OtlpRecorder>), OtlpError> {
        let mut exports = Self::default();
        let wrong = |error: &dyn std::fmt::Display| OtlpError::Variables(error.to_string());
        if wants(TRACES) {
            let exporter = SpanExporter::builder().build().map_err(|error| wrong(&error))?;
            let mut spans = BatchSpanProcessor::builder(InRuntime::new(exporter)).build();
            spans.set_resource(&resource(role));
            // A second start in one process keeps the first.
            exports.has_spans = SPANS.set(spans).is_ok();
        }
        if !wants(METRICS) {
            return Ok((exports, None));
        }
        let exporter = MetricExporter::builder().build().map_err(|error| wrong(&error))?;
        let meters = SdkMeterProvider::builder()
            .with_periodic_exporter(InRuntime::new(exporter))
            .with_resource(resource(role))
            .build();
        let recorder = OtlpRecorder::new(meters.meter("jackfield"));
        exports.meters = Some(meters);
        Ok((exports, Some(recorder)))
    }

    /// Whether metrics go out.
    pub(crate) fn has_metrics(&self) -> bool {
        self.meters.is_some()
    }

    /// Sends what there is, for a few seconds at most. Blocks: not for a thread that serves.
    pub(crate) fn finish(self) {
        if self.has_spans
            && let Some(spans) = SPANS.get()
            && let Err(error) = spans.shutdown_with_timeout(LAST_WORDS)
        {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
        if let Some(meters) = self.meters
            && let Err(error) = meters.shutdown_with_timeout(LAST_WORDS)
        {
            tracing::warn!(%error, "the last metrics did not reach the collector");
        }
    }
}

/// Looks for what cannot be had.
pub(crate) fn check() -> Result<(), OtlpError> {
    for name in [ENDPOINT, TRACES.endpoint, METRICS.endpoint] {
        if let Some(value) = variable(name).filter(|value| value.starts_with("https:")) {
            return Err(OtlpError::Encrypted { name, value });
        }
    }
    Ok(())
}

fn resource(role: &'static str) -> Resource {
    // `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go before what is said here.
    let named = variable("OTEL_SERVICE_NAME").is_some()
        || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| all.contains("service.name="));
    let builder = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match named {
        true => builder.build(),
        false => builder.with_service_name(format!("jackfield-{role}")).build(),
    }
}

/// A kind of what is exported.
#[derive(Clone, Copy)]
struct Signal {
    endpoint: &'static str,
    exporter: &'static str,
}

/// Whether somebody asked for it.
fn wants(signal: Signal) -> bool {
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let is_none = variable(signal.exporter).is_some_and(|v| v == "none");
    let has_endpoint = [ENDPOINT, signal.endpoint].into_iter().any(|name| variable(name).is_some());
    has_endpoint && !is_off && !is_none
}

/// An empty variable is as none, by the standard.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES: Signal =
    Signal { endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", exporter: "OTEL_TRACES_EXPORTER" };
const METRICS: Signal =
    Signal { endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", exporter: "OTEL_METRICS_EXPORTER" };

/// For each of spans and metrics at the end of a process.
const LAST_WORDS: Duration = Duration::from_secs(3);
