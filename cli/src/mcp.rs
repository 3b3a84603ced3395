//! `mcp`: methods as tools of the agent that started this, on stdin and stdout.
//!
//! Stdout belongs to the protocol: nothing else is printed there.

use std::io::IsTerminal as _;

use jackfield_gateway::{McpConfig, StdioError, serve_stdio};

use crate::args::{Common, McpArgs};
use crate::discover::{self, Via};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;

/// Serves until the agent closes stdin.
pub(crate) fn run(args: McpArgs, common: &Common, terminal: Terminal) -> Outcome {
    if std::io::stdin().is_terminal() {
        terminal.err(FOR_PEOPLE)?;
    }
    let mut config = McpConfig::default();
    config.services = args.service;
    config.deadline = args.deadline;
    discover::with_client(common, Via::Registry(&args.registry), async |client| {
        serve_stdio(client.clone(), config).await.map_err(|error| problem(&error))
    })
}

fn problem(error: &StdioError) -> Problem {
    match error {
        StdioError::Begin(_) => Problem::caused(Exit::Usage, error)
            .next("an agent starts this command and speaks MCP with it; see docs/mcp.md"),
        other => Problem::caused(Exit::Internal, other),
    }
}

/// Somebody has typed the command.
const FOR_PEOPLE: &str = "waiting for MCP on stdin: an agent starts this command, as in \
                          {\"command\": \"jackfield\", \"args\": [\"mcp\"]}; Ctrl-C ends it";
