//! The end of a host.

use std::time::Duration;

use jackfield_wire::Executed;
use serde_json::json;

use crate::rig::{Rig, answer, eventually, fixture, plugin};

#[tokio::test]
async fn calls_in_flight_finish_within_the_grace() {
    let Rig { host, caller, place: _place, .. } =
        Rig::with(&[("sleeper.wasm", plugin("sleeper"))]).await;
    let wait = json!([300]);
    let arguments = [(jackfield_wire::FrameKind::Positional, &wait)];
    let mut slow = caller.start("sleeper.sleep-ms", &arguments, None).await;
    eventually("it sleeps", async || host.load().in_flight == 1).await;
    let (report, reply) = tokio::join!(host.shutdown(Duration::from_secs(30)), answer(&mut slow));
    assert_eq!(reply.ok(), json!(300));
    assert_eq!(report.cut_off, 0);
}

#[tokio::test]
async fn calls_beyond_the_grace_are_cut_and_counted() {
    let Rig { host, caller, place: _place, .. } =
        Rig::with(&[("sleeper.wasm", plugin("sleeper"))]).await;
    let mut asleep = caller.start("sleeper.sleep-for-ever", &[], None).await;
    eventually("it sleeps", async || host.load().in_flight == 1).await;
    let report = host.shutdown(Duration::from_millis(50)).await;
    assert_eq!(report.cut_off, 1);
    let error = asleep.recv().await.expect_err("the answer never comes");
    assert_ne!(error.executed(), Executed::No);
    assert!(caller.connection().open().await.is_err(), "the connection is closed");
}

#[tokio::test]
async fn answers_say_that_the_host_will_close_while_it_still_takes_calls() {
    let Rig { host, caller, place: _place, .. } = Rig::with(&[("calc.wasm", plugin("calc"))]).await;
    let add = async || caller.call("calc.add", json!([1, 2])).await;
    assert!(!add().await.draining);
    let turns_away = async {
        // Every call until then is answered, or this would fail.
        while !add().await.draining {}
    };
    let (report, ()) = tokio::join!(host.shutdown(Duration::from_secs(30)), turns_away);
    assert_eq!(report.cut_off, 0);
}

#[tokio::test]
async fn a_guest_that_spins_does_not_hold_the_end_up() {
    let Rig { host, caller, place: _place, .. } =
        Rig::with(&[("spin.wasm", fixture("spin"))]).await;
    let _spinning = caller.start("spin.spin", &[], None).await;
    eventually("it spins", async || host.load().in_flight == 1).await;
    assert_eq!(host.shutdown(Duration::ZERO).await.cut_off, 1);
}
