//! From what was typed to a connection over which orders are given.

use jackfield_client::{Operator, RegistryError};
use jackfield_transport::{Role, chain};
use jackfield_wire::registry::{Instance, ListQuery};
use jackfield_wire::{InstanceId, Status};

use crate::args::{Common, RegistryAddress};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::setup;
use crate::signals::Signals;

/// Runs `work` with a connection, on this thread, until it ends or a signal comes.
pub(crate) fn with_operator<T>(
    common: &Common,
    registry: &RegistryAddress,
    work: impl AsyncFnOnce(&Operator) -> Outcome<T>,
) -> Outcome<T> {
    let runtime = setup::client_runtime()?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let name = format!("cli-{}", std::process::id());
        let identity = setup::setup(common, Role::Client, &name)?.identity;
        let connecting = Operator::connect(&identity, &registry.registry);
        let operator = signals.unless(async { connecting.await.map_err(|e| refused(&e)) }).await?;
        let outcome = signals.unless(work(&operator)).await;
        operator.close().await;
        outcome
    });
    runtime.shutdown_background();
    outcome
}

/// The words for what a registry did not do.
pub(crate) fn refused(error: &RegistryError) -> Problem {
    let problem = Problem::new(Exit::of_status(error.status()), chain(error));
    match error.status() {
        Status::Unavailable => problem
            .next("start one: jackfield registry")
            .next("or say where one is: --registry ADDR:PORT"),
        _ => problem,
    }
}

/// The id that was meant: as typed, or in the namespace of the command.
pub(crate) fn id(typed: &str, registry: &RegistryAddress) -> Outcome<InstanceId> {
    let usage = |why: &str| {
        Problem::usage(format!("{typed:?} is no instance: {why}"))
            .next("write SERVICE@HOST, as `jackfield ls` shows them: calc@left")
    };
    let (key, host) = typed.split_once('@').ok_or_else(|| usage("it has no @"))?;
    let key = match key.contains('/') || registry.namespace.is_default() {
        true => key.to_owned(),
        false => format!("{}/{key}", registry.namespace),
    };
    let key = key.parse().map_err(|error| usage(&format!("{error}")))?;
    Ok(InstanceId::of(&key, host))
}

/// One instance with everything that is known of it.
pub(crate) async fn find(operator: &Operator, id: &InstanceId) -> Outcome<Option<Instance>> {
    let Some(key) = id.key() else { return Ok(None) };
    let query = ListQuery {
        service: Some(key.service),
        namespace: Some(key.namespace),
        all: true,
        ..ListQuery::default()
    };
    let listing = operator.list(query).await.map_err(|error| refused(&error))?;
    Ok(listing.instances.into_iter().find(|instance| instance.id == *id))
}
