//! `registry`: runs one until a signal ends it.

use std::net::SocketAddr;

use jackfield_registry::{Registry, RegistryConfig, SpawnError};
use jackfield_transport::Role;

use crate::args::{Common, RegistryArgs};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::setup;
use crate::signals::{GRACE, Signals};
use crate::terminal::Terminal;

/// Runs a registry.
pub(crate) fn run(args: RegistryArgs, common: &Common, terminal: Terminal) -> Outcome {
    check_times(&args)?;
    let setup = setup::setup(common, Role::Registry, "registry")?;
    let mut config = RegistryConfig::new(SocketAddr::new(args.listen, args.port), setup.identity);
    config.ttl = args.ttl;
    config.heartbeat = args.heartbeat;
    setup::server_runtime()?.block_on(serve(config, terminal))
}

async fn serve(config: RegistryConfig, terminal: Terminal) -> Outcome {
    let mut signals = Signals::listen()?;
    let registry = Registry::spawn(config).map_err(|error| spawn_problem(&error))?;
    terminal.out(format!("registry listening on {}", registry.local_addr()))?;
    signals.next().await;
    terminal.err("stopping: hosts and clients go on with what they know")?;
    signals.insist(&terminal, registry.shutdown(GRACE)).await;
    Ok(())
}

/// A registry that did not start.
pub(crate) fn spawn_problem(error: &SpawnError) -> Problem {
    match error {
        SpawnError::Bind(error) => setup::bind_problem(error),
        other => Problem::caused(Exit::Internal, other),
    }
}

/// Said here in the words of the command line, before anything starts.
fn check_times(args: &RegistryArgs) -> Outcome {
    if args.heartbeat * 2 <= args.ttl {
        return Ok(());
    }
    Err(Problem::usage(format!(
        "--heartbeat {:?} is more than half of --ttl {:?}: one lost heartbeat would remove a host",
        args.heartbeat, args.ttl
    ))
    .next("leave both out for 3s and 10s, or make the TTL at least twice the heartbeat"))
}
