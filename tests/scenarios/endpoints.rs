//! Endpoints that have a name for an address, and hosts that stand still for a while.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use jackfield_harness::{Signal, eventually_blocking};
use serde_json::Value;

use crate::stage;

#[test]
fn an_endpoint_is_listed_and_watched_by_its_name() {
    let stage = stage();
    let registry = stage.registry().unwrap();
    let address = registry.address().to_string();
    let register = |service: &str, place: &str| {
        let words = ["register", service, "--address", place];
        stage.run_at(registry.address(), &words).unwrap().ok().unwrap()
    };
    register("search", "localhost:9200");
    let listed = stage.run_at(registry.address(), &["ls", "--json"]).unwrap().ok().unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let of_search = listed.as_array().unwrap().iter().find(|i| i["service"] == "search");
    assert_eq!(of_search.expect("it is listed")["address"], "localhost:9200", "{listed}");

    let mut watch = stage.command(&["watch", "--registry", &address]);
    let mut watch = watch.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut line_of = |service: &str| lines.find(|line| line.contains(service)).unwrap();
    let first = line_of("search@");
    assert!(first.starts_with("+ ") && first.contains(" localhost:9200 healthy"), "{first}");
    register("model", "localhost:8000");
    let next = line_of("model@");
    assert!(next.starts_with("+ ") && next.contains(" localhost:8000 healthy"), "{next}");
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn a_host_that_stands_still_within_its_lease_is_suspect_and_back_and_never_gone() {
    let stage = stage();
    let words = ["registry", "-p", "0", "--store", "memory:", "--ttl", "1h"];
    let registry = stage.spawn("registry", &words).unwrap();
    let folder = stage.folder("host-a").unwrap();
    folder.add("calc").unwrap();
    let host = stage.host(&folder, registry.address()).unwrap();
    let listed = || {
        let listed = stage.run_at(registry.address(), &["ls", "--json"]).unwrap().ok().unwrap();
        serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().clone()
    };
    let is = |health: &str| {
        let listed = listed();
        assert_eq!(listed.len(), 1, "it is gone");
        (listed[0]["health"] == health).then_some(())
    };
    eventually_blocking("the host registers", || (!listed().is_empty()).then_some(()));
    for _ in 0..2 {
        host.signal(Signal::STOP).unwrap();
        eventually_blocking("its connection is taken for dead", || is("suspect"));
        host.signal(Signal::CONT).unwrap();
        eventually_blocking("it comes back", || is("healthy"));
    }
    let sum = stage.run_at(registry.address(), &["call", "calc.add", "1", "2"]).unwrap();
    assert_eq!(sum.ok().unwrap().trim(), "3.0");
}
