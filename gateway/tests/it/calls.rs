//! Calls: what goes in, what comes back, and each way to fail.

use http_body_util::BodyExt;
use jackfield_wire::{Executed, Status};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::reaches;
use crate::{Stage, http};

#[tokio::test]
async fn a_result_comes_back_with_who_answered() {
    let stage = Stage::new().await;
    let reply = stage.call("first", &[], r#"[{"a": [1, null]}]"#).await;
    assert_eq!((reply.code, reply.json()), (200, json!({"a": [1, null]})));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("jackfield-host"), Some("host"));
    assert_eq!(reply.header("jackfield-status"), Some("ok"));
    assert_eq!(reply.header("jackfield-attempts"), Some("1"));
    let nothing = stage.send("POST /call/any/nothing", &[], "").await;
    assert_eq!((nothing.code, &*nothing.body), (200, "null"));
}

#[tokio::test]
async fn everything_that_headers_and_body_say_reaches_the_host() {
    let stage = Stage::new().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        "Jackfield-Timeout: 45s",
        "Jackfield-Key: ada",
        "Jackfield-Idempotent: true",
        &format!("traceparent: {trace}"),
    ];
    let said = stage.call("echo", &headers, r#"{"b": 2}"#).await.json();
    assert_eq!((&said["service"], &said["named"]), (&json!("any"), &json!({"b": 2})));
    assert_eq!((&said["key"], &said["idempotent"]), (&json!("ada"), &json!(true)));
    assert_eq!((&said["trace"], &said["positional"]), (&json!(trace), &Value::Null));
    let left = said["deadline_ms"].as_u64().unwrap();
    assert!((10_000..=45_000).contains(&left), "{left}");
    let said = stage.call("echo", &[], "[1]").await.json();
    assert_eq!((&said["positional"], &said["idempotent"]), (&json!([1]), &json!(false)));
}

#[tokio::test]
async fn each_status_has_its_code_and_says_whether_the_method_ran() {
    let stage = Stage::new().await;
    for (status, code) in [
        (Status::InvalidArgument, 400),
        (Status::NotFound, 404),
        (Status::Unauthenticated, 502),
        (Status::PermissionDenied, 403),
        (Status::ResourceExhausted, 429),
        (Status::Unavailable, 503),
        (Status::DeadlineExceeded, 504),
        (Status::Cancelled, 500),
        (Status::Trapped, 502),
        (Status::Internal, 500),
    ] {
        stage.host.desk.script.lock().unwrap().push((status, Executed::Yes, Some(2500)));
        let reply = stage.call("scripted", &[], "").await;
        let problem = reply.problem(code, status.name());
        assert_eq!(problem["executed"], "yes", "{status}");
        assert_eq!(problem["attempts"][0]["status"], status.name());
        assert_eq!(reply.header("jackfield-attempts"), Some("1"));
        assert_eq!(reply.header("jackfield-status"), Some(status.name()));
        let waits = status == Status::ResourceExhausted;
        assert_eq!(reply.header("retry-after"), waits.then_some("3"), "{status}");
        let explained = stage.send(&format!("GET /problems/{status}"), &[], "").await;
        assert_eq!((explained.code, &explained.json()["status"]), (200, &json!(code)));
    }
}

#[tokio::test]
async fn a_methods_own_error_is_told_apart_and_given_whole() {
    let stage = Stage::new().await;
    let reply = stage.call("refused", &[], "").await;
    let problem = reply.problem(422, "application");
    assert_eq!((&problem["error"], &problem["executed"]), (&json!({"code": 7}), &json!("yes")));
    let other = stage.call("missing", &[], "").await.problem(404, "not-found");
    assert_eq!((other.get("error"), &other["executed"]), (None, &json!("no")));
}

#[tokio::test]
async fn a_deadline_ends_a_call_that_would_go_on() {
    let stage = Stage::new().await;
    let reply = stage.call("hold", &["Jackfield-Timeout: 200ms"], "").await;
    reply.problem(504, "deadline-exceeded");
    reaches(&stage.host.desk.cancelled, 1).await;
}

#[tokio::test]
async fn a_host_that_says_nothing_leaves_it_open_whether_the_method_ran() {
    let stage = Stage::new().await;
    let problem = stage.call("unsaid", &[], "").await.json();
    assert_eq!(problem["executed"], "unknown", "{problem}");
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call_on_the_host() {
    let stage = Stage::new().await;
    let mut stream = TcpStream::connect(stage.address()).await.unwrap();
    let request = http::text(stage.address(), "POST /call/any/hold", &[], "");
    stream.write_all(request.as_bytes()).await.unwrap();
    reaches(&stage.host.desk.held, 1).await;
    drop(stream);
    reaches(&stage.host.desk.cancelled, 1).await;
}

#[tokio::test]
async fn http_2_carries_many_calls_at_once_and_cancels_one() {
    let stage = Stage::new().await;
    let mut tasks = JoinSet::new();
    let mut sender = http::h2(stage.address(), 65_535, &mut tasks).await;
    let request = |method: &str| http::post(stage.address(), method, "");
    let held = sender.send_request(request("hold"));
    let held = tasks.spawn(async move { _ = held.await });
    reaches(&stage.host.desk.held, 1).await;
    let who = sender.send_request(request("who")).await.unwrap();
    assert_eq!(who.headers()["jackfield-host"], "host");
    assert_eq!(who.collect().await.unwrap().to_bytes(), "\"host\"");
    held.abort();
    reaches(&stage.host.desk.cancelled, 1).await;
    let who = sender.send_request(request("who")).await.unwrap();
    assert_eq!(who.status(), 200);
}

#[tokio::test]
async fn head_is_answered_without_a_body_on_http_1_and_2() {
    let stage = Stage::new().await;
    let whole = stage.send("GET /healthz", &[], "").await;
    let head = stage.send("HEAD /healthz", &[], "").await;
    assert_eq!((head.code, &*head.body), (200, ""));
    assert_eq!(head.header("content-length"), Some(&*whole.body.len().to_string()));
    let mut tasks = JoinSet::new();
    let mut sender = http::h2(stage.address(), 65_535, &mut tasks).await;
    let uri = format!("http://{}/healthz", stage.address());
    let request = hyper::Request::head(uri).body(Default::default()).unwrap();
    let head = sender.send_request(request).await.unwrap();
    assert_eq!(head.headers()["content-length"], whole.body.len().to_string());
    assert_eq!(head.collect().await.unwrap().to_bytes(), "");
}
