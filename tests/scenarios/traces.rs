//! One trace from the caller through the registry's host into the guest, over OTLP, as a collector
//! sees it.

mod collector;

use std::net::TcpListener;

use jackfield_harness::{PluginFolder, Process, Stage, eventually_blocking};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use self::collector::Collector;
use crate::stage;

/// A registry, and a host with `calc` that exports.
struct Exporting {
    host: Process,
    registry: Process,
    stage: Stage,
    folder: PluginFolder,
}

impl Exporting {
    /// With these variables for the host.
    fn start(variables: &[(&str, &str)]) -> Self {
        let stage = stage();
        let folder = stage.folder("host-a").unwrap();
        folder.add("calc").unwrap();
        let registry = stage.registry().unwrap();
        let path = folder.path().to_string_lossy().into_owned();
        let args = ["host", &path, "--registry", &registry.address().to_string()];
        let host = stage.spawn_with("host-a", &args, variables).unwrap();
        Self { host, registry, stage, folder }
    }

    /// The exit code of a call by a command with these variables, and what it says on stderr.
    fn call(&self, words: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let at = self.registry.address().to_string();
        let mut call = self.stage.command(&[&["call", "--registry", &at], words].concat());
        let done = call.envs(variables.iter().copied()).output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    }

    /// Ends the host, which sends what it has.
    fn end(self) {
        self.host.terminate().unwrap();
        assert!(self.host.wait().unwrap().success());
    }
}

#[test]
fn one_trace_goes_from_the_caller_through_the_host_into_the_guest() {
    follow(&Collector::over_http(), "http/protobuf");
}

#[test]
fn a_collector_that_speaks_grpc_hears_the_same() {
    follow(&Collector::over_grpc(), "grpc");
}

fn follow(collector: &Collector, protocol: &str) {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str());
    let variables = [endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
    let exporting = Exporting::start(&variables);
    let callers = [&variables[..], &[("OTEL_SERVICE_NAME", "the-caller")]].concat();
    let (code, said) = exporting.call(&["calc.div", "1", "0"], &callers);
    assert_eq!(code, Some(5), "{said}");
    // The command has sent its spans before it ended.
    let heard = &collector.heard;
    let client = heard.span("the-caller", "calc.div").unwrap();
    assert!(client.parent_span_id.is_empty());
    assert_eq!((client.span_id.len(), client.trace_id.len()), (8, 16));
    exporting.end();
    let server = heard.span("jackfield-host", "calc.div").unwrap();
    assert_eq!((&server.trace_id, &server.parent_span_id), (&client.trace_id, &client.span_id));
    assert_eq!((client.kind(), server.kind()), (SpanKind::Client, SpanKind::Server));
    let guest = heard.span("jackfield-host", "guest").unwrap();
    assert_eq!((&guest.trace_id, &guest.parent_span_id), (&client.trace_id, &server.span_id));
    let metrics = heard.metrics();
    for name in ["jackfield_host_calls_total", "jackfield_client_calls_total"] {
        assert!(metrics.iter().any(|one| one == name), "{name}: {metrics:?}");
    }
}

#[test]
fn a_call_of_a_plugin_is_part_of_the_trace_below_its_own_call() {
    let collector = Collector::over_http();
    let exporting = Exporting::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address)]);
    let manifest = exporting.folder.path().join("till.toml");
    std::fs::write(manifest, "grants.services = [\"calc\"]").unwrap();
    exporting.folder.add("till").unwrap();
    // The caller records nothing, so the trace begins at the host.
    eventually_blocking("both serve", || {
        let (code, _) = exporting.call(&["till.ask", "calc.add", "[1, 2]"], &[]);
        (code == Some(0)).then_some(())
    });
    exporting.end();
    let span = |name: &str, kind| {
        let mut spans = collector.heard.spans().into_iter().map(|(_, span)| span);
        spans.rfind(|span| span.name == name && span.kind() == kind).unwrap()
    };
    let outer = span("till.ask", SpanKind::Server);
    let client = span("calc.add", SpanKind::Client);
    let inner = span("calc.add", SpanKind::Server);
    assert_eq!((&client.trace_id, &client.parent_span_id), (&outer.trace_id, &outer.span_id));
    assert_eq!((&inner.trace_id, &inner.parent_span_id), (&client.trace_id, &client.span_id));
}

#[test]
fn a_trace_that_is_not_to_be_recorded_is_recorded_nowhere() {
    let collector = Collector::over_http();
    let endpoint = collector.address.clone() + "/v1/traces";
    let variable = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str());
    let exporting = Exporting::start(&[variable]);
    for (sampler, word) in [("always_off", "1"), ("always_on", "2")] {
        let variables = [variable, ("OTEL_TRACES_SAMPLER", sampler)];
        let (code, said) = exporting.call(&["calc.add", word, "1"], &variables);
        assert_eq!(code, Some(0), "{said}");
    }
    exporting.end();
    let spans = collector.heard.spans();
    let of_hosts = spans.iter().filter(|(_, span)| span.kind() == SpanKind::Server).count();
    assert_eq!((of_hosts, collector.heard.metrics()), (1, vec![]), "{spans:?}");
}

#[test]
fn a_collector_that_is_away_holds_no_call_up_and_one_that_cannot_be_had_is_said() {
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let exporting = Exporting::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    let add = ["calc.add", "1", "2"];
    eventually_blocking("calls are answered", || {
        (exporting.call(&add, &[]).0 == Some(0)).then_some(())
    });
    let far = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4318");
    let (code, said) = exporting.call(&add, &[far]);
    assert!(code == Some(2) && said.contains("http://"), "{said}");
    exporting.end();
}
