//! Plugins that trap on most of their calls, and what becomes of them.

use std::time::Duration;

use jackfield_host::HostEvent;
use jackfield_wire::{Executed, Status};
use serde_json::json;

use crate::rig::{Caller, Rig, eventually, fixture, plugin, versioned, wat};

/// Calls that show a storm.
const STORM: usize = 100;

/// Callers who together show that it is the plugin.
const CALLERS: usize = 5;

async fn storm(rig: &mut Rig, target: &str) {
    for number in 0..CALLERS {
        let caller = Caller::named(&rig.place, &rig.host, &format!("caller-{number}")).await;
        for _ in 0..STORM / CALLERS {
            caller.call(target, json!([])).await.failed(Status::Trapped, Executed::Yes, &[]);
        }
    }
    assert_eq!(quarantined(rig).await, None);
}

/// Waits until something is quarantined; gives for whom alone.
async fn quarantined(rig: &mut Rig) -> Option<String> {
    rig.event(|event| match event {
        HostEvent::Quarantined { caller, .. } => Some(caller),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_caller_whose_calls_trap_is_refused_and_no_other_is() {
    let mut rig = Rig::with(&[("trap.wasm", fixture("trap"))]).await;
    for _ in 0..STORM {
        let reply = rig.call("trap.divide", json!([1, 0])).await;
        reply.failed(Status::Trapped, Executed::Yes, &["divide by zero"]);
    }
    let who = quarantined(&mut rig).await;
    assert!(who.as_ref().is_some_and(|who| who.ends_with("/client/caller")), "{who:?}");
    let reply = rig.call("trap.divide", json!([6, 3])).await;
    reply.failed(Status::Unavailable, Executed::No, &["/client/caller alone: 100 of its last 100"]);
    assert!(reply.retry_after_ms.is_some_and(|ms| ms <= 1000), "{reply:?}");
    let other = Caller::named(&rig.place, &rig.host, "other").await;
    assert_eq!(other.call("trap.divide", json!([6, 3])).await.ok(), json!(2));
    let told = other.call("jackfield.describe", json!(["trap"])).await.ok();
    assert!(told["quarantined"].as_str().is_some_and(|told| told.contains("caller alone")));
}

#[tokio::test]
async fn a_caller_that_runs_into_limits_takes_the_plugin_from_nobody() {
    let limit = |config: &mut jackfield_host::HostConfig| config.limits.plugin.memory = 4 << 20;
    let mut rig = Rig::tuned(&[("grower.wasm", fixture("grower"))], limit).await;
    for _ in 0..STORM {
        let reply = rig.call("grower.grow-for-ever", json!([])).await;
        reply.failed(Status::Trapped, Executed::Yes, &["memory limit"]);
    }
    assert!(quarantined(&mut rig).await.is_some());
    let other = Caller::named(&rig.place, &rig.host, "other").await;
    let reply = other.call("grower.grow-for-ever", json!([])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["memory limit"]);
}

#[tokio::test]
async fn a_new_version_that_traps_gives_its_place_back_to_the_one_before() {
    let mut rig = Rig::with(&[("p.wasm", versioned(1))]).await;
    assert_eq!(rig.call("p.version", json!([])).await.ok(), json!(1));
    rig.place.put("p.wasm", trapping());
    let (one, two) = rig.replaced().await;
    for _ in 0..STORM {
        rig.call("p.version", json!([])).await.failed(Status::Trapped, Executed::Yes, &[]);
    }
    let because = rig.event(|event| match event {
        HostEvent::RolledBack { from, to, because, .. } if (from, to) == (two, one) => because,
        _ => None,
    });
    assert!(because.await.contains("100 of its last 100 calls trapped"));
    assert_eq!(rig.call("p.version", json!([])).await.ok(), json!(1));
    let told = rig.call("jackfield.describe", json!(["p"])).await.ok();
    assert_eq!((&told["generation"], &told["rolled_back_from"]), (&json!(one), &json!(two)));
    assert!(told["rolled_back_because"].as_str().is_some_and(|why| why.contains("trapped")));
    // Also after a restart, and for the same reason.
    let mut rig = rig.restart(|_| {}).await;
    assert_eq!(rig.call("p.version", json!([])).await.ok(), json!(1));
    assert_eq!(rig.call("jackfield.describe", json!(["p"])).await.ok(), told);
    // Until the content of the file changes.
    rig.place.put("p.wasm", trapping());
    rig.host.settled().await;
    assert_eq!(rig.call("p.version", json!([])).await.ok(), json!(1));
    rig.place.put("p.wasm", versioned(3));
    rig.replaced().await;
    assert_eq!(rig.call("p.version", json!([])).await.ok(), json!(3));
}

#[tokio::test]
async fn a_new_version_is_not_given_up_for_one_caller_of_several_nor_against_its_manifest() {
    let manifest = b"roll-back-on-traps = false".to_vec();
    let files = [("p.wasm", versioned(1)), ("q.toml", manifest), ("q.wasm", versioned(1))];
    let mut rig = Rig::with(&files).await;
    for service in ["p", "q"] {
        rig.place.put(&format!("{service}.wasm"), trapping());
    }
    rig.replaced().await;
    rig.replaced().await;
    let other = Caller::named(&rig.place, &rig.host, "other").await;
    other.call("p.version", json!([])).await.failed(Status::Trapped, Executed::Yes, &[]);
    for target in ["p.version", "q.version"] {
        for _ in 0..STORM {
            rig.call(target, json!([])).await.failed(Status::Trapped, Executed::Yes, &[]);
        }
        assert!(quarantined(&mut rig).await.is_some());
        other.call(target, json!([])).await.failed(Status::Trapped, Executed::Yes, &[]);
    }
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
