//! A running registry: starts the layers, and ends them in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jackfield_transport::{BindError, DrainReport, PeerId, Protocol, Role, Server, ServerConfig};
use jackfield_wire::registry::LeaseTerms;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::RegistryConfig;
use crate::core::{Core, Moment, Rules};
use crate::session::{Sessions, Watches};
use crate::status::{Refusals, RegistryStatus};
use crate::store::{MemoryStore, Store};
use crate::writer::{View, Writer};

/// A running registry. Dropping it ends everything at once; [`shutdown`](Self::shutdown) lets
/// requests end and tells watchers.
pub struct Registry {
    server: Server,
    view: Arc<View>,
    watches: Arc<Watches>,
    refusals: Arc<Refusals>,
    stopping: CancellationToken,
    /// The writer.
    tasks: JoinSet<()>,
}

impl Registry {
    /// Starts a registry that keeps its set in memory; it listens when this returns. Must be called
    /// inside a tokio runtime.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or the address cannot be listened on.
    pub fn spawn(config: RegistryConfig) -> Result<Self, SpawnError> {
        let (store, stored) = MemoryStore::open(fastrand::u64(..));
        let core = Core::restore(rules(&config)?, Moment::default(), stored);
        Self::start(config, core, store)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// How it is.
    ///
    /// # Cost
    /// Looks at every instance, under the lock that changes need: for metrics every few seconds.
    pub fn status(&self) -> RegistryStatus {
        let mut status = self.view.read(|core, now| {
            let counts = core.counts();
            RegistryStatus {
                revision: core.revision(),
                authoritative: core.is_authoritative(now),
                instances: core.len(),
                available: core.available(),
                watches: 0,
                registered: counts.registered,
                heartbeats: counts.heartbeats,
                deregistered: counts.deregistered,
                suspected: counts.suspected,
                expired: counts.expired,
                refused: 0,
                denied: 0,
                malformed: 0,
            }
        });
        status.watches = self.watches.count();
        self.refusals.fill(&mut status);
        status
    }

    /// Takes no new requests, ends every watch regularly, lets running requests end for `grace`,
    /// then closes all connections. Nobody's instances become suspect by it.
    pub async fn shutdown(mut self, grace: Duration) -> DrainReport {
        self.server.stop_accepting();
        self.stopping.cancel();
        let report = self.server.shutdown(grace).await;
        self.tasks.shutdown().await;
        report
    }

    fn start<S: Store>(config: RegistryConfig, core: Core, store: S) -> Result<Self, SpawnError> {
        let terms = terms(&config)?;
        let view = Arc::new(View::new(core, Instant::now()));
        let (writer, mailbox) = Writer::new(Arc::clone(&view), store);
        let watches = Arc::new(Watches::new(config.max_watches, config.max_watches_per_peer));
        let refusals = Arc::new(Refusals::default());
        let stopping = CancellationToken::new();
        let sessions = Sessions {
            view: Arc::clone(&view),
            mailbox,
            terms,
            watches: Arc::clone(&watches),
            refusals: Arc::clone(&refusals),
            stopping: stopping.clone(),
            next_lease: AtomicU64::new(0),
        };
        let server = Server::spawn(server_config(config), Arc::new(sessions))?;
        view.bound_to(server.local_addr());
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run());
        tracing::info!(address = %server.local_addr(), "registry listens");
        Ok(Self { server, view, watches, refusals, stopping, tasks })
    }
}

/// A registry that could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// Hosts and clients would refuse to talk to it.
    #[error(
        "{0} is not a registry's identity: give one of the form spiffe://<domain>/registry/<name>"
    )]
    Role(PeerId),
    /// Leases would end between two heartbeats.
    #[error(
        "a heartbeat every {heartbeat:?} does not keep a lease of {ttl:?}: the TTL must be at least \
         twice the heartbeat, the heartbeat at least 1 ms and the TTL at most a day"
    )]
    Terms {
        /// As configured.
        ttl: Duration,
        /// As configured.
        heartbeat: Duration,
    },
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
}

fn rules(config: &RegistryConfig) -> Result<Rules, SpawnError> {
    let id = config.identity.id();
    if id.role() != Role::Registry {
        return Err(SpawnError::Role(id.clone()));
    }
    Ok(Rules {
        ttl: config.ttl,
        max_instances: config.max_instances,
        max_instances_per_peer: config.max_instances_per_host,
    })
}

fn terms(config: &RegistryConfig) -> Result<LeaseTerms, SpawnError> {
    let (ttl, heartbeat) = (config.ttl, config.heartbeat);
    let contradiction = SpawnError::Terms { ttl, heartbeat };
    if heartbeat < MIN_HEARTBEAT || ttl > MAX_TTL || ttl < heartbeat.saturating_mul(2) {
        return Err(contradiction);
    }
    let millis = |span: Duration| u32::try_from(span.as_millis());
    match (millis(ttl), millis(heartbeat)) {
        (Ok(ttl_ms), Ok(heartbeat_ms)) => Ok(LeaseTerms { ttl_ms, heartbeat_ms }),
        _ => Err(contradiction),
    }
}

fn server_config(config: RegistryConfig) -> ServerConfig {
    ServerConfig {
        listen: config.listen,
        identity: config.identity,
        protocol: Protocol::Registry,
        limits: config.limits,
    }
}

/// Terms travel as whole milliseconds.
const MIN_HEARTBEAT: Duration = Duration::from_millis(1);
/// Whoever wants longer wants an instance without health checks.
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);
