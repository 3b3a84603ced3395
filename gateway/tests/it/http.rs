//! HTTP/1.1 by hand: what is sent is exactly what a test says. HTTP/2 by hyper.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// A problem document with the members that RFC 9457 and the gateway promise.
    pub(crate) fn problem(&self, code: u16, status: &str) -> Value {
        let document = self.json();
        assert_eq!((self.code, &document["jackfield_status"]), (code, &status.into()), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(document["status"], code);
        assert_eq!(document["type"], format!("/problems/{status}"));
        for member in ["title", "detail", "instance", "executed"] {
            assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
        }
        document
    }
}

/// One request on a connection of its own.
pub(crate) async fn send(at: SocketAddr, line: &str, headers: &[&str], body: &str) -> Reply {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(text(at, line, headers, body).as_bytes()).await.unwrap();
    last(&mut stream).await
}

/// A request that ends its connection, unless a header says otherwise.
pub(crate) fn text(at: SocketAddr, line: &str, headers: &[&str], body: &str) -> String {
    let mut text = format!("{line} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    let has = |name: &str| headers.iter().any(|header| header.starts_with(name));
    if !has("Host:") {
        text.push_str(&format!("Host: {at}\r\n"));
    }
    if !has("Connection:") {
        text.push_str("Connection: close\r\n");
    }
    for header in headers {
        text.push_str(&format!("{header}\r\n"));
    }
    format!("{text}\r\n{body}")
}

/// What comes until the gateway closes.
pub(crate) async fn last(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    read(&String::from_utf8(bytes).unwrap())
}

fn read(text: &str) -> Reply {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let code = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.into(), value.into())).collect();
    Reply { code, headers, body: body.into() }
}

/// A connection of HTTP/2 that takes `window` bytes of an answer until somebody reads it.
pub(crate) async fn h2(
    at: SocketAddr,
    window: u32,
    tasks: &mut JoinSet<()>,
) -> SendRequest<Full<Bytes>> {
    let io = TokioIo::new(TcpStream::connect(at).await.unwrap());
    let mut builder = Builder::new(TokioExecutor::new());
    let (sender, connection) =
        builder.initial_stream_window_size(window).handshake(io).await.unwrap();
    // It fails when the gateway cuts it off.
    tasks.spawn(async move { _ = connection.await });
    sender
}

/// A call of `method` by HTTP/2.
pub(crate) fn post(at: SocketAddr, method: &str, body: &str) -> Request<Full<Bytes>> {
    Request::post(format!("http://{at}/call/any/{method}"))
        .header("content-type", "application/json")
        .body(Full::from(body.to_owned()))
        .unwrap()
}
