//! Components with asynchronous functions: in fresh instances, and many calls in one.

use std::time::Duration;

use jackfield_wire::{Executed, Status};
use serde_json::json;

use crate::rig::{Rig, answer, eventually, wat};

/// `wait` gives how many calls the instance has had, once `open` was called in the same instance.
fn gate() -> Vec<u8> {
    wat(r#"(component
        (core module $m
            (import "" "return-wait" (func $return-wait (param i32)))
            (import "" "return-open" (func $return-open))
            (global $calls (mut i32) (i32.const 0))
            (global $open (mut i32) (i32.const 0))
            (func $count (global.set $calls (i32.add (global.get $calls) (i32.const 1))))
            (func (export "wait") (result i32) (call $count) (i32.const 1))
            (func (export "wait-on") (param i32 i32 i32) (result i32)
                (if (i32.eqz (global.get $open)) (then (return (i32.const 1))))
                (call $return-wait (global.get $calls))
                (i32.const 0))
            (func (export "open") (result i32)
                (call $count)
                (global.set $open (i32.const 1))
                (call $return-open)
                (i32.const 0))
            (func (export "never") (param i32 i32 i32) (result i32) unreachable)
            (func (export "trap") (result i32) unreachable)
            (func (export "spin") (result i32) (loop (br 0)) unreachable)
            (func (export "plain") (result i32) (i32.const 5)))
        (core func $return-wait (canon task.return (result u32)))
        (core func $return-open (canon task.return))
        (core instance $i (instantiate $m (with "" (instance
            (export "return-wait" (func $return-wait))
            (export "return-open" (func $return-open))))))
        (func (export "wait") async (result u32)
            (canon lift (core func $i "wait") async (callback (core func $i "wait-on"))))
        (func (export "open") async
            (canon lift (core func $i "open") async (callback (core func $i "never"))))
        (func (export "trap") async
            (canon lift (core func $i "trap") async (callback (core func $i "never"))))
        (func (export "spin") async
            (canon lift (core func $i "spin") async (callback (core func $i "never"))))
        (func (export "plain") (result u32) (canon lift (core func $i "plain"))))"#)
}

async fn rig(manifest: &str) -> Rig {
    Rig::with(&[("gate.toml", manifest.as_bytes().to_vec()), ("gate.wasm", gate())]).await
}

async fn shared() -> Rig {
    rig("[instances]\nstrategy = \"concurrent\"\n").await
}

const SOON: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_component_with_async_functions_gets_a_fresh_instance_for_each_call() {
    let rig = rig("").await;
    assert!(rig.host.rejected().is_empty(), "{:?}", rig.host.rejected());
    assert_eq!(rig.call("gate.open", json!([])).await.ok(), json!(null));
    assert_eq!(rig.call("gate.plain", json!([])).await.ok(), json!(5));
    let reply = rig.caller.call_within("gate.wait", json!([]), SOON).await;
    reply.failed(Status::DeadlineExceeded, Executed::Yes, &["gate.wait"]);
    rig.call("gate.trap", json!([])).await.failed(Status::Trapped, Executed::Yes, &["unreachable"]);
    let reply = rig.caller.call_within("gate.spin", json!([]), SOON).await;
    reply.failed(Status::DeadlineExceeded, Executed::Yes, &["gate.spin"]);
    eventually("nothing is left", async || rig.host.stores() == 0).await;
}

#[tokio::test]
async fn many_calls_run_at_once_in_one_instance_when_the_manifest_asks() {
    let rig = shared().await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(rig.caller.start("gate.wait", &[], None).await);
    }
    eventually("three run", async || rig.host.load().in_flight == 3).await;
    assert_eq!(rig.call("gate.open", json!([])).await.ok(), json!(null));
    for exchange in &mut waiting {
        assert_eq!(answer(exchange).await.ok(), json!(4));
    }
    assert_eq!(rig.call("gate.plain", json!([])).await.ok(), json!(5));
    assert_eq!(rig.host.stores(), 1);
}

#[tokio::test]
async fn a_trap_ends_all_calls_of_the_instance_and_the_next_gets_a_new_one() {
    let rig = shared().await;
    let mut waiting = rig.caller.start("gate.wait", &[], None).await;
    eventually("it runs", async || rig.host.load().in_flight == 1).await;
    // Until its own instance has begun with it, the trap could come first.
    rig.call("gate.plain", json!([])).await.ok();
    rig.call("gate.trap", json!([])).await.failed(Status::Trapped, Executed::Yes, &["unreachable"]);
    answer(&mut waiting).await.failed(
        Status::Trapped,
        Executed::Yes,
        &["all calls of the instance"],
    );
    rig.call("gate.open", json!([])).await.ok();
    assert_eq!(rig.call("gate.wait", json!([])).await.ok(), json!(2));
    assert_eq!(rig.host.stores(), 1);
}

#[tokio::test]
async fn a_call_that_goes_on_without_its_caller_keeps_its_place_until_it_ends() {
    let rig = shared().await;
    let reply = rig.caller.call_within("gate.wait", json!([]), SOON).await;
    reply.failed(Status::DeadlineExceeded, Executed::Yes, &["gate.wait"]);
    assert_eq!(rig.host.load().in_flight, 1);
    assert_eq!(rig.call("gate.open", json!([])).await.ok(), json!(null));
    eventually("it has ended", async || rig.host.load().in_flight == 0).await;
}

#[tokio::test]
async fn a_call_past_its_deadline_is_answered_and_one_that_hogs_the_instance_loses_it() {
    let rig = shared().await;
    let reply = rig.caller.call_within("gate.wait", json!([]), SOON).await;
    reply.failed(Status::DeadlineExceeded, Executed::Yes, &["gate.wait"]);
    assert_eq!(rig.call("gate.plain", json!([])).await.ok(), json!(5));
    let reply = rig.caller.call_within("gate.spin", json!([]), SOON).await;
    reply.failed(Status::DeadlineExceeded, Executed::Yes, &["gate.spin"]);
    eventually("others are served again", async || {
        let reply = rig.caller.call_within("gate.plain", json!([]), SOON).await;
        reply.status == Status::Ok
    })
    .await;
    eventually("the hog is gone", async || rig.host.stores() == 1).await;
}
