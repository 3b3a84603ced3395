//! `registry`: runs one until a signal ends it.

use std::net::SocketAddr;
use std::path::Path;

use jackfield_registry::{Registry, RegistryConfig, SpawnError, StoreConfig, StoreError};
use jackfield_transport::{Role, StateDir};

use crate::args::{Common, MetricsArgs, RegistryArgs, RegistryTask};
use crate::exit::Exit;
use crate::observe::{self, Registering};
use crate::problem::{Outcome, Problem};
use crate::setup;
use crate::signals::{GRACE, Signals};
use crate::terminal::Terminal;

/// Runs a registry.
pub(crate) fn run(args: RegistryArgs, common: &Common, terminal: Terminal) -> Outcome {
    if let Some(RegistryTask::Repair { path }) = &args.task {
        return repair(path, terminal);
    }
    check(&args)?;
    let setup = setup::setup(common, Role::Registry, "registry")?;
    let mut config = RegistryConfig::new(SocketAddr::new(args.listen, args.port), setup.identity);
    config.store = args.store.config().unwrap_or_else(|| default_store(args.port, &setup.state));
    config.ttl = args.ttl;
    config.heartbeat = args.heartbeat;
    config.operators = args.operator;
    setup::server_runtime()?.block_on(serve(config, &args.metrics, terminal))
}

async fn serve(config: RegistryConfig, metrics: &MetricsArgs, terminal: Terminal) -> Outcome {
    let mut signals = Signals::listen()?;
    let observation = observe::start("registry", metrics, &terminal).await?;
    let registry = Registry::spawn(config).map_err(|error| spawn_problem(&error))?;
    observation.watch(Registering(registry.monitor()));
    terminal.out(format!("registry listening on {}", registry.local_addr()))?;
    observation.say_ready(&format!("listening on {}", registry.local_addr()));
    signals.next().await;
    observation.say_stopping();
    terminal.err("stopping: hosts and clients go on with what they know")?;
    signals.insist(&terminal, registry.shutdown(GRACE)).await;
    observation.finish().await;
    Ok(())
}

/// Says on stdout what is in the file now.
fn repair(path: &Path, terminal: Terminal) -> Outcome {
    let done = jackfield_registry::repair(path).map_err(|error| store_problem(&error))?;
    let held = format!("{} instances and {} orders of operators", done.instances, done.orders);
    let path = path.display();
    let Some(aside) = done.aside else {
        return Ok(terminal.out(format!("{path} is sound: {held}; nothing was changed"))?);
    };
    terminal.out(format!("{path} is repaired: {held} were saved"))?;
    if done.lost > 0 {
        terminal.err(format!(
            "at least {} rows could not be read; hosts register again by themselves, what operators \
             ordered must be ordered again",
            done.lost
        ))?;
    }
    Ok(terminal.err(format!("the damaged file is kept in {}", aside.display()))?)
}

/// A registry that did not start.
pub(crate) fn spawn_problem(error: &SpawnError) -> Problem {
    match error {
        SpawnError::Bind(error) => setup::bind_problem(error),
        SpawnError::Store(error) => store_problem(error),
        SpawnError::Operator(_) => Problem::caused(Exit::Usage, error),
        other => Problem::caused(Exit::Internal, other),
    }
}

/// One file for each port, so that two registries of one user have one each. Nobody comes back to a
/// port that was picked: nothing need be there.
fn default_store(port: u16, state: &StateDir) -> StoreConfig {
    match port {
        0 => StoreConfig::Memory,
        port => StoreConfig::Sqlite(state.path().join(format!("registry-{port}.sqlite"))),
    }
}

/// A store that cannot be opened: the error says what repairs it.
fn store_problem(error: &StoreError) -> Problem {
    let exit = match error {
        StoreError::InUse { .. } => Exit::Unavailable,
        StoreError::Newer { .. } | StoreError::Foreign { .. } => Exit::Usage,
        _ => Exit::Internal,
    };
    Problem::caused(exit, error)
        .next("--store sqlite:PATH chooses another file, --store memory: keeps nothing")
}

/// Said here in the words of the command line, before anything starts.
pub(crate) fn check(args: &RegistryArgs) -> Outcome {
    args.store.check()?;
    if args.heartbeat * 2 <= args.ttl {
        return Ok(());
    }
    Err(Problem::usage(format!(
        "--heartbeat {:?} is more than half of --ttl {:?}: one lost heartbeat would remove a host",
        args.heartbeat, args.ttl
    ))
    .next("leave both out for 3s and 10s, or make the TTL at least twice the heartbeat"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_each_port_has_a_file_and_a_picked_one_none() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::resolve(Some(&dir.path().join("state"))).unwrap();
        let file = StoreConfig::Sqlite(dir.path().join("state/registry-9999.sqlite"));
        assert_eq!(default_store(9999, &state), file);
        assert_eq!(default_store(0, &state), StoreConfig::Memory);
    }
}
