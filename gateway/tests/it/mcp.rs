//! `/mcp` passes through the same doors as everything else. What tools do is in the scenarios.

use std::num::NonZeroU32;
use std::time::Duration;

use jackfield_gateway::Drained;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::PATIENCE;
use crate::http::Reply;
use crate::{Stage, http};

/// What every request says of itself.
const HEADERS: [&str; 2] =
    ["Content-Type: application/json", "Accept: application/json, text/event-stream"];

async fn post(stage: &Stage, headers: &[&str], message: &Value) -> Reply {
    let all = [&HEADERS, headers].concat();
    stage.send("POST /mcp", &all, &message.to_string()).await
}

fn hello() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    } })
}

/// Begins a session, and gives the header that names it.
async fn session(stage: &Stage) -> String {
    let reply = post(stage, &[], &hello()).await;
    assert_eq!(reply.code, 200, "{reply:?}");
    assert!(reply.body.contains("\"serverInfo\""), "{reply:?}");
    let header = format!("Mcp-Session-Id: {}", reply.header("mcp-session-id").unwrap());
    let begun = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(post(stage, &[&header], &begun).await.code, 202);
    header
}

/// Opens the stream of a session on a connection of its own, and reads its head.
async fn open(stage: &Stage, session: &str) -> TcpStream {
    let mut stream = TcpStream::connect(stage.address()).await.unwrap();
    let headers = [HEADERS[1], session, "Connection: keep-alive"];
    let text = http::text(stage.address(), "GET /mcp", &headers, "");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
    stream
}

#[tokio::test]
async fn pages_names_sizes_and_bad_messages_are_refused_as_everywhere() {
    let stage = Stage::with(|config| config.limits.body = 1000).await;
    for (header, code) in [("Origin: http://evil.example", 403), ("Host: evil.example", 421)] {
        assert_eq!(post(&stage, &[header], &hello()).await.code, code, "{header}");
    }
    let long = json!({ "jsonrpc": "2.0", "id": 1, "method": "x".repeat(2000) });
    post(&stage, &[], &long).await.problem(413, "invalid-argument");
    assert_eq!(stage.send("PUT /mcp", &HEADERS, "").await.code, 405);
    assert_eq!(stage.send("POST /mcp", &["Content-Type: text/plain"], "{}").await.code, 406);
    let reply = stage.send("POST /mcp", &HEADERS, "no JSON").await;
    assert!((400..500).contains(&reply.code) && !reply.body.is_empty(), "{reply:?}");
    let nobody = ["Mcp-Session-Id: nobody"];
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    assert_eq!(post(&stage, &nobody, &list).await.code, 404);
}

#[tokio::test]
async fn a_session_lists_tools_and_ends_when_told() {
    let stage = Stage::new().await;
    let session = session(&stage).await;
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    let reply = post(&stage, &[&session], &list).await;
    // A client of one host knows of no services.
    assert!(reply.code == 200 && reply.body.contains(r#""tools":[]"#), "{reply:?}");
    assert!((200..300).contains(&stage.send("DELETE /mcp", &[&session], "").await.code));
    assert_eq!(post(&stage, &[&session], &list).await.code, 404);
}

#[tokio::test]
async fn one_address_may_not_ask_more_often_than_the_rate_says() {
    let stage = Stage::with(|config| config.limits.rate = NonZeroU32::new(1)).await;
    for _ in 0..1000 {
        if post(&stage, &[], &hello()).await.code == 429 {
            return;
        }
    }
    panic!("nothing was refused");
}

#[tokio::test]
async fn a_stream_outlasts_the_idle_time_and_takes_no_room_and_ends_with_the_gateway() {
    let stage = Stage::with(|config| {
        config.limits.idle = Duration::from_millis(200);
        config.limits.in_flight = 1;
    })
    .await;
    let session = session(&stage).await;
    let mut stream = open(&stage, &session).await;
    // A connection without a request is closed when the time is over, which began later.
    let mut idle = TcpStream::connect(stage.address()).await.unwrap();
    let request =
        http::text(stage.address(), "POST /call/any/who", &["Connection: keep-alive"], "");
    idle.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    tokio::time::timeout(PATIENCE, idle.read_to_string(&mut said)).await.unwrap().unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert_eq!(stage.gateway.shutdown(PATIENCE).await, Drained::Finished);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    // The last chunk: it was ended, not cut off.
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
}
