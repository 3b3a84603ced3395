//! Methods as tools of agents: the Model Context Protocol over stdin and stdout, and over HTTP.
//!
//! Every method of a service that is offered is a tool, with its JSON Schema and documentation. The
//! protocol itself, in all its versions, is `rmcp`'s.
//!
//! What plugin authors write reaches a model as words, so it can be meant to lead one astray. Here
//! it is cut in length, freed of characters that nobody sees, and marked as the author's; whether a
//! service is to be believed is decided by who offers it.
//!
//! What is deliberately absent: tools that give orders to hosts or registries, and prompts and
//! resources, which no plugin has.

mod http;
mod names;
mod outcome;
mod server;
mod sessions;
mod stdio;
mod tool;
mod toolbox;

use std::time::Duration;

use jackfield_wire::ServiceName;

pub(crate) use http::McpHttp;
pub use stdio::{StdioError, serve_stdio};
pub(crate) use toolbox::Toolbox;

/// What is offered to agents.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct McpConfig {
    /// Services whose methods are tools. Default empty: all of them, which with many plugins is more
    /// than most agents take, and trusts what every author says.
    pub services: Vec<ServiceName>,
    /// How long a call may take in all. Default `None`: as the service's settings say, or 10 s.
    pub deadline: Option<Duration>,
}
