//! What the client reports of its calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jackfield_client::Context;
use jackfield_wire::TraceContext;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use serde_json::Value;

use crate::harness::{Authority, reaches};

/// Keeps everything that is reported, by name and labels.
#[derive(Default)]
struct Book(Mutex<BTreeMap<String, Arc<Cell>>>);

/// A counter's or gauge's value, or how often a histogram was told something.
#[derive(Default)]
struct Cell(AtomicU64);

impl Book {
    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        self.0.lock().unwrap().entry(name).or_default().clone()
    }

    fn value(&self, name: &str) -> u64 {
        let book = self.0.lock().unwrap();
        book.get(name).map_or(0, |cell| cell.0.load(Ordering::SeqCst))
    }
}

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::SeqCst);
    }
    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }
}

impl GaugeFn for Cell {
    fn increment(&self, by: f64) {
        self.0.fetch_add(by as u64, Ordering::SeqCst);
    }
    fn decrement(&self, by: f64) {
        self.0.fetch_sub(by as u64, Ordering::SeqCst);
    }
    fn set(&self, _: f64) {
        panic!("several clients share a gauge");
    }
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "seconds");
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Recorder for Book {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}

#[tokio::test]
async fn a_recorder_sees_calls_attempts_and_connections() {
    let book = Book::default();
    // The runtime of a test is this thread alone.
    let _recording = metrics::set_default_local_recorder(&book);
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    client.call::<_, String>("calc.who", ()).await.unwrap();
    client.call::<_, String>("calc.who", ()).await.unwrap();
    client.call::<_, String>("calc.missing", ()).await.unwrap_err();
    {
        let held = client.call::<_, String>("calc.hold", ());
        tokio::select! {
            answer = held => panic!("{answer:?}"),
            () = reaches(&host.desk.held, 1) => {}
        }
        assert_eq!(book.value("jackfield_client_calls_in_flight{service=calc}"), 0);
    }
    let endpoint = host.address();
    for (name, expected) in [
        ("jackfield_client_calls_total{service=calc,status=ok}".into(), 2),
        ("jackfield_client_calls_total{service=calc,status=not-found}".into(), 1),
        ("jackfield_client_calls_total{service=calc,status=cancelled}".into(), 1),
        ("jackfield_client_call_duration_seconds{service=calc}".into(), 4),
        (
            format!(
                "jackfield_client_attempts_total{{service=calc,endpoint={endpoint},status=ok}}"
            ),
            2,
        ),
        (
            format!(
                "jackfield_client_attempt_duration_seconds{{service=calc,endpoint={endpoint}}}"
            ),
            4,
        ),
        ("jackfield_client_retries_total{service=calc}".into(), 0),
        ("jackfield_client_dials_total{outcome=connected}".into(), 1),
        ("jackfield_client_connections{}".into(), 1),
    ] {
        assert_eq!(book.value(&name), expected, "{name}");
    }
    client.close().await;
    assert_eq!(book.value("jackfield_client_connections{}"), 0);
}

#[tokio::test]
async fn retries_and_watched_registries_are_counted() {
    let book = Book::default();
    let _recording = metrics::set_default_local_recorder(&book);
    let fleet = crate::fleet::Fleet::of(&["a", "b"]).await;
    assert_eq!(book.value("jackfield_client_registries_connected{}"), 1);
    let busy = (jackfield_wire::Status::Unavailable, jackfield_wire::Executed::No, None);
    fleet.hosts.iter().for_each(|host| host.desk.script.lock().unwrap().push(busy));
    fleet.client.call::<_, String>("calc.scripted", ()).await.unwrap();
    assert_eq!(book.value("jackfield_client_retries_total{service=calc}"), 2);
    let counted = "jackfield_client_calls_total{service=calc,status=ok}";
    let before = book.value(counted);
    fleet.client.execute("calc", async |_| Ok(())).await.unwrap();
    assert_eq!(book.value(counted), before + 1);
    drop(fleet.registry);
    crate::registry::failing(&fleet.client).await;
    assert_eq!(book.value("jackfield_client_registries_connected{}"), 0);
}

#[tokio::test]
async fn who_is_left_out_is_counted_until_the_client_ends() {
    let book = Book::default();
    let _recording = metrics::set_default_local_recorder(&book);
    let crate::fleet::Fleet { mut hosts, client, registry, .. } =
        crate::fleet::Fleet::of(&["a", "b"]).await;
    let out = || book.value("jackfield_client_ejected{}");
    assert_eq!(out(), 0);
    hosts.remove(0).kill().await;
    while out() == 0 {
        client.call::<_, String>("calc.who", ()).await.unwrap();
    }
    assert_eq!(out(), 1);
    assert_eq!(book.value("jackfield_client_ejections_total{reason=unreachable}"), 1);
    client.close().await;
    drop((client, registry));
    assert_eq!(out(), 0);
}

#[tokio::test]
async fn the_trace_of_the_calling_code_reaches_the_host() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let trace = TraceContext::new(7, 9, true).unwrap();
    let inside = Context::new().trace(trace);
    let echo: Value = inside.scope(async { client.call("calc.echo", ()).await.unwrap() }).await;
    let heard: TraceContext = echo["trace"].as_str().unwrap().parse().unwrap();
    assert_eq!(heard.trace_id(), 7);
}

/// Takes every span, and knows nothing of them.
struct Taker(AtomicU64);

impl tracing::Subscriber for Taker {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_recorded_call_becomes_the_parent_of_what_the_host_does() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let echo: Value = client.call("calc.echo", ()).await.unwrap();
    assert_eq!(echo["trace"], Value::Null, "nobody looks");
    let _taken = tracing::subscriber::set_default(Taker(AtomicU64::new(0)));
    let heard = async |request: jackfield_client::Request| -> TraceContext {
        let echo: Value = request.send().await.unwrap().decode().unwrap();
        echo["trace"].as_str().unwrap().parse().unwrap()
    };
    let fresh = heard(client.request("calc.echo").unwrap()).await;
    let other = heard(client.request("calc.echo").unwrap()).await;
    assert_ne!(fresh.trace_id(), other.trace_id());
    let given = TraceContext::new(7, 9, true).unwrap();
    let child = heard(client.request("calc.echo").unwrap().trace(given)).await;
    assert_eq!(child.trace_id(), 7);
    assert_ne!(child, given);
}
