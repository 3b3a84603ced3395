//! A deadline in each phase of a call.

use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jackfield_client::{CallError, Client, Phase, RequestTimeout};
use jackfield_transport::TransportLimits;
use jackfield_wire::{Executed, Status};
use serde_json::Value;

use crate::harness::{Authority, LOOPBACK, reaches};

const SHORT: Duration = Duration::from_millis(300);

async fn cut_off(client: &Client, method: &str, args: &str) -> RequestTimeout {
    let request = client.request(&format!("calc.{method}")).unwrap();
    let request = request.positional_json(args.to_owned()).deadline(SHORT);
    match request.send().await.unwrap_err() {
        CallError::RequestTimeout(error) => *error,
        other => panic!("{other}"),
    }
}

/// Connects, so that a slow machine does not spend the deadline on that.
async fn warm_up(client: &Client) {
    client.call::<_, Value>("calc.who", ()).await.unwrap();
}

#[tokio::test]
async fn a_deadline_while_connecting_says_that_nothing_ran() {
    let authority = Authority::new();
    let silent = UdpSocket::bind(LOOPBACK).unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let client = authority.builder().direct(address).build().await.unwrap();
    let error = cut_off(&client, "who", "[]").await;
    assert_eq!((error.phase, error.executed), (Phase::Connect, Executed::No));
}

#[tokio::test]
async fn a_deadline_while_opening_a_stream_says_that_nothing_ran() {
    let authority = Authority::new();
    let mut limits = TransportLimits::default();
    limits.streams = 1;
    let host = authority.host_on("one", LOOPBACK, limits).await;
    let client = authority.direct(&host).await;
    let blocker = client.call::<_, Value>("calc.hold", ());
    tokio::select! {
        answer = blocker => panic!("{answer:?}"),
        error = async {
            reaches(&host.desk.held, 1).await;
            cut_off(&client, "who", "[]").await
        } => assert_eq!((error.phase, error.executed), (Phase::Open, Executed::No)),
    }
}

#[tokio::test]
async fn a_deadline_while_sending_says_that_nothing_ran() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    warm_up(&client).await;
    host.desk.deaf.store(true, Ordering::SeqCst);
    let error = cut_off(&client, "echo", &format!("[\"{}\"]", "x".repeat(3 << 20))).await;
    assert_eq!((error.phase, error.executed), (Phase::Send, Executed::No));
    assert_eq!(host.calls(), 1);
}

#[tokio::test]
async fn a_deadline_while_waiting_leaves_open_whether_the_method_ran() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    warm_up(&client).await;
    let error = cut_off(&client, "hold", "[]").await;
    assert_eq!((error.phase, error.executed), (Phase::Wait, Executed::Unknown));
    let text = error.to_string();
    assert!(text.starts_with("calc.hold did not end within its deadline of 300.0ms"), "{text}");
    assert!(text.contains("while waiting for the answer"), "{text}");
    reaches(&host.desk.cancelled, 1).await;
}

#[tokio::test]
async fn a_deadline_while_receiving_knows_that_the_method_ran() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    warm_up(&client).await;
    let request = client.request("calc.half").unwrap().deadline(Duration::from_secs(2));
    let CallError::RequestTimeout(error) = request.send().await.unwrap_err() else { panic!() };
    assert_eq!((error.phase, error.executed), (Phase::Receive, Executed::Yes));
}

#[tokio::test]
async fn a_hosts_own_deadline_is_the_same_error() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    host.desk.script.lock().unwrap().push((Status::DeadlineExceeded, Executed::Yes, None));
    let client = authority.direct(&host).await;
    let error = client.call::<_, Value>("calc.scripted", ()).await.unwrap_err();
    assert!(matches!(error, CallError::RequestTimeout(_)), "{error}");
    assert_eq!(error.executed(), Executed::Yes);
}

#[tokio::test]
async fn a_call_without_any_time_left_is_not_sent() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    warm_up(&client).await;
    let request = client.request("calc.who").unwrap().deadline(Duration::ZERO);
    let error = request.send().await.unwrap_err();
    assert!(matches!(error, CallError::RequestTimeout(_)), "{error}");
    assert_eq!(error.executed(), Executed::No);
    warm_up(&client).await;
    assert_eq!(host.calls(), 2);
}
