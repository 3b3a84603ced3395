//! How plugins of a host call other services: by a client of this process, made when the first of
//! them does, with the host's own name.
//!
//! A call ends with the future that waits for it. Calls run on the runtime of the process: a guest
//! may run in a lane of its own, where a connection would have to wait for guests.

use std::sync::Arc;
use std::time::Duration;

use jackfield_client::{CallError, CallOptions, Client, ClientBuilder, Context};
use jackfield_host::{
    Outgoing, OutgoingAnswer, OutgoingArguments, OutgoingCall, OutgoingFailure, OutgoingOptions,
    Services,
};
use jackfield_transport::{Identity, chain};
use jackfield_wire::{Executed, Failure, Namespace, Status};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

/// Calls over the registries of the host. Clones share one client.
#[derive(Clone, Debug)]
pub(crate) struct ClientServices(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Identity,
    registries: Vec<String>,
    namespace: Namespace,
    client: OnceCell<Client>,
    runtime: Handle,
}

impl ClientServices {
    /// Must be called inside the runtime that calls shall run on.
    pub(crate) fn new(identity: Identity, registries: Vec<String>, namespace: Namespace) -> Self {
        let (client, runtime) = (OnceCell::new(), Handle::current());
        Self(Arc::new(Inner { identity, registries, namespace, client, runtime }))
    }

    /// Says goodbye to everybody who was called.
    pub(crate) async fn close(&self) {
        if let Some(client) = self.0.client.get() {
            client.close().await;
        }
    }

    async fn client(&self) -> Result<&Client, Failure> {
        let inner = &self.0;
        let build = || {
            let builder = Client::builder()
                .identity(inner.identity.clone())
                .namespace(inner.namespace.clone())
                .sampling(jackfield_observe::sampling());
            inner.registries.iter().fold(builder, ClientBuilder::registry).build()
        };
        inner.client.get_or_try_init(build).await.map_err(|error| cannot(&error))
    }

    async fn make(self, call: OutgoingCall) -> Result<OutgoingAnswer, OutgoingFailure> {
        // First of all, because the time starts to run with it.
        let mut context = Context::new().time_left(call.time_left).hops(call.hops);
        if let Some(trace) = call.trace {
            context = context.trace(trace);
        }
        let client = self.client().await?;
        let patience = PATIENCE.min(call.time_left / 2);
        client.wait_ready(patience).await.map_err(|none| cannot(&none))?;
        let request =
            client.request(&call.target.to_string()).map_err(|error| failure(error.into()))?;
        let request = match call.arguments {
            OutgoingArguments::None => request,
            OutgoingArguments::Positional(array) => request.positional_json(array),
            OutgoingArguments::Named(object) => request.named_json(object),
        };
        let request = request.context(context).options(options(call.options));
        let answer = request.send().await.map_err(failure)?;
        Ok(answer.value.map(|json| json.to_vec()))
    }
}

impl Services for ClientServices {
    fn call(&self, call: OutgoingCall) -> Outgoing {
        let me = self.clone();
        Box::pin(async move {
            let mut task = JoinSet::new();
            let runtime = me.0.runtime.clone();
            task.spawn_on(me.make(call), &runtime);
            match task.join_next().await {
                Some(Ok(ended)) => ended,
                // It panicked, or the process ends.
                _ => Err(Failure::new(
                    Status::Internal,
                    Executed::Unknown,
                    "the call of another service broke down on this host",
                )
                .into()),
            }
        })
    }
}

/// Nothing goes out from this host.
fn cannot(error: &(dyn std::error::Error + 'static)) -> Failure {
    let text = format!("this host cannot call other services: {}", chain(error));
    Failure::not_executed(Status::Unavailable, text)
}

fn options(said: OutgoingOptions) -> CallOptions {
    let OutgoingOptions { deadline, is_idempotent, key, .. } = said;
    let options = CallOptions::new();
    let options = deadline.into_iter().fold(options, CallOptions::deadline);
    let options = key.into_iter().fold(options, CallOptions::key);
    if is_idempotent { options.idempotent() } else { options }
}

fn failure(error: CallError) -> OutgoingFailure {
    let (status, executed) = (error.status(), error.executed());
    let failure = Failure::new(status, executed, chain(&error));
    let value = match error {
        CallError::ServiceError(failed) => failed.value.map(|json| json.to_vec()),
        _ => None,
    };
    OutgoingFailure { failure, value }
}

/// How long the first calls wait for a registry, and no longer than half of their time: a plugin
/// whose own time ends meanwhile could not tell what was missing. One that is there answers within
/// milliseconds, and whoever has heard of instances once never waits again.
const PATIENCE: Duration = Duration::from_secs(2);
