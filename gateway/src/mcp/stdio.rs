//! One agent on stdin and stdout, which started this process. Nothing else may be printed there.

use std::sync::Arc;

use jackfield_client::Client;
use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio_pipes;

use super::McpConfig;
use super::server::Server;
use super::toolbox::Toolbox;
use crate::catalog::Catalog;
use crate::config::GatewayLimits;

/// An agent that could not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StdioError {
    /// What came first on stdin is not how MCP begins.
    #[error("what came on stdin is not MCP")]
    Begin(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It ended because of a fault of ours.
    #[error("the session broke down")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Serves the agent on stdin and stdout until it closes them.
///
/// # Errors
/// See [`StdioError`].
///
/// # Cancel safety
/// Cancelled, it cancels what the agent has called.
pub async fn serve_stdio(client: Client, config: McpConfig) -> Result<(), StdioError> {
    let catalog = Arc::new(Catalog::new(client.clone()));
    let calls = GatewayLimits::default().in_flight;
    let toolbox = Arc::new(Toolbox::new(client, catalog, config, calls));
    let _end = toolbox.drain.clone().drop_guard();
    let running = match Server::new(toolbox).serve(stdio_pipes()).await {
        Ok(running) => running,
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(StdioError::Begin(Box::new(error))),
    };
    running.waiting().await.map_err(|error| StdioError::Broken(Box::new(error)))?;
    Ok(())
}
