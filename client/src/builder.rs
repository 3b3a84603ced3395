//! What a client is made from.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::{
    DialError, Dialer, Identity, IdentityError, Protocol, Role, StateDir, StateDirError,
    TransportLimits,
};
use jackfield_wire::name::NameError;
use jackfield_wire::trace::Sampling;
use jackfield_wire::{Namespace, ServiceName};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::balancer::Balancer;
use crate::budget::RetryBudget;
use crate::chance::Chance;
use crate::client::{Client, Inner, Source};
use crate::direct::Direct;
use crate::discovery::{Settings, Shared, Watcher};
use crate::disk::LastGood;
use crate::ejection::EjectionPolicy;
use crate::options::CallOptions;
use crate::picker::PickerChoice;
use crate::place::{Place, PlaceError, Resolve, ResolveError, System};
use crate::pool::{Keeping, Pool};

/// Sets up a [`Client`]. Every value has a default that suits a local network.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    registries: Vec<String>,
    resolver: Arc<dyn Resolve>,
    direct: Option<String>,
    namespace: Namespace,
    identity: Option<Identity>,
    state: Option<PathBuf>,
    last_good: Option<PathBuf>,
    connect_timeout: Duration,
    idle_connection: Duration,
    max_connections: usize,
    refresh_interval: Duration,
    max_instances: usize,
    options: CallOptions,
    options_by_service: Vec<(String, CallOptions)>,
    ejection: EjectionPolicy,
    budget: RetryBudget,
    limits: TransportLimits,
    sampling: Sampling,
    seed: Option<u64>,
}

/// No client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A registry or a direct host is not `HOST:PORT`.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The name of the direct host leads nowhere.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Both a registry and a direct host were given.
    #[error("a client goes by registries or directly to one host, not both")]
    Both,
    /// No private directory to find this user's identity in.
    #[error("no identity: no state directory")]
    State(#[from] StateDirError),
    /// The identity in it cannot be used.
    #[error("no identity")]
    Identity(#[from] IdentityError),
    /// The identity is neither a client's nor a host's.
    #[error(
        "{0} is the identity of another role; a client needs spiffe://…/client/…, or a host's own"
    )]
    Role(String),
    /// Options were given for what is no service's name.
    #[error("no service can have these options")]
    Service(#[source] NameError),
    /// TLS cannot be set up.
    #[error("cannot make connections")]
    Dialer(#[from] DialError),
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            registries: Vec::new(),
            resolver: Arc::new(System),
            direct: None,
            namespace: Namespace::default(),
            identity: None,
            state: None,
            last_good: None,
            connect_timeout: Duration::from_secs(2),
            idle_connection: Duration::from_secs(60),
            max_connections: 1024,
            refresh_interval: Duration::from_secs(15),
            max_instances: 100_000,
            options: CallOptions::new(),
            options_by_service: Vec::new(),
            ejection: EjectionPolicy::default(),
            budget: RetryBudget::default(),
            limits: TransportLimits::default(),
            sampling: Sampling::default(),
            seed: None,
        }
    }
}

impl ClientBuilder {
    /// Adds a registry, `HOST:PORT`; when one is away the next is asked. Default
    /// [`DEFAULT_REGISTRY`] alone. A name is looked up again at each connection.
    pub fn registry(mut self, place: impl Into<String>) -> Self {
        self.registries.push(place.into());
        self
    }

    /// The namespace in which names of services are looked up. Default `default`.
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// Looks names of registries and of the direct host up in another way than the system's.
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Goes to one host, `HOST:PORT`, without a registry.
    pub fn direct(mut self, place: impl Into<String>) -> Self {
        self.direct = Some(place.into());
        self
    }

    /// Who the client is. Default: a fresh identity of this user, from the state directory.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The state directory for the default identity. Default: see [`StateDir::resolve`].
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state = Some(path.into());
        self
    }

    /// A file to keep the last good set in, for a start at which no registry answers. Default:
    /// none. Its folder must exist, and be private: whoever writes it can misroute calls, though
    /// not to hosts without a certificate.
    pub fn last_good_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.last_good = Some(path.into());
        self
    }

    /// How long a call may take in all when it does not say itself. Default: as the service's
    /// settings in the registry say, or else 10 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.options.deadline = Some(deadline);
        self
    }

    /// How long one connection may take to make. Default 2 s: beyond it another endpoint is the
    /// better bet. Longer than the deadline means never.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a connection is kept that no call uses. Default 60 s: a new one costs a call two
    /// round trips, an idle one costs either side a packet every two seconds and the host one of
    /// its places.
    pub fn idle_connection(mut self, idle: Duration) -> Self {
        self.idle_connection = idle;
        self
    }

    /// The most hosts that are connected to at once, at least 1. Default 1,024; for the next one
    /// the connection that was used least recently is let go, once its calls have ended.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = max;
        self
    }

    /// After how much silence of the watch everything is listed. Default 15 s, five times a
    /// registry's usual sign of life; shorter costs the registry a full list each time, at most a
    /// hundred in a second.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = interval;
        self
    }

    /// The most instances that are held, 600 bytes each or so. Default 100,000. A registry that
    /// has more is refused as broken.
    pub fn max_instances(mut self, max: usize) -> Self {
        self.max_instances = max;
        self
    }

    /// Which endpoint among equals takes a call. Default: as the service's settings in the registry
    /// say, or else round robin.
    pub fn picker(mut self, picker: impl Into<PickerChoice>) -> Self {
        self.options.picker = Some(picker.into());
        self
    }

    /// What holds for every call of this client that does not say otherwise; it goes before what
    /// was said so far.
    pub fn options(mut self, options: CallOptions) -> Self {
        self.options = options.or(&self.options);
        self
    }

    /// What holds for calls of one service; it goes before what holds for all.
    pub fn service_options(mut self, service: impl Into<String>, options: CallOptions) -> Self {
        self.options_by_service.push((service.into(), options));
        self
    }

    /// When an endpoint is left out for a while, and how it comes back.
    pub fn ejection(mut self, policy: EjectionPolicy) -> Self {
        self.ejection = policy;
        self
    }

    /// How many attempts beyond the first the calls of a service may cost in all.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// The bounds of connections.
    pub fn limits(mut self, limits: TransportLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Which traces of its calls hosts are asked to record. Default all that the program records
    /// itself, unless a call is part of a trace that says otherwise.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Where chance starts, so that a test replays. Default: another for every client.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes the client. It starts to watch its registries; nothing waits for them.
    ///
    /// Must be called inside a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// See [`BuildError`]. A registry that is away is not an error.
    pub async fn build(self) -> Result<Client, BuildError> {
        let identity = self.own_identity().await?;
        let stop = CancellationToken::new();
        let mut rng = fastrand::Rng::with_seed(self.seed.unwrap_or_else(|| fastrand::u64(..)));
        let dialer = Dialer::new(&identity, Protocol::Call, self.limits.clone())?;
        let pool = Pool::new(dialer, self.keeping(), stop.child_token());
        let chance = Chance::seeded(rng.u64(..));
        let balancer = Arc::new(Balancer::new(self.ejection, self.budget, chance));
        let tasks = TaskTracker::new();
        let source = match self.direct {
            Some(_) if !self.registries.is_empty() => return Err(BuildError::Both),
            Some(ref place) => {
                Source::Direct(Direct::new(place.parse()?, self.resolver.clone()).await?)
            }
            None => {
                let parts = (pool.clone(), balancer.clone());
                let watcher = self.watcher(&identity, parts, rng.u64(..))?;
                let shared = watcher.shared();
                tasks.spawn(watcher.run(stop.child_token()));
                Source::Registry(shared)
            }
        };
        let inner = Inner {
            identity,
            source,
            pool,
            balancer,
            frames: self.limits.frames,
            options_by_service: self.options_by_service()?,
            options: self.options,
            sampling: self.sampling,
            tasks,
            stop,
        };
        Ok(Client { inner: Arc::new(inner) })
    }

    fn options_by_service(&self) -> Result<HashMap<ServiceName, CallOptions>, BuildError> {
        let mut all = HashMap::new();
        for (name, options) in &self.options_by_service {
            let name = ServiceName::new(name).map_err(BuildError::Service)?;
            let weaker = all.remove(&name).unwrap_or_else(|| self.options.clone());
            all.insert(name, options.clone().or(&weaker));
        }
        Ok(all)
    }

    fn keeping(&self) -> Keeping {
        let Self { connect_timeout, idle_connection: idle, max_connections: most, .. } = *self;
        Keeping { connect_timeout, idle, most: most.max(1) }
    }

    async fn own_identity(&self) -> Result<Identity, BuildError> {
        let identity = match &self.identity {
            Some(identity) => identity.clone(),
            None => local_identity(self.state.clone()).await?,
        };
        match identity.id().role() {
            // A host calls for its plugins, and has no other name.
            Role::Client | Role::Host => Ok(identity),
            _ => Err(BuildError::Role(identity.id().to_string())),
        }
    }

    fn watcher(
        &self,
        identity: &Identity,
        (pool, balancer): (Arc<Pool>, Arc<Balancer>),
        seed: u64,
    ) -> Result<Watcher, BuildError> {
        let default = [DEFAULT_REGISTRY.to_owned()];
        let texts = if self.registries.is_empty() { &default[..] } else { &self.registries };
        let registries: Vec<Place> =
            texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let last_good = self
            .last_good
            .as_ref()
            .map(|path| LastGood::new(path.clone(), &registries, &self.namespace));
        let shared = Arc::new(Shared::new(&registries, pool.telemetry().clone()));
        let settings = Settings {
            registries,
            namespace: self.namespace.clone(),
            resolver: self.resolver.clone(),
            connect_timeout: self.connect_timeout,
            refresh_interval: self.refresh_interval.max(SHORTEST_REFRESH),
            max_instances: self.max_instances,
            last_good,
            seed,
        };
        let dialer = Dialer::new(identity, Protocol::Registry, self.limits.clone())?;
        Ok(Watcher::new(settings, dialer, shared, pool, balancer))
    }
}

/// Blocks on the file system, so it runs beside the runtime.
async fn local_identity(state: Option<PathBuf>) -> Result<Identity, BuildError> {
    let load = move || {
        let state = StateDir::resolve(state.as_deref())?;
        let name = format!("client-{}", std::process::id());
        Ok(Identity::local(&state, Role::Client, &name)?)
    };
    tokio::task::spawn_blocking(load).await.expect("loading an identity does not panic")
}

/// Keeps an interval of zero from listing without a pause.
const SHORTEST_REFRESH: Duration = Duration::from_millis(10);

/// Where a registry is when nobody says otherwise.
pub const DEFAULT_REGISTRY: &str = "127.0.0.1:9999";
