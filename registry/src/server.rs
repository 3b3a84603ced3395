//! A running registry: starts the layers, and ends them in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jackfield_transport::{
    BindError, DialError, DrainReport, Operators, PeerId, Protocol, Role, Server, ServerConfig,
};
use jackfield_wire::registry::LeaseTerms;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{RegistryConfig, StoreConfig};
use crate::core::{Core, Front, Moment, Rules, Stored};
use crate::prober::Prober;
use crate::session::{Rates, Sessions, Watches};
use crate::status::{Refusals, RegistryStatus};
use crate::store::{EtcdStore, MemoryStore, SqliteStore, Store, StoreError};
use crate::telemetry::RegistryMonitor;
use crate::writer::{View, Writer};

/// A running registry. Dropping it ends everything at once; [`shutdown`](Self::shutdown) lets
/// requests end and tells watchers.
pub struct Registry {
    server: Server,
    inside: Arc<Inside>,
    /// Ends the writer, which closes the store.
    closing: CancellationToken,
    /// The writer.
    tasks: JoinSet<()>,
}

/// What tells how a registry is.
pub(crate) struct Inside {
    view: Arc<View>,
    watches: Arc<Watches>,
    refusals: Arc<Refusals>,
    stopping: CancellationToken,
}

impl Registry {
    /// Starts a registry; it listens when this returns. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the configuration contradicts itself, the store cannot be opened, or the address cannot
    /// be listened on.
    ///
    /// # Cost
    /// Reads all of a store that lasts, on this thread.
    pub fn spawn(config: RegistryConfig) -> Result<Self, SpawnError> {
        let epoch = fastrand::u64(..);
        match &config.store {
            StoreConfig::Memory => Self::start(config, Front::ONLY, MemoryStore::open(epoch)),
            StoreConfig::Sqlite(path) => {
                check(&config)?;
                let opened = SqliteStore::open(path, epoch)?;
                Self::start(config, Front::ONLY, opened)
            }
            StoreConfig::Etcd(cluster) => {
                check(&config)?;
                // Unlike that of the registry that has its store for itself.
                let me = Front(fastrand::u64(1..));
                let opened = EtcdStore::open(cluster, me, epoch, config.ttl)?;
                Self::start(config, me, opened)
            }
        }
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
        self.inside.status()
    }

    /// What looks at it for probes and exporters. To be made when the recorder of the `metrics`
    /// facade is installed.
    pub fn monitor(&self) -> RegistryMonitor {
        RegistryMonitor::new(Arc::downgrade(&self.inside))
    }

    /// Takes no new requests, ends every watch regularly, lets running requests end for `grace`,
    /// then closes all connections and the store. Nobody's instances become suspect by it.
    pub async fn shutdown(mut self, grace: Duration) -> DrainReport {
        self.server.stop_accepting();
        self.inside.stopping.cancel();
        let report = self.server.shutdown(grace).await;
        self.closing.cancel();
        let closed = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(CLOSE_PATIENCE, closed).await.is_err() {
            tracing::error!("the store does not answer: it was not closed");
        }
        self.tasks.shutdown().await;
        report
    }

    fn start<S: Store>(
        config: RegistryConfig,
        me: Front,
        (store, stored): (S, Stored),
    ) -> Result<Self, SpawnError> {
        let (rules, terms) = check(&config)?;
        let rules = Rules { keeper: me, ..rules };
        let operators =
            Operators::new(&config.operators, &config.identity).map_err(SpawnError::Operator)?;
        let restored = stored.records.len();
        let core = Core::restore(rules, Moment::default(), stored);
        let view = Arc::new(View::new(core, Instant::now()));
        let (ask_look, asked) = mpsc::unbounded_channel();
        let (writer, mailbox) = Writer::new(Arc::clone(&view), store, ask_look);
        let prober = Prober::new(&config, asked, mailbox.clone())?;
        let watches = Arc::new(Watches::new(config.max_watches, config.max_watches_per_peer));
        let refusals = Arc::new(Refusals::default());
        let stopping = CancellationToken::new();
        let sessions = Sessions {
            view: Arc::clone(&view),
            mailbox,
            terms,
            watches: Arc::clone(&watches),
            refusals: Arc::clone(&refusals),
            operators,
            rates: Rates::new(config.max_requests_per_second, config.ttl),
            stopping: stopping.clone(),
            next_lease: AtomicU64::new(0),
        };
        let server = Server::spawn(server_config(config), Arc::new(sessions))?;
        view.bound_to(server.local_addr());
        let closing = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run(closing.clone()));
        tasks.spawn(prober.run(closing.clone()));
        tracing::info!(address = %server.local_addr(), restored, "registry listens");
        let inside = Arc::new(Inside { view, watches, refusals, stopping });
        Ok(Self { server, inside, closing, tasks })
    }
}

impl Inside {
    pub(crate) fn status(&self) -> RegistryStatus {
        let mut status = self.view.read(|core, now| {
            let counts = core.counts();
            RegistryStatus {
                revision: core.revision(),
                authoritative: core.is_authoritative(now),
                instances: core.len(),
                available: core.available(),
                doubtful: core.doubtful(),
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

    /// No new requests are taken.
    pub(crate) fn is_ending(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Others change the store, and it does not answer.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.view.is_alone()
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
    /// The name of an operator that is none.
    #[error("an operator's name cannot be used: {0}")]
    Operator(String),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// TLS cannot be set up, which only a broken build does.
    #[error(transparent)]
    Dialer(#[from] DialError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Before anything is opened.
fn check(config: &RegistryConfig) -> Result<(Rules, LeaseTerms), SpawnError> {
    Ok((rules(config)?, terms(config)?))
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
        max_orders: MAX_ORDERS,
        keeper: Front::ONLY,
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

/// Orders about instances, also about those that are not there: about 300 bytes each.
const MAX_ORDERS: usize = 10_000;
/// A disk that does not answer for this long will not answer soon; the process must be able to end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);
/// Terms travel as whole milliseconds.
const MIN_HEARTBEAT: Duration = Duration::from_millis(1);
/// Whoever wants longer wants an instance without health checks.
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);
