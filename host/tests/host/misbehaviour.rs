//! Guests that do not play by the rules: each ends its own call and nothing else.

use std::time::Duration;

use jackfield_wire::{Executed, FrameKind, Status};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::rig::{Rig, eventually, fixture, plugin, wat};

mod bombs;
mod roster;
mod storms;

const SOON: Duration = Duration::from_millis(300);

#[tokio::test]
pub(crate) async fn a_loop_without_end_is_stopped_by_its_deadline_and_others_go_on() {
    let rig = Rig::with(&[("spin.wasm", fixture("spin")), ("calc.wasm", plugin("calc"))]).await;
    let spinning = rig.caller.call_within("spin.spin", json!([]), SOON);
    let others = async {
        for n in 0..20 {
            assert_eq!(rig.call("calc.add", json!([n, 1])).await.ok(), json!(f64::from(n + 1)));
        }
    };
    let (reply, ()) = tokio::join!(spinning, others);
    reply.failed(Status::DeadlineExceeded, Executed::Yes, &["spin.spin", "300ms"]);
    assert_eq!(rig.call("spin.ping", json!([])).await.ok(), json!(1));
    eventually("nothing is left of it", async || rig.host.load().in_flight == 0).await;
}

#[tokio::test]
pub(crate) async fn a_loop_outside_the_method_itself_is_stopped_too() {
    let rig = Rig::with(&[
        ("realloc.wasm", fixture("spin-in-realloc")),
        ("post.wasm", fixture("spin-in-post-return")),
    ])
    .await;
    for info in rig.host.services() {
        let service = info.service.as_str();
        let method = info.methods.iter().find(|method| method.name != "ping");
        let method = method.unwrap_or(&info.methods[0]);
        let arguments: Value = method.signature.params.iter().map(|p| p.ty.example()).collect();
        let target = format!("{service}.{}", method.name);
        let reply = rig.caller.call_within(&target, arguments, SOON).await;
        reply.failed(Status::DeadlineExceeded, Executed::Yes, &[&target]);
    }
}

#[tokio::test]
pub(crate) async fn a_trap_ends_one_call_and_says_what_it_was() {
    let rig = Rig::with(&[("trap.wasm", fixture("trap"))]).await;
    let reply = rig.call("trap.unreachable", json!([])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["unreachable"]);
    let reply = rig.call("trap.out-of-bounds", json!([])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["out of bounds"]);
    let reply = rig.call("trap.divide", json!([1, 0])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["divide by zero"]);
    assert_eq!(rig.call("trap.divide", json!([6, 3])).await.ok(), json!(2));
    eventually("nothing is left of it", async || rig.host.load().in_flight == 0).await;
}

#[tokio::test]
pub(crate) async fn a_panic_tells_its_message() {
    let rig = Rig::with(&[("p.wasm", plugin("panicking"))]).await;
    let reply = rig.call("p.panic-with", json!(["the well is dry\u{1b}[2J"])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["panicked at", "the well is dry\\u{1b}[2J"]);
    assert_eq!(rig.call("p.ping", json!([])).await.ok(), json!(1));
}

#[tokio::test]
pub(crate) async fn endless_recursion_is_a_trap_that_names_the_limit() {
    let rig = Rig::with(&[("deep.wasm", fixture("recursion"))]).await;
    let reply = rig.call("deep.down", json!([u32::MAX])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["stack limit"]);
    assert_eq!(rig.call("deep.ping", json!([])).await.ok(), json!(1));
}

#[tokio::test]
pub(crate) async fn a_guest_that_takes_all_memory_gets_no_more_than_its_limit() {
    let files = [("grower.wasm", fixture("grower"))];
    let rig = Rig::tuned(&files, |config| config.limits.plugin.memory = 8 << 20).await;
    let reply = rig.call("grower.grow-for-ever", json!([])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["memory limit", "8388608 bytes allowed"]);
    let reply = rig.call("grower.grow", json!([65535])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["memory limit"]);
    assert_eq!(rig.call("grower.ping", json!([])).await.ok(), json!(1));
}

#[tokio::test]
pub(crate) async fn a_guest_that_takes_all_table_elements_gets_no_more_than_its_limit() {
    let rig = Rig::with(&[("tables.wasm", fixture("table-grower"))]).await;
    let reply = rig.call("tables.grow", json!([200_000])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["table limit", "100000 elements allowed"]);
    assert_eq!(rig.call("tables.ping", json!([])).await.ok(), json!(1));
}

#[tokio::test]
pub(crate) async fn answers_that_break_their_own_types_are_traps() {
    let rig = Rig::with(&[("bad.wasm", fixture("bad-answer"))]).await;
    for method in ["text", "character", "color"] {
        let reply = rig.call(&format!("bad.{method}"), json!([])).await;
        reply.failed(Status::Trapped, Executed::Yes, &[]);
        assert!(!reply.message.is_empty());
    }
    assert_eq!(rig.call("bad.ping", json!([])).await.ok(), json!(1));
}

#[tokio::test]
pub(crate) async fn giant_answers_cost_their_call_alone() {
    let rig = Rig::beside_neighbour(&[("giant.wasm", fixture("giant-answer"))], |_| {}).await;
    let outside = "out of bounds";
    for (target, argument, words) in [
        ("giant.claim", 1_u32 << 30, outside),
        ("giant.claim", 1 << 31, outside),
        ("giant.claim-text", 1 << 30, outside),
        ("giant.claim-text", 1 << 31, outside),
        ("giant.fill", 1600, "67108864 bytes allowed"),
        ("giant.crowd", 1600, "67108864 bytes allowed"),
    ] {
        let reply = rig.call(target, json!([argument])).await;
        reply.failed(Status::Trapped, Executed::Yes, &[words]);
    }
    rig.is_unharmed().await;
}

#[tokio::test]
pub(crate) async fn a_sleeping_guest_is_stopped_by_its_deadline() {
    let rig = Rig::with(&[("sleeper.wasm", plugin("sleeper"))]).await;
    let reply = rig.caller.call_within("sleeper.sleep-for-ever", json!([]), SOON).await;
    reply.failed(Status::DeadlineExceeded, Executed::Yes, &["sleeper.sleep-for-ever"]);
    eventually("nothing is left of it", async || rig.host.load().in_flight == 0).await;
}

#[tokio::test]
pub(crate) async fn long_steps_within_one_instruction_do_not_outlive_the_deadline() {
    let rig = Rig::beside_neighbour(&[("spin.wasm", fixture("spin-in-copy"))], |_| {}).await;
    for target in ["spin.copy", "spin.fill"] {
        let reply = rig.caller.call_within(target, json!([]), SOON).await;
        reply.failed(Status::DeadlineExceeded, Executed::Yes, &[target, "300ms"]);
    }
    rig.is_unharmed().await;
}

#[tokio::test]
pub(crate) async fn a_guest_that_waits_for_what_never_comes_is_stopped_by_its_deadline() {
    let rig = Rig::beside_neighbour(&[("never.wasm", fixture("poll-never"))], |_| {}).await;
    for target in ["never.block", "never.poll", "never.ask"] {
        let reply = rig.caller.call_within(target, json!([]), SOON).await;
        reply.failed(Status::DeadlineExceeded, Executed::Yes, &[target, "300ms"]);
    }
    rig.is_unharmed().await;
}

#[tokio::test]
pub(crate) async fn a_guest_that_hoards_handles_gets_no_more_than_its_limit() {
    let files = [("hoarder.wasm", fixture("handle-flood"))];
    let rig = Rig::beside_neighbour(&files, |config| config.limits.plugin.handles = 1000).await;
    for target in ["hoarder.hoard", "hoarder.hoard-of-host"] {
        let reply = rig.call(target, json!([])).await;
        reply.failed(Status::Trapped, Executed::Yes, &["handle limit", "1000 handles allowed"]);
    }
    // Two instances of one component share what they may have.
    let reply = rig.call("hoarder.take-by-turns", json!([400])).await;
    assert_eq!(reply.status, Status::Ok, "{reply:?}");
    let reply = rig.call("hoarder.take-by-turns", json!([600])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["handle limit"]);
    rig.is_unharmed().await;
}

#[tokio::test]
async fn a_caller_that_gives_up_takes_its_guest_along() {
    let rig =
        Rig::with(&[("sleeper.wasm", plugin("sleeper")), ("spin.wasm", fixture("spin"))]).await;
    for target in ["sleeper.sleep-for-ever", "spin.spin"] {
        let exchange = rig.caller.start(target, &[], None).await;
        eventually("the guest runs", async || rig.host.load().in_flight == 1).await;
        drop(exchange);
        eventually("the guest is gone", async || rig.host.load().in_flight == 0).await;
        eventually("and its store with it", async || rig.host.stores() == 0).await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_takes_its_guests_along() {
    let rig = Rig::with(&[("sleeper.wasm", plugin("sleeper"))]).await;
    let gone = crate::rig::Caller::connect(&rig.place, &rig.host).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(gone.start("sleeper.sleep-for-ever", &[], None).await);
    }
    eventually("the guests run", async || rig.host.load().in_flight == 3).await;
    gone.connection().close(jackfield_transport::CloseCode::Done);
    eventually("the guests are gone", async || rig.host.load().in_flight == 0).await;
    assert_eq!(rig.call("sleeper.ping", json!([])).await.ok(), json!(1));
}

#[tokio::test]
async fn sixteen_callers_are_answered_while_one_sleeps() {
    let rig =
        Rig::with(&[("sleeper.wasm", plugin("sleeper")), ("calc.wasm", plugin("calc"))]).await;
    let asleep = rig.caller.start("sleeper.sleep-for-ever", &[], None).await;
    eventually("one sleeps", async || rig.host.load().in_flight == 1).await;
    let mut callers = JoinSet::new();
    for n in 0..16 {
        let caller = rig.caller.clone();
        callers.spawn(async move {
            for _ in 0..5 {
                assert_eq!(
                    caller.call("calc.mul", json!([n, 2])).await.ok(),
                    json!(f64::from(n * 2))
                );
            }
        });
    }
    callers.join_all().await;
    assert_eq!(rig.host.load().in_flight, 1);
    drop(asleep);
}

#[tokio::test]
pub(crate) async fn a_chatty_guest_does_not_hold_anyone_up() {
    let rig = Rig::with(&[("chatty.wasm", plugin("chatty"))]).await;
    let line = "x".repeat(1000);
    let said = rig.call("chatty.say", json!([line, 2000])).await;
    assert_eq!(said.status, Status::Ok, "{said:?}");
    let complained = rig.call("chatty.complain", json!([line, 2000])).await;
    assert_eq!(complained.status, Status::Ok, "{complained:?}");
}

#[tokio::test]
pub(crate) async fn a_nosy_guest_finds_nothing() {
    let rig = Rig::with(&[("nosy.wasm", plugin("nosy"))]).await;
    assert_eq!(rig.call("nosy.variables", json!([])).await.ok(), json!([]));
    assert_eq!(rig.call("nosy.variable", json!(["PATH"])).await.ok(), json!(null));
    assert_eq!(rig.call("nosy.read-input", json!([])).await.ok(), json!(""));
    for (target, arguments) in [
        ("nosy.read-file", json!(["/etc/passwd"])),
        ("nosy.write-file", json!(["/tmp/nosy", "x"])),
        ("nosy.read-folder", json!(["/"])),
        ("nosy.connect", json!(["127.0.0.1:9999"])),
        ("nosy.listen", json!(["127.0.0.1:0"])),
        ("nosy.bind-udp", json!(["127.0.0.1:0"])),
        ("nosy.look-up", json!(["localhost:80"])),
    ] {
        assert_eq!(rig.call(target, arguments).await.status, Status::Application, "{target}");
    }
    assert!(rig.call("nosy.clock", json!([])).await.ok().as_u64().is_some_and(|time| time > 0));
}

#[tokio::test]
pub(crate) async fn a_guest_that_wants_all_there_is_is_refused_with_every_name() {
    let files = [("greedy.wasm", fixture("import-everything"))];
    let rig = Rig::beside_neighbour(&files, |_| {}).await;
    let reason = rig.host.rejected().remove(0).reason;
    let (http, config, keyvalue) = ("wasi:http/types", "wasi:config/store", "wasi:keyvalue/store");
    let nobodys = ["acme:db/store@1.0.0", "drop-all", "read-the-hosts-memory"];
    for word in nobodys.iter().chain(&[http, config, keyvalue]) {
        assert!(reason.contains(word), "{word} is not in {reason}");
    }
    for linked in ["wasi:cli", "wasi:filesystem", "wasi:sockets", "wasi:random", "wasi:clocks"] {
        assert!(!reason.contains(linked), "{linked} is in {reason}");
    }
    rig.is_unharmed().await;
}

#[tokio::test]
async fn a_guest_that_exits_ends_its_own_call() {
    let quitter = wat(r#"(component
        (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
        (core func $exit' (canon lower (func $exit "exit")))
        (core module $m
            (import "exit" "exit" (func $exit (param i32)))
            (func (export "quit") (param i32) (call $exit (local.get 0))))
        (core instance $i (instantiate $m (with "exit" (instance (export "exit" (func $exit'))))))
        (func (export "quit") (param "code" u32) (canon lift (core func $i "quit"))))"#);
    let rig = Rig::with(&[("quitter.wasm", quitter)]).await;
    for code in [0, 1] {
        let reply = rig.call("quitter.quit", json!([code])).await;
        let words = format!("the guest ended itself with exit({code})");
        reply.failed(Status::Trapped, Executed::Yes, &[&words]);
    }
}

#[tokio::test]
async fn a_trace_context_that_makes_no_sense_is_no_reason_to_fail() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc"))]).await;
    for trace in ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "nonsense"] {
        let head = jackfield_wire::to_cbor(&jackfield_wire::CallHead {
            service: "calc",
            method: "add",
            deadline_ms: None,
            trace: Some(trace),
            key: None,
            idempotent: false,
            hops: 0,
        });
        let mut exchange = rig.caller.connection().open().await.unwrap();
        let frames = [(FrameKind::Head, &head[..]), (FrameKind::Positional, b"[1, 2]")];
        exchange.send_last(&frames).await.unwrap();
        assert_eq!(crate::rig::answer(&mut exchange).await.ok(), json!(3.0));
    }
}
