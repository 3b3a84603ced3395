//! Hosts that count, restart and fall silent.

use jackfield_wire::reflect::{LATENCY_BOUNDS, LatencyBucket};
use serde_json::{Value, json};

use super::*;

fn at(host: &str) -> SocketAddr {
    format!("127.0.0.1:{}", 1000 + host.len()).parse().unwrap()
}

/// A host that has served `add` so often, with so many failures, in a millisecond each.
fn report(host: &str, uptime_ms: u64, calls: u64, failed: u64) -> HostReport {
    let latency = Latency {
        sum_ns: calls * 1_000_000,
        buckets: vec![LatencyBucket { up_to_ns: Some(LATENCY_BOUNDS[30]), count: calls }],
    };
    let json = json!({
        "host": host, "version": "1", "uptime_ms": uptime_ms, "concurrency": 8, "draining": false,
        "load": { "in_flight": 2, "queued": 0 }, "instances": 1, "memory_bytes": 65536, "retired": 0,
        "services": [{
            "service": "calc", "generation": "00000000000000000000000000000001", "instances": 1,
            "load": { "in_flight": 2, "queued": 0 }, "idle": 0, "memory_bytes": 65536,
            "methods": [{
                "name": "add", "calls": calls, "in_flight": 2, "latency": latency,
                "failures": { "trapped": failed },
            }],
        }],
    });
    serde_json::from_value(json).unwrap()
}

/// What is told once each pass of `passes` was heard, a second apart.
fn told(passes: &[&[HostReport]]) -> Value {
    let (mut figures, began) = (Figures::default(), Instant::now());
    for (second, reports) in (0..).zip(passes) {
        let heard = |report: &HostReport| {
            let (host, report) = (report.host.clone(), Ok(report.clone()));
            Heard { address: at(&host), host, report }
        };
        figures.heard(began + Duration::from_secs(second), reports.iter().map(heard));
    }
    serde_json::to_value(figures.told()).unwrap()
}

#[test]
fn the_first_answer_gives_no_rate_but_what_is_there() {
    let told = told(&[&[report("a", 9000, 500, 0)]]);
    let add = &told["services"]["calc"]["methods"]["add"];
    assert_eq!(
        (&add["rate"], &add["calls"], &add["in_flight"]),
        (&json!(0.0), &json!(500), &json!(2))
    );
    assert_eq!(told["hosts"][0]["memory"], 65536);
    assert_eq!(add["p99"], Value::Null);
}

#[test]
fn what_several_hosts_did_in_the_window_adds_up() {
    let told = told(&[
        &[report("a", 1000, 100, 0), report("bb", 1000, 0, 0)],
        &[report("a", 2000, 200, 0), report("bb", 2000, 10, 10)],
        &[report("a", 3000, 220, 0), report("bb", 3000, 30, 20)],
    ]);
    let add = &told["services"]["calc"]["methods"]["add"];
    assert_eq!(add["rate"], 75.0);
    assert_eq!(add["rate_now"], 40.0);
    assert_eq!((&add["failed"], &add["faults"]), (&json!(10.0), &json!(10.0)));
    assert_eq!(add["statuses"], json!({ "trapped": 20 }));
    assert!((0.8..=1.0).contains(&add["p50"].as_f64().unwrap()), "{add}");
    assert_eq!(told["total"]["rate"], 75.0);
    assert_eq!(
        (&told["hosts"][0]["rate"], &told["hosts"][1]["rate"]),
        (&json!(60.0), &json!(15.0))
    );
    assert_eq!(told["hosts"][1]["traps"], 20);
}

#[test]
fn a_host_that_starts_anew_has_done_nothing_yet() {
    let told = told(&[&[report("a", 9000, 100, 0)], &[report("a", 500, 300, 0)]]);
    assert_eq!(told["total"]["rate"], 0.0);
    assert_eq!(told["total"]["calls"], 300);
}

#[test]
fn a_host_that_left_takes_its_figures_along() {
    let both = [report("a", 1000, 0, 0), report("bb", 1000, 0, 0)];
    let told = told(&[&both, &[report("a", 2000, 10, 0)]]);
    assert_eq!(told["hosts"].as_array().unwrap().len(), 1);
    assert_eq!(told["total"]["in_flight"], 2);
}

#[test]
fn only_the_last_ten_passes_count() {
    let busy = |second: u64| report("a", 1000 * second, 1000, 0);
    let mut passes = vec![vec![report("a", 500, 0, 0)]];
    passes.extend((1..=11).map(|second| vec![busy(second)]));
    let passes: Vec<&[HostReport]> = passes.iter().map(Vec::as_slice).collect();
    // The thousand calls were in the second pass: after the eleventh they are within, then gone.
    assert_eq!(told(&passes[..11])["total"]["rate"], 100.0);
    assert_eq!(told(&passes)["total"]["rate"], 0.0);
}

#[test]
fn files_that_no_service_tells_of_are_told_with_their_host() {
    let file = NamelessFile { file: "two words.wasm".into(), reason: "no name".into() };
    let with = HostReport { nameless: vec![file], ..report("a", 1000, 0, 0) };
    let told = told(&[&[with, report("bb", 1000, 0, 0)]]);
    let files = json!([{ "file": "two words.wasm", "reason": "no name" }]);
    assert_eq!(
        (&told["hosts"][0]["nameless"], &told["hosts"][1]["nameless"]),
        (&files, &Value::Null)
    );
}
