//! A host: starts its parts, answers for them, ends them in one order.
//!
//! Shutting down: registries are told first, and callers by their answers, so that clients go
//! elsewhere while calls are still taken; when none comes any more, nothing new is taken; then calls in flight get their grace; what is left is cut.
//! Dropping a host ends everything at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_transport::{
    BindError, DialError, Dialer, DrainReport, Operators, Protocol, Server, ServerConfig,
};
use jackfield_wire::reflect::{HostReport, ServiceInfo};
use jackfield_wire::{Generation, Load, ServiceName};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, RejectedFile};
use crate::compile::Compilers;
use crate::config::HostConfig;
use crate::dispatch::{About, Dispatch};
use crate::engine::{EngineError, Ticker};
use crate::event::HostEvent;
use crate::guest::{StoreCount, Stores};
use crate::keeper;
use crate::kept::{self, Kept};
use crate::lane::Lane;
use crate::limits::LimitError;
use crate::monitor::HostMonitor;
use crate::plugin::{Loader, Plugin};
use crate::registration::{HostPlace, Link, Registration};
use crate::reload::{self, Reload, Workshop};
use crate::stats::{HostStats, ServiceStats, VersionStats};
use crate::telemetry::Telemetry;

/// A running host.
pub struct Host {
    server: Server,
    dispatch: Arc<Dispatch>,
    catalog: Arc<Catalog>,
    stores: Stores,
    events: broadcast::Sender<HostEvent>,
    settled: watch::Receiver<bool>,
    link: watch::Receiver<Link>,
    registration: Part,
    reload: Part,
    tending: Part,
    keeping: Part,
}

/// A task and the way to end it politely. Dropping it ends it at once.
struct Part {
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Part {
    fn spawn<F>(run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(run(stop.clone()));
        Self { stop, task }
    }

    /// Ends it; waits at most `limit`.
    async fn end(&mut self, limit: Duration) {
        self.stop.cancel();
        // Whoever takes longer is ended at once by the drop of the set.
        let _ = tokio::time::timeout(limit, self.task.join_next()).await;
        self.task.abort_all();
    }
}

/// A host that did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The plugin folder is not there, is no folder, or may not be read.
    #[error(
        "cannot read the plugin folder {}; name a folder that exists and that this user may read",
        folder.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// A limit with which nothing would work.
    #[error(transparent)]
    Limits(#[from] LimitError),
    /// The wasm engine did not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Clients cannot be sent to this address.
    #[error(
        "{0} is not an address that clients can be sent to; say which one they shall use \
         (advertise)"
    )]
    Advertise(SocketAddr),
    /// TLS towards the registry could not be set up.
    #[error(transparent)]
    Dialer(#[from] DialError),
    /// The name of an operator that is none.
    #[error("an operator's name cannot be used: {0}")]
    Operator(String),
    /// Something that a working machine does not refuse.
    #[error("the host could not start: {0}")]
    Internal(String),
}

impl Host {
    /// Starts a host; it listens when this returns. Plugins load from then on, in the background:
    /// see [`Self::settled`].
    ///
    /// Must be called inside a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// See [`SpawnError`]. A registry that cannot be reached is none.
    pub async fn spawn(config: HostConfig) -> Result<Self, SpawnError> {
        config.limits.check()?;
        check_folder(&config.folder)?;
        let limits = Arc::new(config.limits.clone());
        let compiler = config.compiler.clone();
        let compile = Compilers::new(compiler, config.state.path(), Arc::clone(&limits))?;
        let internal = |what: &dyn std::fmt::Display| SpawnError::Internal(what.to_string());
        let defaults = Arc::new(config.plugins.clone());
        let loader = Loader::new(compile.engines().plain(), Arc::clone(&limits), defaults)
            .map_err(|e| internal(&e))?
            .with_services(config.services.clone());
        let stores = loader.stores().clone();
        let ticker = Ticker::spawn(Arc::clone(compile.engines())).map_err(|e| internal(&e))?;
        let catalog = Arc::new(Catalog::new());
        let (events, _) = broadcast::channel(EVENTS);
        let (calls, told) = (Arc::clone(&catalog), events.clone());
        let operators = Operators::new(&config.operators, &config.identity);
        let operators = operators.map_err(SpawnError::Operator)?;
        let lane = Arc::new(Lane::spawn(ticker).map_err(|e| internal(&e))?);
        let kept = kept(&config);
        let host = config.identity.id().name().into();
        let about = About { host, stores: stores.clone(), since: Instant::now() };
        let parts = (Arc::clone(&lane), Arc::clone(&kept), operators, about);
        let dispatch = Dispatch::new(calls, Arc::clone(&limits), told, parts);
        let dispatch = Arc::new(dispatch.sampling(config.sampling));
        let server = Server::spawn(server_config(&config), Arc::clone(&dispatch))?;
        let (settle, settled) = watch::channel(false);
        let address = config.advertise.unwrap_or(server.local_addr());
        let none = if config.registries.is_empty() { Link::Unwanted } else { Link::Never };
        let (registers, link) = watch::channel(none);
        let registration = registration(&config, address, &catalog, (&events, registers))?;
        let reload = Reload {
            folder: config.folder,
            workshop: Workshop {
                loader,
                compile: Arc::new(compile),
                catalog: Arc::clone(&catalog),
                limits,
                lane: Arc::clone(&lane),
                kept: Arc::clone(&kept),
                accept_breaking_changes: config.accept_breaking_changes,
                only_harmless_trials: false,
            },
            events: events.clone(),
            settled: settle,
        };
        let reload = Part::spawn(|stop| reload.run(stop));
        let followed = Arc::clone(&catalog);
        let keeping = Part::spawn(|stop| kept::follow(kept, followed, stop));
        let tended = Arc::clone(&catalog);
        let tending = Part::spawn(|stop| keeper::tend(tended, lane, stop));
        Ok(Self {
            server,
            dispatch,
            catalog,
            stores,
            events,
            settled,
            link,
            registration,
            reload,
            tending,
            keeping,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// What it serves now.
    pub fn services(&self) -> Vec<ServiceInfo> {
        self.catalog.now().infos()
    }

    /// Files that do not serve, and why.
    pub fn rejected(&self) -> Vec<RejectedFile> {
        self.catalog.now().rejected().cloned().collect()
    }

    /// What happens from now on. Subscribe first, look at [`Self::services`] then: nothing is lost
    /// between the two. A receiver that is slow by 256 events misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.events.subscribe()
    }

    /// How busy it is.
    pub fn load(&self) -> Load {
        self.dispatch.load()
    }

    /// What it has in hand at this moment.
    pub fn stats(&self) -> HostStats {
        let service = |plugin: &Arc<Plugin>| ServiceStats {
            service: plugin.service().clone(),
            generation: plugin.generation(),
            load: self.dispatch.load_of(plugin.service().as_str()),
            quarantined: plugin.watch().quarantine().is_some(),
            instances: plugin.keeper().strategy(),
            idle: plugin.keeper().idle(),
        };
        let version = |(service, generation, count): (ServiceName, Generation, StoreCount)| {
            let StoreCount { open: stores, memory } = count;
            VersionStats { service, generation, stores, memory }
        };
        HostStats {
            load: self.load(),
            stores: self.stores(),
            draining: self.draining(),
            versions: self.stores.by_version().into_iter().map(version).collect(),
            services: self.catalog.now().plugins().map(service).collect(),
        }
    }

    /// What it has done since it started, and has in hand, as it tells everybody who asks by
    /// `jackfield.stats`. Costs about a microsecond for each method.
    pub fn report(&self) -> HostReport {
        let report = self.dispatch.reporter().report(None);
        report.expect("only a service that is named can be missing")
    }

    /// What looks at it for probes and exporters. To be made when the recorder of the `metrics`
    /// facade is installed.
    pub fn monitor(&self) -> HostMonitor {
        HostMonitor {
            dispatch: Arc::downgrade(&self.dispatch),
            catalog: Arc::clone(&self.catalog),
            settled: self.settled.clone(),
            link: self.link.clone(),
            telemetry: Telemetry::new(),
        }
    }

    /// Instances of guests that there are now. When no call runs it is what is kept warm: anything
    /// above that would be a leak.
    pub fn stores(&self) -> usize {
        self.stores.count()
    }

    /// Versions that were replaced or removed and still have calls running.
    pub fn draining(&self) -> usize {
        self.catalog.draining()
    }

    /// Waits until every file that was noticed in the folder serves or is rejected; at the start,
    /// until the folder was read.
    pub async fn settled(&self) {
        // An error means that the reloader has ended: nothing will change any more.
        let _ = self.settled.clone().wait_for(|settled| *settled).await;
    }

    /// Waits until a registry has taken its services, if it ever was told of one. Comes back at once
    /// when one has had them before.
    pub async fn registered(&self) {
        // An error means that registration has ended: nothing will change any more.
        let _ = self.link.clone().wait_for(|link| *link != Link::Never).await;
    }

    /// Says goodbye to the registry and, in its answers, to callers; takes calls until they cease,
    /// for at most two seconds of the grace; then stops taking calls, lets those in flight end within `grace`,
    /// cuts the rest, and reports. Everything has ended when this returns, but for a compilation
    /// under way on a thread of this process, which nobody waits for and whose result nobody gets.
    pub async fn shutdown(mut self, grace: Duration) -> DrainReport {
        self.dispatch.drain().begin();
        self.registration.end(GOODBYE).await;
        self.dispatch.drain().lull(NOTICE.min(grace)).await;
        self.server.stop_accepting();
        self.reload.end(Duration::ZERO).await;
        self.tending.end(Duration::ZERO).await;
        let report = self.server.shutdown(grace).await;
        self.keeping.end(KEEPING).await;
        report
    }
}

fn check_folder(folder: &Path) -> Result<(), SpawnError> {
    let failed = |source| SpawnError::Folder { folder: folder.into(), source };
    std::fs::read_dir(folder).map_err(failed)?;
    // Not refused: files of strangers are refused one by one, and the volume of a container often
    // is open.
    if reload::is_open_to_all(folder) {
        tracing::warn!(
            folder = %folder.display(),
            "every user of this machine may take plugins out of the folder; to keep that to \
             yourself and your group, take the right away (chmod o-w)"
        );
    }
    Ok(())
}

/// What it kept of versions before.
fn kept(config: &HostConfig) -> Arc<Kept> {
    let (state, host) = (config.state.path(), config.identity.id().name());
    Arc::new(Kept::open(state, host, &config.folder, config.limits.plugin_file))
}

fn server_config(config: &HostConfig) -> ServerConfig {
    ServerConfig {
        listen: config.listen,
        identity: config.identity.clone(),
        protocol: Protocol::Call,
        limits: config.transport.clone(),
    }
}

/// The task that registers; none without a registry.
fn registration(
    config: &HostConfig,
    address: SocketAddr,
    catalog: &Arc<Catalog>,
    (events, link): (&broadcast::Sender<HostEvent>, watch::Sender<Link>),
) -> Result<Part, SpawnError> {
    if config.registries.is_empty() {
        return Ok(Part { stop: CancellationToken::new(), task: JoinSet::new() });
    }
    if address.ip().is_unspecified() || address.port() == 0 {
        return Err(SpawnError::Advertise(address));
    }
    let registration = Registration {
        registries: config.registries.clone(),
        dialer: Dialer::new(&config.identity, Protocol::Registry, config.transport.clone())?,
        catalog: Arc::clone(catalog),
        place: HostPlace {
            host: config.identity.id().name().to_owned(),
            address,
            namespace: config.namespace.clone(),
            zone: config.zone.clone(),
            metadata: config.metadata.clone(),
        },
        events: events.clone(),
        link,
    };
    Ok(Part::spawn(|stop| registration.run(stop)))
}

/// Events that a slow listener may be behind.
const EVENTS: usize = 256;

/// Time to tell a registry. Longer than its own time limit for an answer, so that a goodbye that
/// waits behind a heartbeat still gets its turn.
const GOODBYE: Duration = Duration::from_secs(5);

/// Time to write down the rollbacks of the last moment.
const KEEPING: Duration = Duration::from_secs(2);

/// How long calls are taken at most after callers were told. Word of it is there in milliseconds;
/// a caller that stays has nowhere else to go, and should not hold the end up for long.
const NOTICE: Duration = Duration::from_secs(2);

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_that_everybody_may_write_to_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, open) in [(0o755, false), (0o775, false), (0o777, true), (0o1777, true)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), permissions).unwrap();
            assert_eq!(reload::is_open_to_all(folder.path()), open, "{mode:o}");
        }
    }
}
