//! Plugins that trap on most of their calls, and what becomes of them.

use std::time::Duration;

use jackfield_host::HostEvent;
use jackfield_wire::{Executed, Status};
use serde_json::json;

use crate::rig::{Rig, eventually, fixture, plugin, versioned, wat};

/// Calls that show a storm.
const STORM: usize = 100;

async fn storm(rig: &mut Rig, target: &str) {
    for _ in 0..STORM {
        rig.call(target, json!([])).await.failed(Status::Trapped, Executed::Yes, &[]);
    }
    rig.event(|event| matches!(event, HostEvent::Quarantined { .. }).then_some(())).await;
}

#[tokio::test]
async fn a_plugin_that_always_traps_is_quarantined_and_its_neighbour_is_not() {
    let files = [("trap.wasm", fixture("trap")), ("calc.wasm", plugin("calc"))];
    let mut rig = Rig::with(&files).await;
    storm(&mut rig, "trap.unreachable").await;
    let reply = rig.call("trap.unreachable", json!([])).await;
    let words = ["trap is quarantined: 100 of its last 100 calls trapped", "unreachable"];
    reply.failed(Status::Unavailable, Executed::No, &words);
    assert!(reply.retry_after_ms.is_some_and(|ms| ms <= 1000), "{reply:?}");
    assert_eq!(rig.call("calc.add", json!([1, 2])).await.ok(), json!(3.0));
    let described = rig.call("jackfield.describe", json!(["trap"])).await.ok();
    assert!(described["quarantined"].as_str().is_some_and(|told| told.contains("100 of its last")));
    assert!(rig.host.stats().services.iter().any(|service| service.quarantined));
}

#[tokio::test]
async fn a_plugin_that_traps_no_more_comes_back() {
    let mut rig = Rig::with(&[("trap.wasm", fixture("trap"))]).await;
    storm(&mut rig, "trap.unreachable").await;
    eventually("its trial begins", async || {
        rig.call("trap.divide", json!([6, 3])).await.status == Status::Ok
    })
    .await;
    for _ in 0..10 {
        // Of the trial, or after it.
        rig.call("trap.divide", json!([6, 3])).await;
    }
    rig.event(|event| matches!(event, HostEvent::Recovered { .. }).then_some(())).await;
    assert_eq!(rig.call("trap.divide", json!([6, 3])).await.ok(), json!(2));
    assert!(!rig.host.stats().services[0].quarantined);
}

#[tokio::test]
async fn a_new_version_is_not_held_to_account_for_the_one_before() {
    let mut rig = Rig::with(&[("p.wasm", trapping())]).await;
    storm(&mut rig, "p.version").await;
    rig.call("p.version", json!([])).await.failed(Status::Unavailable, Executed::No, &[]);
    rig.place.put("p.wasm", versioned(2));
    rig.replaced().await;
    assert_eq!(rig.call("p.version", json!([])).await.ok(), json!(2));
}

/// Has the exports of [`versioned`], and traps.
fn trapping() -> Vec<u8> {
    wat(r#"(component
        (core module $m (func (export "version") (result i32) unreachable))
        (core instance $i (instantiate $m))
        (func (export "version") (result u32) (canon lift (core func $i "version"))))"#)
}

#[tokio::test]
async fn nobody_quarantines_a_plugin_by_short_deadlines_or_wrong_arguments() {
    let rig = Rig::with(&[("spin.wasm", fixture("spin"))]).await;
    for _ in 0..STORM {
        let reply = rig.caller.call_within("spin.spin", json!([]), Duration::from_millis(1)).await;
        assert_eq!(reply.status, Status::DeadlineExceeded, "{reply:?}");
        let reply = rig.call("spin.ping", json!(["too much"])).await;
        reply.failed(Status::InvalidArgument, Executed::No, &[]);
    }
    assert_eq!(rig.call("spin.ping", json!([])).await.ok(), json!(1));
    assert!(!rig.host.stats().services[0].quarantined);
}
