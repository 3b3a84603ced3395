//! Registers endpoints that are no wasm hosts, and keeps them registered: for programs that serve
//! something else, and for those that vouch for somebody else's server.
//!
//! One task holds the lease; registries that go away are waited for, with jittered pauses. It ends
//! by [`Registration::deregister`], which takes the endpoints back; when the handle is dropped, the
//! lease runs out instead.

use std::time::Duration;

use jackfield_transport::{Backoff, Identity, Role, chain};
use jackfield_wire::InstanceId;
use jackfield_wire::registry::{Instance, LeaseTerms, Refusal, Reply, Request};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::asker::{Asker, RegistryError};
use crate::place::Place;

/// Endpoints that are kept registered.
#[derive(Debug)]
pub struct Registration {
    state: watch::Receiver<RegistrationState>,
    stop: CancellationToken,
    /// The one task.
    tasks: JoinSet<()>,
}

/// How a registration stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RegistrationState {
    /// No registry has answered yet.
    #[default]
    Waiting,
    /// A registry holds the endpoints.
    Registered,
    /// A registry refused them. It is asked again from time to time.
    Refused(Refusal),
    /// The registry is away, for this reason; the endpoints are registered again when one is there.
    Lost(String),
}

impl Registration {
    /// Registers `instances` at the first of `registries` (each `HOST:PORT`) that answers, and keeps
    /// them registered. Must be called inside a tokio runtime.
    ///
    /// Each instance's host must be the name of `identity`, or that and a name of its own behind a
    /// `:`.
    ///
    /// # Errors
    /// When a registry is not `HOST:PORT`, or `identity` is not a host's.
    pub fn spawn(
        identity: Identity,
        registries: &[String],
        instances: Vec<Instance>,
    ) -> Result<Self, RegistrationError> {
        if identity.id().role() != Role::Host {
            return Err(RegistrationError::Role(identity.id().to_string()));
        }
        let registries: Vec<Place> =
            registries.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let (sender, state) = watch::channel(RegistrationState::default());
        let stop = CancellationToken::new();
        let keeper = Keeper { identity, registries, instances, state: sender };
        let mut tasks = JoinSet::new();
        tasks.spawn(keeper.run(stop.clone()));
        Ok(Self { state, stop, tasks })
    }

    /// How it stands, now and from now on.
    pub fn state(&self) -> watch::Receiver<RegistrationState> {
        self.state.clone()
    }

    /// Takes the endpoints back. A registry that cannot be told finds out by the lease.
    pub async fn deregister(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// No registration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// A registry is not `HOST:PORT`.
    #[error(transparent)]
    Place(#[from] crate::place::PlaceError),
    /// The identity may not register anything.
    #[error("{0} may not register anything; give an identity of the form spiffe://…/host/…")]
    Role(String),
}

/// Registers once, without keeping: for instances that heartbeats do not decide about.
///
/// # Errors
/// See [`RegistryError`].
pub async fn register_once(
    identity: &Identity,
    registries: &[String],
    instances: Vec<Instance>,
) -> Result<(), RegistryError> {
    let places: Vec<Place> =
        registries.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let asker = Asker::connect(identity, &places).await?;
    let registered = register(&asker, instances).await;
    asker.close().await;
    registered.map(drop)
}

/// The task's state.
struct Keeper {
    identity: Identity,
    registries: Vec<Place>,
    instances: Vec<Instance>,
    state: watch::Sender<RegistrationState>,
}

impl Keeper {
    async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let connecting = Asker::connect(&self.identity, &self.registries);
            let error = match stop.run_until_cancelled(connecting).await {
                None => return,
                Some(Err(error)) => error,
                Some(Ok(asker)) => {
                    match stop.run_until_cancelled(self.keep(&asker, &mut failures)).await {
                        None => return self.take_back(asker).await,
                        Some(error) => error,
                    }
                }
            };
            failures += 1;
            self.state.send_replace(match error {
                RegistryError::Refused(refusal) => RegistrationState::Refused(refusal),
                error => RegistrationState::Lost(chain(&error)),
            });
            let pause = tokio::time::sleep(Backoff::RECONNECT.pause(failures, fastrand::u64(..)));
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Until the registry is lost.
    async fn keep(&self, asker: &Asker, failures: &mut u32) -> RegistryError {
        let mut terms = match register(asker, self.instances.clone()).await {
            Ok(terms) => terms,
            Err(error) => return error,
        };
        *failures = 0;
        self.state.send_replace(RegistrationState::Registered);
        loop {
            let beat = Duration::from_millis(terms.heartbeat_ms.into());
            tokio::time::sleep(beat.clamp(LEAST_HEARTBEAT, MOST_HEARTBEAT)).await;
            match self.heartbeat(asker).await {
                Ok(Some(fresh)) => terms = fresh,
                Ok(None) => {}
                Err(error) => return error,
            }
        }
    }

    /// Registers again what the registry has forgotten.
    async fn heartbeat(&self, asker: &Asker) -> Result<Option<LeaseTerms>, RegistryError> {
        let unknown = match asker.ask(&Request::Heartbeat(self.ids())).await? {
            Reply::Alive(unknown) => unknown,
            _ => return Err(RegistryError::OffTopic),
        };
        let forgotten = self.instances.iter().filter(|instance| unknown.contains(&instance.id));
        let forgotten: Vec<Instance> = forgotten.cloned().collect();
        if forgotten.is_empty() {
            return Ok(None);
        }
        register(asker, forgotten).await.map(Some)
    }

    async fn take_back(&self, asker: Asker) {
        if let Err(error) = asker.ask(&Request::Deregister(self.ids())).await {
            tracing::warn!("not deregistered: {}; the lease will expire", chain(&error));
        }
        asker.close().await;
    }

    fn ids(&self) -> Vec<InstanceId> {
        self.instances.iter().map(|instance| instance.id.clone()).collect()
    }
}

async fn register(asker: &Asker, instances: Vec<Instance>) -> Result<LeaseTerms, RegistryError> {
    match asker.ask(&Request::Register(instances)).await? {
        Reply::Registered(terms) => Ok(terms),
        _ => Err(RegistryError::OffTopic),
    }
}

/// A registry that asks for more would be flooded.
const LEAST_HEARTBEAT: Duration = Duration::from_millis(50);
/// A registry that asks for less would not notice an end.
const MOST_HEARTBEAT: Duration = Duration::from_secs(60);
