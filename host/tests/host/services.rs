//! Plugins that ask for their call and call other services, with somebody who makes these calls.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_host::{
    HostConfig, Outgoing, OutgoingArguments, OutgoingCall, OutgoingFailure, Services,
};
use jackfield_wire::{CallHead, Executed, Failure, FrameKind, Status, to_cbor};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::rig::{Answer, PATIENCE, Rig, answer, plugin};

/// Answers calls of `calc` and remembers them.
#[derive(Debug, Default)]
struct Known {
    calls: Mutex<Vec<OutgoingCall>>,
    /// Calls that are held, and those that were dropped meanwhile.
    held: watch::Sender<usize>,
    dropped: Arc<watch::Sender<usize>>,
}

impl Services for Known {
    fn call(&self, call: OutgoingCall) -> Outgoing {
        let method = call.target.method.clone();
        self.calls.lock().unwrap().push(call);
        match &*method {
            "sum" => Box::pin(async { Ok(Some(b"6".to_vec())) }),
            "mul" => Box::pin(async { Ok(Some(b"7.5".to_vec())) }),
            "nothing" => Box::pin(async { Ok(None) }),
            "fails" => Box::pin(async {
                let failure = Failure::new(Status::Application, Executed::Yes, "as the test wants");
                Err(OutgoingFailure { failure, value: Some(b"{\"code\":7}".to_vec()) })
            }),
            "hold" => {
                self.held.send_modify(|held| *held += 1);
                let dropped = Dropped(self.dropped.clone());
                Box::pin(async move {
                    let _dropped = dropped;
                    std::future::pending().await
                })
            }
            other => panic!("nobody calls {other}"),
        }
    }
}

struct Dropped(Arc<watch::Sender<usize>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.send_modify(|dropped| *dropped += 1);
    }
}

/// A host over the till, with these grants.
async fn till(grants: &str, tune: impl FnOnce(&mut HostConfig)) -> Rig {
    let files = [("till.toml", grants.as_bytes().to_vec()), ("till.wasm", plugin("till"))];
    Rig::tuned(&files, tune).await
}

/// The same with somebody who makes its calls.
async fn served() -> (Rig, Arc<Known>) {
    let known = Arc::new(Known::default());
    let services: Arc<dyn Services> = known.clone();
    let rig = till("grants.services = [\"calc\"]", |config| config.services = Some(services)).await;
    (rig, known)
}

async fn ask(rig: &Rig, target: &str, arguments: &str) -> Answer {
    rig.call("till.ask", json!([target, arguments])).await
}

/// What the till says of a call that failed.
async fn failed(rig: &Rig, target: &str, arguments: &str) -> String {
    let answer = ask(rig, target, arguments).await;
    assert_eq!(answer.status, Status::Application, "{answer:?}");
    answer.value.unwrap().as_str().unwrap().to_owned()
}

async fn reaches(counter: &watch::Sender<usize>, count: usize) {
    let mut counter = counter.subscribe();
    let reached = counter.wait_for(|now| *now >= count);
    tokio::time::timeout(PATIENCE, reached).await.expect("in time").expect("it is there");
}

#[tokio::test]
async fn without_a_grant_it_is_refused_with_the_line_that_grants_it() {
    let rig = till("", |_| {}).await;
    let rejected = rig.host.rejected();
    let reason = &rejected[0].reason;
    assert!(reason.contains("`jackfield:plugin/services@0.1.0` (call, call-with)"), "{reason}");
    assert!(reason.contains("services = []  # add the services that it may call"), "{reason}");
    assert!(rig.host.services().is_empty());
}

#[tokio::test]
async fn a_plugin_calls_what_it_was_granted_and_nothing_else() {
    let (rig, known) = served().await;
    assert_eq!(rig.call("till.total", json!([[1, 2, 3], 25])).await.ok(), json!(7.5));
    let calls: Vec<_> = known.calls.lock().unwrap().drain(..).collect();
    let said = |call: &OutgoingCall| (call.target.to_string(), call.arguments.clone());
    let positional = |text: &str| OutgoingArguments::Positional(text.into());
    assert_eq!(said(&calls[0]), ("calc.sum".into(), positional("[[1,2,3]]")));
    assert_eq!(said(&calls[1]), ("calc.mul".into(), positional("[6, 1.25]")));
    let refused = failed(&rig, "greeter.greet", "[]").await;
    assert!(refused.starts_with("Status::PermissionDenied (not executed): "), "{refused}");
    let lines = r#"write into till.toml, below [grants]: services = ["calc", "greeter"]"#;
    assert!(refused.contains(lines), "{refused}");
    let refused = failed(&rig, "jackfield.services", "[]").await;
    assert!(refused.contains("PermissionDenied") && refused.contains("themselves"), "{refused}");
    assert!(failed(&rig, "calc", "[]").await.contains("InvalidArgument"));
    assert!(failed(&rig, "calc.sum", "7").await.contains("a JSON array, by position"));
    assert!(known.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn answers_and_failures_come_back_as_they_are() {
    let (rig, _known) = served().await;
    assert_eq!(ask(&rig, "calc.nothing", "").await.ok(), json!("null"));
    let told = failed(&rig, "calc.fails", "{}").await;
    assert_eq!(told, "Status::Application (executed): as the test wants{\"code\":7}");
}

#[tokio::test]
async fn a_call_gets_the_time_that_is_left_and_the_trace_and_stands_one_deeper() {
    let (rig, known) = served().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let about = call_with(&rig, "about-call", json!([]), (Some(trace), 0)).await.ok();
    assert_eq!(about["trace-parent"], trace);
    assert!(about["caller"].as_str().unwrap().starts_with("spiffe://"), "{about}");
    assert!(about["time-left"].as_u64().unwrap() <= 5000, "{about}");
    call_with(&rig, "ask", json!(["calc.nothing", ""]), (Some(trace), 3)).await.ok();
    let call = known.calls.lock().unwrap().pop().unwrap();
    assert_eq!((call.trace.unwrap().to_string(), call.hops), (trace.to_owned(), 4));
    assert!(call.time_left <= Duration::from_secs(5), "{call:?}");
}

#[tokio::test]
async fn what_a_plugin_says_of_a_call_goes_along() {
    let (rig, known) = served().await;
    ask(&rig, "calc.nothing", "").await.ok();
    rig.call("till.ask", json!(["calc.nothing", "", 250, true, "blue"])).await.ok();
    let said: Vec<_> = known.calls.lock().unwrap().drain(..).map(|call| call.options).collect();
    let [plain, full] = &said[..] else { panic!("{said:?}") };
    assert_eq!((plain.deadline, plain.is_idempotent, &plain.key), (None, false, &None));
    let quarter = Some(Duration::from_millis(250));
    assert_eq!(
        (full.deadline, full.is_idempotent, full.key.as_deref()),
        (quarter, true, Some("blue"))
    );
}

#[tokio::test]
async fn services_that_call_each_other_in_a_circle_are_stopped() {
    let (rig, known) = served().await;
    let stopped = call_with(&rig, "ask", json!(["calc.nothing", ""]), (None, 8)).await;
    let text = stopped.value.unwrap().to_string();
    assert!(text.contains("ResourceExhausted (not executed)") && text.contains("circle"), "{text}");
    assert!(known.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_call_is_dropped_when_its_own_caller_goes_away_and_at_its_deadline() {
    let (rig, known) = served().await;
    let arguments = json!(["calc.hold", ""]);
    let frames = [(FrameKind::Positional, &arguments)];
    let exchange = rig.caller.start("till.ask", &frames, None).await;
    reaches(&known.held, 1).await;
    drop(exchange);
    reaches(&known.dropped, 1).await;
    let late = rig.caller.call_within("till.ask", arguments, Duration::from_millis(50)).await;
    assert_eq!(late.status, Status::DeadlineExceeded, "{late:?}");
    reaches(&known.dropped, 2).await;
}

#[tokio::test]
async fn where_no_calls_go_out_each_is_refused() {
    let rig = till("grants.services = [\"calc\"]", |_| {}).await;
    let told = failed(&rig, "calc.sum", "[]").await;
    assert!(told.starts_with("Status::Unavailable (not executed): "), "{told}");
}

#[tokio::test]
async fn an_instance_that_is_kept_knows_each_call_anew() {
    let grants = "grants.services = []\ninstances = { strategy = \"single\" }";
    let rig = till(grants, |_| {}).await;
    let traces = ["00-000000000000000000000000000000aa-00000000000000bb-01"].map(Some);
    for trace in [traces[0], None] {
        let about = call_with(&rig, "about-call", json!([]), (trace, 0)).await.ok();
        assert_eq!(about["trace-parent"], json!(trace));
    }
}

/// A call of the till with five seconds, a trace and calls above it.
async fn call_with(
    rig: &Rig,
    method: &str,
    positional: Value,
    (trace, hops): (Option<&str>, u8),
) -> Answer {
    let head = CallHead {
        service: "till",
        method,
        deadline_ms: Some(5000),
        trace,
        key: None,
        idempotent: false,
        hops,
    };
    let (head, positional) = (to_cbor(&head), positional.to_string());
    let mut exchange = rig.caller.connection().open().await.expect("a stream");
    let frames =
        [(FrameKind::Head, head.as_slice()), (FrameKind::Positional, positional.as_bytes())];
    exchange.send_last(&frames).await.expect("it is sent");
    answer(&mut exchange).await
}
