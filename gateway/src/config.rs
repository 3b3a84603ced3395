//! What a gateway is told at its start.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use jackfield_wire::FrameLimits;

use crate::mcp::McpConfig;

/// Where a gateway listens, who may use it, and how much at once.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayConfig {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// From where it may be reached. Default this machine alone.
    pub reach: Reach,
    /// Names in a request's `Host` that are taken for the gateway's, beside addresses and
    /// `localhost`. Default none. A page of a browser can make any name lead to this machine; such
    /// a request comes with that name.
    pub names: Vec<String>,
    /// Pages of browsers that may call, by their origin. Default none but the gateway's own.
    pub origins: Vec<Origin>,
    /// What the web console shows and takes. Default everything, and no orders.
    pub console: ConsoleMode,
    /// How much at once.
    pub limits: GatewayLimits,
    /// What agents are offered at `/mcp`.
    pub mcp: McpConfig,
}

impl GatewayConfig {
    /// The defaults, at this address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            reach: Reach::default(),
            names: Vec::new(),
            origins: Vec::new(),
            console: ConsoleMode::default(),
            limits: GatewayLimits::default(),
            mcp: McpConfig::default(),
        }
    }
}

/// From where a gateway may be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// From this machine: an address that is not loopback is refused.
    #[default]
    Loopback,
    /// From wherever the address can be reached, by anybody.
    Anybody,
}

/// What the web console of a gateway is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsoleMode {
    /// There is none.
    Off,
    /// To look and to call, as every other user of the gateway may.
    #[default]
    View,
    /// Also to order instances drained, disabled or weighted: everybody who reaches the gateway
    /// may, as far as the registries obey the name in its client's certificate.
    Orders,
}

/// What a gateway takes at most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayLimits {
    /// Bytes of a request's body. Default 4 MiB, as long as arguments may be for a host.
    pub body: usize,
    /// Requests that are worked on at once; each holds at most its body and an answer of 16 MiB.
    /// Default 256. Beyond, a request is refused at once with `429`.
    pub in_flight: usize,
    /// Connections at once. Default 1,024; what is beyond is answered `503` and closed.
    pub connections: usize,
    /// Requests in a second from one address (of IPv6, one /64 network), with as many again saved
    /// up. Default `None`: as many as come.
    pub rate: Option<NonZeroU32>,
    /// How long a client may take to send the head of a request; on HTTP/1.1 from the end of the
    /// answer before it. Default 10 s.
    pub head: Duration,
    /// How long a client may take to send the body of a request. Default 30 s.
    pub receive: Duration,
    /// How long a client may take to read an answer, and a connection of HTTP/2 may go without a
    /// request. Default 60 s.
    pub idle: Duration,
    /// The longest deadline that a caller may ask for. Default 10 min.
    pub deadline: Duration,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            body: FrameLimits::default().arguments as usize,
            in_flight: 256,
            connections: 1024,
            rate: None,
            head: Duration::from_secs(10),
            receive: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            deadline: Duration::from_secs(600),
        }
    }
}

/// Where a page of a browser comes from: `https://app.example`, `http://localhost:5173`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// Text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no origin; write SCHEME://HOST or SCHEME://HOST:PORT, as in https://app.example")]
pub struct OriginError(String);

impl Origin {
    /// As browsers send it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let refused = || OriginError(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| refused())?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http" | "https"), Some(authority))
                if text.ends_with(authority.as_str()) && !authority.as_str().contains('@') =>
            {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for text in ["https://app.example", "http://localhost:5173", "http://[::1]:80"] {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), text);
        }
        for text in
            ["*", "null", "app.example", "https://a/", "https://a/b", "ftp://a", "http://u@a"]
        {
            assert!(
                text.parse::<Origin>().unwrap_err().to_string().contains("https://app"),
                "{text}"
            );
        }
    }
}
