//! The HTTP gateway of Jackfield: calls of methods for programs that speak HTTP and JSON, and for
//! agents that speak MCP.
//!
//! It is a client of hosts and registries like any other, with an HTTP server in front: what comes
//! in as `POST /call/SERVICE/METHOD` goes out as a call, with the same deadlines, balancing and
//! retries, and its outcome comes back as a status code and, where it failed, a problem document
//! (RFC 9457). It has no authentication: whoever reaches it calls methods in its name. So it
//! listens on loopback unless told otherwise, and believes no page of a browser that it was not
//! told of.
//!
//! Its web console shows the same to people. Orders about instances are taken there alone, and only
//! where the configuration says so.
//!
//! What is deliberately absent: orders to hosts, and any state that outlives a request, but for what is
//! known of the services, the sessions of agents and, while a console is open, the last seconds.

mod admission;
mod arguments;
mod call;
mod catalog;
mod config;
mod connection;
mod console;
mod health;
mod mcp;
mod openapi;
mod problem;
mod rate;
mod reply;
mod routes;
mod server;
mod services;
mod telemetry;
mod wishes;

pub use config::{ConsoleMode, GatewayConfig, GatewayLimits, Origin, OriginError, Reach};
pub use mcp::{McpConfig, StdioError, serve_stdio};
pub use server::{Drained, Gateway, SpawnError};
pub use telemetry::{GatewayMonitor, NotReady};
