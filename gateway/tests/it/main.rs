//! The gateway's behaviour over real sockets, in front of a host whose methods do what their names
//! say. What needs real plugins and a registry is in the scenarios.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod calls;
mod console;
mod guards;
mod http;
mod lifecycle;
mod mcp;
mod patience;

#[path = "../../../client/tests/it/harness.rs"]
#[expect(dead_code, reason = "the client's tests use the rest")]
mod harness;

use std::net::SocketAddr;

use harness::{Authority, Host, LOOPBACK};
use jackfield_client::CallOptions;
use jackfield_gateway::{Gateway, GatewayConfig};

/// A gateway in front of one host.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) host: Host,
    _authority: Authority,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With what `change` makes of the settings.
    pub(crate) async fn with(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let authority = Authority::new();
        let host = authority.host("host").await;
        // Repetitions are the client's affair, and tested there.
        let options = CallOptions::new().max_retries(0);
        let builder = authority.builder().direct(host.address().to_string()).options(options);
        let mut config = GatewayConfig::new(LOOPBACK);
        change(&mut config);
        let gateway = Gateway::spawn(config, builder.build().await.unwrap()).await.unwrap();
        Self { gateway, host, _authority: authority }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.local_addr()
    }

    /// `METHOD PATH` with these header lines and this body.
    pub(crate) async fn send(&self, line: &str, headers: &[&str], body: &str) -> http::Reply {
        http::send(self.address(), line, headers, body).await
    }

    /// A call with JSON.
    pub(crate) async fn call(&self, method: &str, headers: &[&str], body: &str) -> http::Reply {
        let mut all = vec!["Content-Type: application/json"];
        all.extend(headers);
        self.send(&format!("POST /call/any/{method}"), &all, body).await
    }
}
