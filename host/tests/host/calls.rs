//! Calls that are right, and calls that are wrong, of plugins that behave.

use jackfield_wire::{Executed, FrameKind, Status};
use serde_json::json;

use crate::rig::{Rig, answer, fixture, plugin};

#[tokio::test]
async fn a_call_goes_through_quic_and_comes_back_with_its_generation() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc"))]).await;
    let reply = rig.call("calc.add", json!([1, 2.5])).await;
    assert_eq!(reply.generation, rig.generation("calc"));
    assert_eq!(reply.load.map(|load| load.queued), Some(0));
    assert_eq!(reply.ok(), json!(3.5));
}

#[tokio::test]
async fn positional_and_named_arguments_mix_and_options_may_be_left_out() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc"))]).await;
    let caller = &rig.caller;
    assert_eq!(caller.call_named("calc.add", json!({"b": 2, "a": 1})).await.ok(), json!(3.0));
    let (positional, named) = (json!([1]), json!({"c": 10, "b": 2}));
    let frames = [(FrameKind::Positional, &positional), (FrameKind::Named, &named)];
    assert_eq!(caller.send("calc.add", &frames, None).await.ok(), json!(13.0));
    assert_eq!(caller.call("calc.sum", json!([[1, 2, 3]])).await.ok(), json!(6.0));
    assert_eq!(caller.call("calc.mean", json!([[]])).await.ok(), json!(null));
}

#[tokio::test]
async fn a_methods_own_error_is_an_application_answer() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc"))]).await;
    let reply = rig.call("calc.div", json!([1, 0])).await;
    assert_eq!((reply.status, reply.executed), (Status::Application, Executed::Yes));
    assert!(reply.value.is_some_and(|value| value.is_string()));
    assert_eq!(rig.call("calc.div", json!([1, 4])).await.ok(), json!(0.25));
}

#[tokio::test]
async fn wrong_arguments_are_refused_before_anything_runs() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc"))]).await;
    for (arguments, word) in [
        (json!([1]), "b"),
        (json!([1, 2, 3, 4]), "4"),
        (json!([1, "two"]), "f64"),
        (json!({"a": 1}), "array"),
    ] {
        let reply = rig.call("calc.add", arguments).await;
        reply.failed(Status::InvalidArgument, Executed::No, &[word]);
    }
    let reply = rig.caller.call_named("calc.add", json!({"a": 1, "bee": 2})).await;
    reply.failed(Status::InvalidArgument, Executed::No, &["bee"]);
}

#[tokio::test]
async fn arguments_that_are_no_json_or_nest_without_end_are_refused() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc"))]).await;
    let nested = vec![b'['; 1_000_000];
    for bytes in [&b"[1,"[..], &[0xff, 0xfe], b"[1, 2] 3", &nested] {
        let frames = [(FrameKind::Positional, bytes)];
        let mut exchange = rig.caller.start_raw("calc.add", &frames, None).await;
        let reply = answer(&mut exchange).await;
        reply.failed(Status::InvalidArgument, Executed::No, &[]);
    }
}

#[tokio::test]
async fn requests_that_are_malformed_are_told_so() {
    let rig = Rig::with(&[]).await;
    let twice = [(FrameKind::Named, &b"{}"[..]), (FrameKind::Named, b"{}")];
    let mut exchange = rig.caller.start_raw("a.b", &twice, None).await;
    answer(&mut exchange).await.failed(Status::InvalidArgument, Executed::No, &["twice"]);
    for frames in
        [vec![(FrameKind::Value, &b"1"[..])], vec![(FrameKind::Head, &b"\xff\xff"[..])], vec![]]
    {
        let mut exchange = rig.caller.connection().open().await.unwrap();
        exchange.send_last(&frames).await.unwrap();
        let reply = answer(&mut exchange).await;
        reply.failed(Status::InvalidArgument, Executed::No, &["malformed request"]);
    }
}

#[tokio::test]
async fn arguments_over_the_limit_are_refused_and_the_connection_lives() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc"))]).await;
    let long = vec![b' '; (4 << 20) + 1];
    let mut exchange = rig.caller.connection().open().await.unwrap();
    let head = jackfield_wire::to_cbor(&("calc", "add"));
    // The host refuses in the middle of it: whether the rest was sent does not matter.
    let _ = exchange.send_last(&[(FrameKind::Head, &head), (FrameKind::Positional, &long)]).await;
    let reply = answer(&mut exchange).await;
    reply.failed(Status::InvalidArgument, Executed::No, &["4194304 bytes"]);
    assert_eq!(rig.call("calc.add", json!([1, 2])).await.ok(), json!(3.0));
}

#[tokio::test]
async fn what_is_not_there_is_answered_with_what_is() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc")), ("text.wasm", plugin("text"))]).await;
    let reply = rig.call("clac.add", json!([])).await;
    reply.failed(Status::NotFound, Executed::No, &["\"calc\"?", "calc, text"]);
    let reply = rig.call("calc.ad", json!([])).await;
    reply.failed(Status::NotFound, Executed::No, &["\"add\"?", "sub"]);
}

#[tokio::test]
pub(crate) async fn a_name_in_two_interfaces_needs_its_qualified_form() {
    let rig = Rig::with(&[("twins.wasm", fixture("twins"))]).await;
    let first = rig.call("twins.demo:twins/first@1.0.0#number", json!([])).await.ok();
    let second = rig.call("twins.demo:twins/second@1.0.0#number", json!([])).await.ok();
    assert_ne!(first, second);
    assert_eq!(rig.call("twins.only-here", json!([])).await.status, Status::Ok);
    let reply = rig.call("twins.number", json!([])).await;
    let words = ["demo:twins/first@1.0.0#number", "demo:twins/second@1.0.0#number"];
    reply.failed(Status::NotFound, Executed::No, &words);
}

#[tokio::test]
pub(crate) async fn functions_over_resources_are_listed_with_the_reason_and_refused() {
    let rig = Rig::with(&[("thing.wasm", fixture("resource"))]).await;
    assert_eq!(rig.call("thing.ping", json!([])).await.status, Status::Ok);
    let reply = rig.call("thing.value", json!([1])).await;
    reply.failed(Status::NotFound, Executed::No, &["cannot be called", "cannot travel"]);
    let info = rig.host.services().remove(0);
    let refused: Vec<_> = info.refused.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(refused, ["make", "value"]);
}

#[tokio::test]
async fn no_state_leaks_from_one_call_to_the_next() {
    let rig = Rig::with(&[("counter.wasm", fixture("counter"))]).await;
    for method in ["counter.next", "counter.next-in-memory"] {
        for _ in 0..50 {
            assert_eq!(rig.call(method, json!([])).await.ok(), json!(1), "{method}");
        }
    }
}

#[tokio::test]
async fn the_same_greeting_comes_from_rust_and_from_c() {
    let rig = Rig::with(&[("rust.wasm", plugin("greeter")), ("c.wasm", plugin("greeter-c"))]).await;
    let from_rust = rig.call("rust.greet", json!(["Ada"])).await.ok();
    assert_eq!(rig.call("c.greet", json!(["Ada"])).await.ok(), from_rust);
}

#[tokio::test]
async fn bytes_travel_as_base64() {
    let rig = Rig::with(&[("text.wasm", plugin("text"))]).await;
    let reply = rig.call("text.base64-decode", json!(["aGVsbG8="])).await;
    assert_eq!(reply.ok(), json!({"base64": "aGVsbG8="}));
}
