//! One call and its answer, without a registry.

use std::collections::BTreeMap;
use std::time::Duration;

use jackfield_client::{CallError, EncodeError};
use jackfield_transport::TransportLimits;
use jackfield_wire::{Executed, Status, TraceContext};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::harness::{Authority, reaches};

#[tokio::test]
async fn a_tuple_goes_by_position_and_a_struct_by_name() {
    #[derive(Serialize)]
    struct Named {
        a: u8,
    }
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let echo: Value = client.call("calc.echo", (1, "x")).await.unwrap();
    assert_eq!((&echo["positional"], &echo["named"]), (&json!([1, "x"]), &Value::Null));
    let echo: Value = client.call("calc.echo", Named { a: 3 }).await.unwrap();
    assert_eq!((&echo["positional"], &echo["named"]), (&Value::Null, &json!({"a": 3})));
    let echo: Value = client.call("calc.echo", ()).await.unwrap();
    assert_eq!((&echo["positional"], &echo["named"]), (&Value::Null, &Value::Null));
    let echo: Value = client.call("calc.echo", BTreeMap::from([("b", 1)])).await.unwrap();
    assert_eq!(echo["named"], json!({"b": 1}));
}

#[tokio::test]
async fn a_result_is_read_as_the_callers_type() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Echo {
        service: String,
        positional: (u8, Option<String>),
    }
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let echo: Echo = client.call("calc.echo", (1, ())).await.unwrap();
    assert_eq!(echo, Echo { service: "calc".into(), positional: (1, None) });
    let (): () = client.call("calc.nothing", ()).await.unwrap();
}

#[tokio::test]
async fn everything_that_a_request_says_reaches_the_host() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let trace = TraceContext::new(7, 9, true).unwrap();
    let request = client.request("calc.echo").unwrap().positional_json("[1]").named_json("{}");
    let request = request.key("k").idempotent().trace(trace).deadline(Duration::from_secs(30));
    let answer = request.send().await.unwrap();
    let echo: Value = answer.decode().unwrap();
    assert_eq!(echo["trace"], json!(trace.to_string()));
    assert_eq!((&echo["key"], &echo["idempotent"]), (&json!("k"), &json!(true)));
    assert_eq!((&echo["positional"], &echo["named"]), (&json!([1]), &json!({})));
    let deadline = echo["deadline_ms"].as_u64().unwrap();
    assert!(deadline <= 30_000 && deadline > 10_000, "{deadline}");
    assert_eq!((answer.host.as_str(), answer.address), ("one", host.address()));
    assert!(answer.json().unwrap().starts_with('{'));
}

#[tokio::test]
async fn an_application_error_carries_its_typed_value() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let error = client.call::<_, Value>("calc.refused", ()).await.unwrap_err();
    let CallError::ServiceError(service) = &error else { panic!("{error}") };
    assert_eq!(service.value.as_deref(), Some(br#"{"code":7}"#.as_slice()));
    assert_eq!((error.status(), error.executed()), (Status::Application, Executed::Yes));
    assert_eq!(error.to_string(), r#"calc.refused: application: {"code":7}"#);
    assert_eq!(host.calls(), 1);
}

#[tokio::test]
async fn a_result_of_another_type_says_what_came_instead() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let error = client.call::<_, u32>("calc.who", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Decode(_)));
    assert!(
        error.to_string().contains(r#"calc.who does not fit the type that was asked for: "one""#)
    );
    assert_eq!(error.executed(), Executed::Yes);
}

#[tokio::test]
async fn bad_targets_and_arguments_fail_before_anything_is_sent() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let error = client.call::<_, Value>("calc", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Target(_)) && error.to_string().contains("SERVICE.METHOD"));
    let error = client.call::<_, Value>("calc.echo", 5).await.unwrap_err();
    assert!(matches!(error, CallError::Encode(EncodeError::Shape { found: "a number" })));
    let long = vec!["x".repeat(5 << 20)];
    let error = client.call::<_, Value>("calc.echo", long).await.unwrap_err();
    assert!(error.to_string().contains("over the limit of 4194304 bytes"), "{error}");
    assert_eq!((error.status(), host.calls()), (Status::InvalidArgument, 0));
}

#[tokio::test]
async fn large_arguments_and_results_travel() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let text = "ä".repeat(1 << 20);
    let back: String = client.call("text.first", (&text,)).await.unwrap();
    assert_eq!(back, text);
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_on_the_host() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    tokio::select! {
        answer = client.call::<_, Value>("calc.hold", ()) => panic!("{answer:?}"),
        () = reaches(&host.desk.held, 1) => {}
    }
    reaches(&host.desk.cancelled, 1).await;
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_and_not_repeated() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let error = client.call::<_, Value>("calc.nonsense", ()).await.unwrap_err();
    assert!(matches!(error, CallError::ServiceError(_)), "{error}");
    assert!(error.to_string().contains("does not begin with a head"), "{error}");
    let error = client.call::<_, Value>("calc.unsaid", ()).await.unwrap_err();
    assert_eq!((error.executed(), host.calls()), (Executed::Unknown, 2), "{error}");
}

#[tokio::test]
async fn a_name_or_key_that_no_frame_can_hold_is_refused_before_anything_is_sent() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let long = "x".repeat(20 << 10);
    let named = client.request(&format!("calc.{long}")).unwrap();
    let keyed = client.request("calc.who").unwrap().key(long);
    for request in [named, keyed] {
        let error = request.send().await.unwrap_err();
        assert_eq!((error.status(), error.executed()), (Status::InvalidArgument, Executed::No));
        assert!(error.to_string().contains("over the limit of 16384 bytes"), "{error}");
    }
    assert_eq!(host.connections(), 0);
}

#[tokio::test]
async fn a_result_over_the_clients_limit_is_named_so_and_not_asked_for_again() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let mut limits = TransportLimits::default();
    limits.frames.value = 1000;
    let builder = authority.builder().direct(host.address().to_string()).limits(limits);
    let client = builder.build().await.unwrap();
    let request = client.request("calc.first").unwrap().args(&("x".repeat(2000),)).unwrap();
    let error = request.idempotent().send().await.unwrap_err();
    assert_eq!((error.status(), error.executed()), (Status::ResourceExhausted, Executed::Yes));
    assert!(error.to_string().contains("2002 bytes, over this client's limit of 1000"), "{error}");
    assert_eq!(host.calls(), 1);
}
