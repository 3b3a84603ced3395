//! Instances that outlive a call, because their plugin asks for it.

use std::time::Duration;

use jackfield_wire::{Executed, Status};
use serde_json::json;

use crate::rig::{Rig, answer, eventually, fixture, plugin, versioned, wat};

/// Counts its calls, traps and spins.
fn counter() -> Vec<u8> {
    wat(r#"(component
        (core module $m
            (memory (export "memory") 1)
            (global $count (mut i32) (i32.const 0))
            (func (export "next") (result i32)
                (global.set $count (i32.add (global.get $count) (i32.const 1)))
                (global.get $count))
            (func (export "residue") (result i32)
                (i32.load (i32.const 4096))
                (i32.store (i32.const 4096) (i32.const 7)))
            (func (export "trap") unreachable)
            (func (export "spin") (loop (br 0))))
        (core instance $i (instantiate $m))
        (func (export "next") (result u32) (canon lift (core func $i "next")))
        (func (export "residue") (result u32) (canon lift (core func $i "residue")))
        (func (export "trap") (canon lift (core func $i "trap")))
        (func (export "spin") (canon lift (core func $i "spin"))))"#)
}

async fn counting(strategy: &str) -> Rig {
    let manifest = format!("[instances]\n{strategy}\n");
    Rig::with(&[("count.toml", manifest.into_bytes()), ("count.wasm", counter())]).await
}

async fn next(rig: &Rig) -> u64 {
    rig.call("count.next", json!([])).await.ok().as_u64().expect("a number")
}

#[tokio::test]
async fn a_warm_instance_serves_so_many_calls_and_no_more() {
    let rig = counting("strategy = \"reuse\"\ncalls = 3").await;
    let mut counted = Vec::new();
    for _ in 0..7 {
        counted.push(next(&rig).await);
    }
    assert_eq!(counted, [1, 2, 3, 1, 2, 3, 1]);
    assert_eq!((rig.host.stores(), rig.host.stats().services[0].idle), (1, 1));
}

#[tokio::test]
async fn a_warm_instance_that_went_wrong_is_not_used_again() {
    let rig = counting("strategy = \"reuse\"\ncalls = 100").await;
    assert_eq!(next(&rig).await, 1);
    rig.call("count.trap", json!([])).await.failed(Status::Trapped, Executed::Yes, &[]);
    assert_eq!(next(&rig).await, 1);
    let late = rig.caller.call_within("count.spin", json!([]), Duration::from_millis(50)).await;
    late.failed(Status::DeadlineExceeded, Executed::Yes, &[]);
    eventually("it is gone", async || rig.host.stores() == 0).await;
    assert_eq!(next(&rig).await, 1);
    let left = rig.caller.start("count.spin", &[], None).await;
    eventually("it runs", async || rig.host.load().in_flight == 1).await;
    drop(left);
    eventually("it is gone", async || rig.host.stores() == 0).await;
    assert_eq!(next(&rig).await, 1);
}

#[tokio::test]
async fn warm_instances_serve_one_call_at_a_time() {
    let files = [
        ("sleeper.toml", b"[instances]\nstrategy = \"reuse\"\ncalls = 100\n".to_vec()),
        ("sleeper.wasm", plugin("sleeper")),
    ];
    let rig = Rig::with(&files).await;
    let asleep = rig.caller.start("sleeper.sleep-for-ever", &[], None).await;
    eventually("it sleeps", async || rig.host.load().in_flight == 1).await;
    for _ in 0..5 {
        assert_eq!(rig.call("sleeper.ping", json!([])).await.ok(), json!(1));
    }
    assert_eq!(rig.host.stores(), 2);
    drop(asleep);
    eventually("one is left", async || rig.host.stores() == 1).await;
}

#[tokio::test]
async fn without_room_for_idle_instances_each_call_gets_a_fresh_one() {
    let manifest = b"[instances]\nstrategy = \"reuse\"\ncalls = 100\n".to_vec();
    let files = [("count.toml", manifest), ("count.wasm", counter())];
    let rig = Rig::tuned(&files, |config| config.limits.idle_instances = 0).await;
    assert_eq!((next(&rig).await, next(&rig).await), (1, 1));
    assert_eq!(rig.host.stores(), 0);
}

#[tokio::test]
async fn the_only_instance_keeps_its_state_and_says_when_it_is_lost() {
    let rig = counting("strategy = \"single\"").await;
    assert_eq!((next(&rig).await, next(&rig).await, next(&rig).await), (1, 2, 3));
    let lost = ["only instance is lost", "its 3 calls before"];
    let trapped = rig.call("count.trap", json!([])).await;
    trapped.failed(Status::Trapped, Executed::Yes, &lost);
    assert_eq!((next(&rig).await, next(&rig).await, next(&rig).await), (1, 2, 3));
    let late = rig.caller.call_within("count.spin", json!([]), Duration::from_millis(50)).await;
    late.failed(Status::DeadlineExceeded, Executed::Yes, &lost);
    assert_eq!(next(&rig).await, 1);
}

#[tokio::test]
async fn the_only_instance_serves_in_turn_and_who_waits_keeps_its_deadline() {
    let rig = counting("strategy = \"single\"").await;
    let spinning = rig.caller.start("count.spin", &[], None).await;
    eventually("it runs", async || rig.host.load().in_flight == 1).await;
    let reply = rig.caller.call_within("count.next", json!([]), Duration::from_millis(50)).await;
    reply.failed(Status::DeadlineExceeded, Executed::No, &["waited"]);
    let mut waiting = rig.caller.start("count.next", &[], None).await;
    eventually("one waits", async || rig.host.load().queued == 1).await;
    drop(spinning);
    assert_eq!(answer(&mut waiting).await.ok(), json!(1));
}

#[tokio::test]
async fn a_host_without_room_for_the_only_instance_says_which_setting_gives_it() {
    let manifest = b"[instances]\nstrategy = \"single\"\n".to_vec();
    let files = [("count.toml", manifest), ("count.wasm", counter())];
    let rig = Rig::tuned(&files, |config| config.limits.idle_instances = 0).await;
    let reply = rig.call("count.next", json!([])).await;
    reply.failed(Status::ResourceExhausted, Executed::No, &["idle-instances"]);
}

#[tokio::test]
async fn what_was_kept_goes_with_its_version() {
    let mut rig = counting("strategy = \"single\"").await;
    assert_eq!(next(&rig).await, 1);
    assert_eq!(rig.host.stores(), 1);
    let manifest = "accept-breaking-change = true\n[instances]\nstrategy = \"single\"\n";
    rig.place.put("count.toml", manifest);
    rig.place.put("count.wasm", versioned(2));
    rig.replaced().await;
    eventually("it answers as the new one", async || {
        rig.call("count.version", json!([])).await.status == Status::Ok
    })
    .await;
    eventually("only the new one is kept", async || rig.host.stores() == 1).await;
}

#[tokio::test]
async fn nothing_of_a_call_is_in_the_memory_of_the_next_however_slots_are_reused() {
    let rig = Rig::with(&[("count.wasm", counter()), ("other.wasm", fixture("counter"))]).await;
    for _ in 0..100 {
        assert_eq!(rig.call("count.residue", json!([])).await.ok(), json!(0));
        assert_eq!(rig.call("other.next-in-memory", json!([])).await.ok(), json!(1));
    }
}
