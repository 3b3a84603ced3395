//! Clients that are slow, silent or too many.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::PATIENCE;
use crate::{Stage, http};

/// Short, because the test waits for it to pass.
const SHORT: Duration = Duration::from_millis(100);

async fn closed(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    tokio::time::timeout(PATIENCE, read).await.expect("the gateway closes it").unwrap();
    text
}

#[tokio::test]
async fn a_head_that_never_ends_costs_its_connection() {
    let stage = Stage::with(|config| config.limits.head = SHORT).await;
    let mut stream = TcpStream::connect(stage.address()).await.unwrap();
    stream.write_all(b"POST /call/any/who HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ").await.unwrap();
    closed(&mut stream).await;
    assert_eq!(stage.call("who", &[], "").await.code, 200);
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_a_word_is_closed() {
    let stage =
        Stage::with(|config| (config.limits.idle, config.limits.head) = (SHORT, SHORT)).await;
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(stage.address()).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        let read = stream.read_to_end(&mut all);
        // Closed with something unread is a reset: as good an end.
        _ = tokio::time::timeout(PATIENCE, read).await.expect("the gateway closes it");
    }
}

#[tokio::test]
async fn a_call_may_take_longer_than_a_connection_may_be_idle() {
    let stage = Stage::with(|config| config.limits.idle = SHORT).await;
    let late = stage.call("hold", &["Jackfield-Timeout: 1s"], "").await;
    late.problem(504, "deadline-exceeded");
}

#[tokio::test]
async fn a_body_that_never_ends_is_told_so() {
    let stage = Stage::with(|config| config.limits.receive = SHORT).await;
    let mut stream = TcpStream::connect(stage.address()).await.unwrap();
    let headers = ["Content-Type: application/json"];
    let whole = http::text(stage.address(), "POST /call/any/first", &headers, "[1234567]");
    stream.write_all(&whole.as_bytes()[..whole.len() - 3]).await.unwrap();
    http::last(&mut stream).await.problem(408, "invalid-argument");
    assert_eq!(stage.host.calls(), 0);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let stage = Stage::new().await;
    let long = format!("X: {}", "x".repeat(100 << 10));
    let mut stream = TcpStream::connect(stage.address()).await.unwrap();
    let text = http::text(stage.address(), "POST /call/any/who", &[&long], "");
    // It may be refused before all of it was sent.
    _ = stream.write_all(text.as_bytes()).await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_told_so() {
    let stage = Stage::with(|config| config.limits.connections = 1).await;
    let mut first = TcpStream::connect(stage.address()).await.unwrap();
    let keep = ["Connection: keep-alive"];
    let text = http::text(stage.address(), "GET /healthz", &keep, "");
    first.write_all(text.as_bytes()).await.unwrap();
    first.read_exact(&mut [0; 15]).await.unwrap();
    let mut second = TcpStream::connect(stage.address()).await.unwrap();
    let refusal = closed(&mut second).await;
    assert!(refusal.starts_with("HTTP/1.1 503") && refusal.ends_with("many connections\r\n"));
}

/// Far more than the windows and buffers of the tests that let it wait.
fn long() -> String {
    format!("[[{}1]]", "1,".repeat(500_000))
}

#[tokio::test]
async fn an_answer_takes_its_room_until_it_is_read() {
    let stage = Stage::with(|config| config.limits.in_flight = 1).await;
    let mut tasks = JoinSet::new();
    let mut sender = http::h2(stage.address(), 1024, &mut tasks).await;
    let (at, arguments) = (stage.address(), long());
    let answer = sender.send_request(http::post(at, "first", &arguments)).await.unwrap();
    assert_eq!(answer.status(), 200);
    stage.call("who", &[], "").await.problem(429, "resource-exhausted");
    let read = answer.collect().await.unwrap().to_bytes();
    assert_eq!(read, arguments[1..arguments.len() - 1]);
    assert_eq!(stage.call("who", &[], "").await.code, 200);
}

#[tokio::test]
async fn whoever_leaves_an_answer_and_asks_for_more_is_cut_off() {
    let stage = Stage::with(|config| config.limits.idle = SHORT).await;
    let mut tasks = JoinSet::new();
    let mut sender = http::h2(stage.address(), 1024, &mut tasks).await;
    let left = sender.send_request(http::post(stage.address(), "first", &long())).await.unwrap();
    let asking = async {
        while let Ok(answer) = sender.send_request(http::post(stage.address(), "who", "")).await {
            if answer.collect().await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("the gateway closes it");
    assert!(left.collect().await.is_err());
}
