//! One trace from the caller through the registry's host into the guest, over OTLP, as a collector
//! sees it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use jackfield_harness::eventually_blocking;
use prost::Message as _;

use crate::stage;

/// A collector that takes `http/protobuf` and keeps the spans and the names of metrics.
#[derive(Clone)]
struct Collector {
    address: String,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    spans: Vec<Seen>,
    metrics: Vec<String>,
}

/// A span, and whose.
#[derive(Clone, Debug)]
struct Seen {
    service: String,
    span: Span,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self { address, heard: Arc::default() };
        let taking = collector.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taking = taking.clone();
                std::thread::spawn(move || taking.serve(stream));
            }
        });
        collector
    }

    /// Requests of one connection, until it ends.
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        while let Some((path, body)) = request(&mut reader) {
            self.take(&path, &body);
            // Whoever asked may have gone.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    }

    fn take(&self, path: &str, body: &[u8]) {
        let mut heard = self.heard.lock().unwrap();
        match path {
            "/v1/traces" => {
                for resource in Traces::decode(body).unwrap().resources {
                    let service = resource.service();
                    for span in resource.scopes.into_iter().flat_map(|scope| scope.spans) {
                        heard.spans.push(Seen { service: service.clone(), span });
                    }
                }
            }
            "/v1/metrics" => {
                for resource in Metrics::decode(body).unwrap().resources {
                    let metrics = resource.scopes.into_iter().flat_map(|scope| scope.metrics);
                    heard.metrics.extend(metrics.map(|metric| metric.name));
                }
            }
            other => panic!("{other} is not a path of OTLP"),
        }
    }

    fn span(&self, service: &str, name: &str) -> Option<Span> {
        let heard = self.heard.lock().unwrap();
        let mut all = heard.spans.iter();
        let found = all.find(|seen| seen.service == service && seen.span.name == name);
        found.map(|seen| seen.span.clone())
    }
}

/// The path and the body of the next request.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: BTreeMap<String, &str> = lines
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim()))
        .collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((lines.first()?.split(' ').nth(1)?.to_owned(), body))
}

#[test]
fn one_trace_goes_from_the_caller_through_the_host_into_the_guest() {
    let collector = Collector::start();
    let stage = stage();
    let folder = stage.folder("host-a").unwrap();
    folder.add("calc").unwrap();
    let registry = stage.registry().unwrap();
    let (path, at) = (folder.path().to_string_lossy().into_owned(), registry.address().to_string());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str())];
    let host = stage.spawn_with("host-a", &["host", &path, "--registry", &at], &variables).unwrap();
    let mut call = stage.command(&["call", "--registry", &at, "calc.div", "1", "0"]);
    call.envs(variables).env("OTEL_SERVICE_NAME", "the-caller");
    assert_eq!(call.output().unwrap().status.code(), Some(5));
    // The command has sent its spans before it ended.
    let client = collector.span("the-caller", "calc.div").unwrap();
    assert!(client.parent.is_empty() && client.id.len() == 8 && client.trace.len() == 16);
    host.terminate().unwrap();
    assert!(host.wait().unwrap().success());
    let server = collector.span("jackfield-host", "calc.div").unwrap();
    assert_eq!((&server.trace, &server.parent), (&client.trace, &client.id));
    assert_eq!((client.kind, server.kind), (CLIENT, SERVER));
    let guest = collector.span("jackfield-host", "guest").unwrap();
    assert_eq!((&guest.trace, &guest.parent), (&client.trace, &server.id));
    let metrics = collector.heard.lock().unwrap().metrics.clone();
    for name in ["jackfield_host_calls_total", "jackfield_client_calls_total"] {
        assert!(metrics.iter().any(|one| one == name), "{name}: {metrics:?}");
    }
}

#[test]
fn a_trace_that_is_not_to_be_recorded_is_recorded_nowhere() {
    let collector = Collector::start();
    let stage = stage();
    let folder = stage.folder("host-a").unwrap();
    folder.add("calc").unwrap();
    let registry = stage.registry().unwrap();
    let (path, at) = (folder.path().to_string_lossy().into_owned(), registry.address().to_string());
    let endpoint = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.address.clone() + "/v1/traces");
    let variables = [(endpoint.0, endpoint.1.as_str())];
    let host = stage.spawn_with("host-a", &["host", &path, "--registry", &at], &variables).unwrap();
    let call = |sampler: &str, a: &str| {
        let mut call = stage.command(&["call", "--registry", &at, "calc.add", a, "1"]);
        call.envs(variables).env("OTEL_TRACES_SAMPLER", sampler);
        assert!(call.output().unwrap().status.success());
    };
    call("always_off", "1");
    call("always_on", "2");
    host.terminate().unwrap();
    assert!(host.wait().unwrap().success());
    let heard = collector.heard.lock().unwrap();
    let of_hosts = heard.spans.iter().filter(|seen| seen.span.kind == SERVER).count();
    assert_eq!((of_hosts, heard.metrics.len()), (1, 0), "{:?}", heard.spans);
}

#[test]
fn a_collector_that_is_away_holds_no_call_up_and_one_that_cannot_be_had_is_said() {
    let stage = stage();
    let folder = stage.folder("host-a").unwrap();
    folder.add("calc").unwrap();
    let registry = stage.registry().unwrap();
    let at = registry.address().to_string();
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let path = folder.path().to_string_lossy().into_owned();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let host = stage.spawn_with("host-a", &["host", &path, "--registry", &at], &variables).unwrap();
    eventually_blocking("calls are answered", || {
        let done = stage.run_at(registry.address(), &["call", "calc.add", "1", "2"]).unwrap();
        (done.code == Some(0)).then_some(())
    });
    host.terminate().unwrap();
    assert!(host.wait().unwrap().success());
    let mut call = stage.command(&["call", "--registry", &at, "calc.add", "1", "2"]);
    call.env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4318");
    let done = call.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(2) && said.contains("http://"), "{said}");
}

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

// What is needed of OTLP's messages.

#[derive(Clone, PartialEq, prost::Message)]
struct Traces {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

impl ResourceSpans {
    fn service(&self) -> String {
        let attributes = self.resource.iter().flat_map(|resource| &resource.attributes);
        let mut named = attributes.filter(|one| one.key == "service.name");
        let value = named.next().and_then(|one| one.value.clone());
        value.map(|value| value.text).unwrap_or_default()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Text>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metrics {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceMetrics {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
}
