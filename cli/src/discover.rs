//! From what was typed to a client that knows the network.

use std::sync::Arc;
use std::time::Duration;

use jackfield_client::{
    BuildError, CallError, CallOptions, Client, NoInstance, NoRegistry, Snapshot,
};
use jackfield_transport::{Role, chain};
use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::registry::Instance;

use crate::args::{Common, RegistryAddress};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::signals::Signals;
use crate::{observe, setup};

/// Where to find a service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Via<'a> {
    Registry(&'a RegistryAddress),
    /// One host, without a registry.
    Direct(&'a str),
}

impl<'a> Via<'a> {
    /// `--direct` decides; without it, the registry.
    pub(crate) fn new(registry: &'a RegistryAddress, direct: Option<&'a str>) -> Self {
        direct.map_or(Self::Registry(registry), Self::Direct)
    }
}

/// Runs `work` with a client, on this thread, until it ends or a signal comes; then says goodbye
/// to everybody, so that no host works on for a caller that has gone.
pub(crate) fn with_client<T>(
    common: &Common,
    via: Via<'_>,
    work: impl AsyncFnOnce(&Client) -> Outcome<T>,
) -> Outcome<T> {
    let runtime = setup::client_runtime()?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let observation = observe::quietly("cli").await?;
        let client = connect(common, via).await?;
        let outcome = signals.unless(work(&client)).await;
        client.close().await;
        observation.finish().await;
        outcome
    });
    runtime.shutdown_background();
    outcome
}

/// What the registry knows; nothing for a host that is asked directly.
///
/// # Errors
/// When none answers: with each that was asked, and the command that starts one.
pub(crate) async fn ready(client: &Client, via: Via<'_>) -> Outcome<Arc<Snapshot>> {
    let Via::Registry(address) = via else {
        return Ok(client.snapshot());
    };
    tokio::select! {
        biased;
        ready = client.wait_ready(PATIENCE) => ready.map_err(|error| no_registry(&error)),
        () = all_failed(client, address.registry.len()) => {
            // Its set may have come between the two looks: then there is nothing to wait for.
            client.wait_ready(Duration::ZERO).await.map_err(|error| no_registry(&error))
        }
    }
}

/// Every instance that the registry knows, for callers that care for nothing else.
pub(crate) async fn known(
    registry: &RegistryAddress,
    common: &Common,
) -> Outcome<Vec<Arc<Instance>>> {
    let via = Via::Registry(registry);
    let client = connect(common, via).await?;
    let snapshot = ready(&client, via).await?;
    client.close().await;
    Ok(snapshot.instances().cloned().collect())
}

/// The words for a call that failed.
pub(crate) fn call_problem(error: &CallError) -> Problem {
    let exit = Exit::of_status(error.status());
    match error {
        CallError::NoAvailableInstance(none) => match &none.reason {
            NoInstance::NoRegistry(error) => no_registry(error),
            _ => Problem::new(exit, chain(error)).next("see what there is: jackfield ls"),
        },
        CallError::ServiceError(failed) => match &failed.value {
            Some(json) => Problem::new(
                exit,
                format!("{} returned its error: {}", failed.target, String::from_utf8_lossy(json)),
            ),
            None => Problem::new(exit, chain(error)),
        },
        _ => Problem::new(exit, chain(error)),
    }
}

/// A client that was told where to look, and has asked nobody yet.
pub(crate) async fn connect(common: &Common, via: Via<'_>) -> Outcome<Client> {
    connect_as(&format!("cli-{}", std::process::id()), common, via).await
}

/// The same one with a name of its own, unless the identity was set up on purpose.
pub(crate) async fn connect_as(name: &str, common: &Common, via: Via<'_>) -> Outcome<Client> {
    let identity = setup::setup(common, Role::Client, name)?.identity;
    let mut builder = Client::builder()
        .identity(identity)
        .sampling(jackfield_observe::sampling())
        .service_options(BUILTIN_SERVICE, CallOptions::new().deadline(PATIENCE));
    match via {
        Via::Direct(place) => builder = builder.direct(place),
        Via::Registry(address) => {
            builder = builder.namespace(address.namespace.clone());
            for place in &address.registry {
                builder = builder.registry(place);
            }
        }
    }
    builder.build().await.map_err(|error| {
        let exit = match error {
            BuildError::Place(_) | BuildError::Both => Exit::Usage,
            BuildError::Resolve(_) => Exit::Unavailable,
            _ => Exit::Denied,
        };
        Problem::caused(exit, &error)
    })
}

/// Until each registry was tried once. The client itself would go on trying: right for a program
/// that runs for days, a hang for a person who has not started one.
async fn all_failed(client: &Client, registries: usize) {
    loop {
        tokio::time::sleep(GLANCE).await;
        let Some(link) = client.registry_link() else {
            return;
        };
        if link.connected.is_none() && link.failures.len() >= registries {
            return;
        }
    }
}

fn no_registry(error: &NoRegistry) -> Problem {
    let tried: Vec<String> =
        error.tried.iter().map(|tried| format!("{}: {}", tried.registry, tried.message)).collect();
    Problem::new(Exit::Unavailable, format!("no registry answers; {}", tried.join("; ")))
        .next("start one: jackfield registry (or, with a host in the same process: jackfield dev)")
        .next("or say where one is: --registry ADDR:PORT")
}

/// For finding services and reading their types: more than a busy network needs, less than a
/// person waits. The deadline of a call is its own.
const PATIENCE: Duration = Duration::from_secs(5);

/// A look at how the registries fare, until there is something to know.
const GLANCE: Duration = Duration::from_millis(20);
