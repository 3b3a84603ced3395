//! What a host says of its work in numbers.

use jackfield_wire::reflect::{HostReport, MethodReport, ServiceReport};
use jackfield_wire::{Executed, Status};
use serde_json::json;

use crate::rig::{Rig, eventually, fixture, plugin, versioned};

async fn ask(rig: &Rig) -> HostReport {
    let told = rig.call("jackfield.stats", json!([])).await.ok();
    serde_json::from_value(told).expect("a report")
}

fn service<'a>(report: &'a HostReport, name: &str) -> &'a ServiceReport {
    let mut all = report.services.iter();
    all.find(|service| service.service.as_str() == name).expect("it is served")
}

fn method<'a>(report: &'a HostReport, (of, name): (&str, &str)) -> &'a MethodReport {
    let mut all = service(report, of).methods.iter();
    all.find(|method| method.name == name).expect("it is there")
}

#[tokio::test]
async fn calls_are_counted_by_method_and_by_how_they_ended() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc")), ("trap.wasm", fixture("trap"))]).await;
    for arguments in [json!([1, 2]), json!([3, 4]), json!(["one", 2])] {
        rig.call("calc.add", arguments).await;
    }
    rig.call("calc.div", json!([1, 0])).await;
    rig.call("trap.unreachable", json!([])).await;
    rig.call("clac.add", json!([1, 2])).await;
    rig.call("calc.sub-tract", json!([1, 2])).await;
    let report = ask(&rig).await;
    let add = method(&report, ("calc", "add"));
    assert_eq!((add.calls, add.in_flight, add.failed(Status::InvalidArgument)), (3, 0, 1));
    assert_eq!((add.latency.count(), add.errors()), (3, 0));
    assert!(add.latency.sum_ns > 0);
    let div = method(&report, ("calc", "div"));
    assert_eq!((div.calls, div.failed(Status::Application)), (1, 1));
    assert_eq!(service(&report, "calc").calls(), 4);
    assert_eq!(service(&report, "trap").traps(), 1);
    assert_eq!(report.refused[&Status::NotFound], 2);
    assert_eq!((&*report.host, report.concurrency), ("host-under-test", 24));
    assert_eq!(rig.host.report().services, report.services);
}

#[tokio::test]
async fn counts_go_on_over_a_reload_and_end_with_the_plugin() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1))]).await;
    rig.call("v.version", json!([])).await;
    rig.place.put("v.wasm", versioned(2));
    let (_, now) = rig.replaced().await;
    rig.call("v.version", json!([])).await;
    let report = ask(&rig).await;
    assert_eq!(method(&report, ("v", "version")).calls, 2);
    assert_eq!(service(&report, "v").generation, now);
    std::fs::remove_file(rig.place.path("v.wasm")).expect("it is there");
    eventually("it is gone", async || rig.host.stats().versions.is_empty()).await;
    assert_eq!(ask(&rig).await.services, []);
    rig.place.put("v.wasm", versioned(2));
    eventually("it is back", async || !ask(&rig).await.services.is_empty()).await;
    assert_eq!(method(&ask(&rig).await, ("v", "version")).calls, 0);
}

#[tokio::test]
async fn a_call_that_runs_is_seen_with_its_memory_and_counted_when_its_caller_goes() {
    let rig = Rig::with(&[("sleeper.wasm", plugin("sleeper"))]).await;
    let target = ("sleeper", "sleep-for-ever");
    let sleeping = rig.caller.start("sleeper.sleep-for-ever", &[], None).await;
    eventually("it runs", async || ask(&rig).await.memory_bytes > 0).await;
    let report = ask(&rig).await;
    assert_eq!((method(&report, target).in_flight, method(&report, target).calls), (1, 0));
    let sleeper = service(&report, "sleeper");
    assert_eq!((sleeper.instances, sleeper.idle, sleeper.load.in_flight), (1, 0, 1));
    assert_eq!(sleeper.memory_bytes % 65536, 0);
    drop(sleeping);
    eventually("its memory is gone", async || ask(&rig).await.memory_bytes == 0).await;
    let report = ask(&rig).await;
    assert_eq!(method(&report, target).failed(Status::Cancelled), 1);
    assert_eq!((method(&report, target).in_flight, report.instances), (0, 0));
}

#[tokio::test]
async fn one_service_may_be_asked_about_alone() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc")), ("v.wasm", versioned(1))]).await;
    let told = rig.call("jackfield.stats", json!(["v"])).await.ok();
    let report: HostReport = serde_json::from_value(told).unwrap();
    assert_eq!(report.services.len(), 1);
    assert_eq!(method(&report, ("v", "version")).calls, 0);
    let reply = rig.call("jackfield.stats", json!(["calk"])).await;
    reply.failed(Status::NotFound, Executed::No, &["\"calc\"?"]);
    let reply = rig.call("jackfield.stats", json!([1])).await;
    reply.failed(Status::InvalidArgument, Executed::No, &["service: option<string>"]);
}
