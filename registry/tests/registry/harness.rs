//! A registry in a private directory, and peers that speak its protocol.
//!
//! Every wait is for an event and ends after [`PATIENCE`]: a hang is a failure with a place.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jackfield_registry::{Registry, RegistryConfig, StoreConfig};
use jackfield_transport::{
    CloseCode, Connection, Dialer, Exchange, Identity, Protocol, Role, StateDir, TransportLimits,
};
use jackfield_wire::registry::{
    Delta, Health, Instance, LeaseTerms, ListQuery, Listing, MethodSummary, Refusal, Reply,
    Request, Revision, WatchEvent, WatchQuery,
};
use jackfield_wire::{FrameKind, InstanceId, ServiceName, from_cbor, to_cbor};
use tempfile::TempDir;

/// A registry and the authority that its peers share with it.
pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) address: SocketAddr,
    state: StateDir,
    dir: Arc<TempDir>,
}

impl World {
    /// With a TTL that no test lives to see.
    pub(crate) fn new() -> Self {
        Self::with(|config| config.ttl = Duration::from_secs(3600))
    }

    /// With a TTL that tests can see the end of; it is watched, never slept through.
    pub(crate) fn impatient() -> Self {
        Self::with(|config| {
            config.ttl = Duration::from_secs(1);
            config.heartbeat = Duration::from_millis(100);
        })
    }

    pub(crate) fn with(tune: impl FnOnce(&mut RegistryConfig)) -> Self {
        Self::in_folder(Arc::new(tempfile::tempdir().unwrap()), tune)
    }

    /// Another registry, which the same peers trust.
    pub(crate) fn beside(&self, tune: impl FnOnce(&mut RegistryConfig)) -> Self {
        Self::in_folder(Arc::clone(&self.dir), tune)
    }

    fn in_folder(dir: Arc<TempDir>, tune: impl FnOnce(&mut RegistryConfig)) -> Self {
        let state = StateDir::resolve(Some(&dir.path().join("state"))).unwrap();
        let identity = Identity::local(&state, Role::Registry, "registry").unwrap();
        let mut config = RegistryConfig::new((Ipv4Addr::LOCALHOST, 0).into(), identity);
        tune(&mut config);
        let registry = Registry::spawn(config).unwrap();
        Self { address: registry.local_addr(), registry, state, dir }
    }

    /// With a store that lasts.
    pub(crate) fn durable() -> Self {
        let mut world = Self::new();
        world.registry = Registry::spawn(world.durable_config()).unwrap();
        world.address = world.registry.local_addr();
        world
    }

    pub(crate) fn durable_config(&self) -> RegistryConfig {
        let identity = self.identity(Role::Registry, "registry");
        let mut config = RegistryConfig::new((Ipv4Addr::LOCALHOST, 0).into(), identity);
        config.store = StoreConfig::Sqlite(self.store());
        config.ttl = Duration::from_secs(3600);
        config
    }

    /// The file of a durable store.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("registry.sqlite")
    }

    /// Ends the registry and starts it again on the same file, on another port.
    pub(crate) async fn restart(mut self) -> Self {
        let config = self.durable_config();
        soon(self.registry.shutdown(Duration::ZERO)).await;
        self.registry = Registry::spawn(config).unwrap();
        self.address = self.registry.local_addr();
        self
    }

    pub(crate) fn identity(&self, role: Role, name: &str) -> Identity {
        Identity::local(&self.state, role, name).unwrap()
    }

    pub(crate) async fn host(&self, name: &str) -> Caller {
        self.caller(Role::Host, name).await
    }

    pub(crate) async fn client(&self) -> Caller {
        self.caller(Role::Client, "client").await
    }

    pub(crate) async fn caller(&self, role: Role, name: &str) -> Caller {
        self.caller_at(self.address, role, name).await
    }

    /// One that reaches the registry by another address.
    pub(crate) async fn caller_at(&self, address: SocketAddr, role: Role, name: &str) -> Caller {
        let identity = self.identity(role, name);
        let limits = TransportLimits::default();
        let dialer = Dialer::new(&identity, Protocol::Registry, limits).unwrap();
        let connection = soon(dialer.dial(address, Role::Registry)).await.unwrap();
        Caller { connection, _dialer: dialer }
    }

    /// A client's watch of everything, on a connection of its own.
    pub(crate) async fn watch(&self) -> Watching {
        self.client().await.watch(WatchQuery::default()).await
    }
}

/// A peer with one connection.
pub(crate) struct Caller {
    pub(crate) connection: Connection,
    _dialer: Dialer,
}

impl Caller {
    pub(crate) async fn open(&self) -> Exchange {
        soon(self.connection.open()).await.unwrap()
    }

    pub(crate) async fn ask(&self, request: &Request) -> Reply {
        self.send(&[(FrameKind::Message, &to_cbor(request))]).await
    }

    /// Sends frames as they are, and says what comes back.
    pub(crate) async fn send(&self, frames: &[(FrameKind, &[u8])]) -> Reply {
        let mut exchange = self.open().await;
        // The registry may have answered before it had read everything.
        let _stopped = soon(exchange.send_last(frames)).await;
        next_reply(&mut exchange).await.expect("an answer")
    }

    pub(crate) async fn register(&self, instances: Vec<Instance>) -> LeaseTerms {
        match self.ask(&Request::Register(instances)).await {
            Reply::Registered(terms) => terms,
            other => panic!("not registered: {other:?}"),
        }
    }

    pub(crate) async fn heartbeat(&self, ids: &[InstanceId]) -> Vec<InstanceId> {
        match self.ask(&Request::Heartbeat(ids.to_vec())).await {
            Reply::Alive(unknown) => unknown,
            other => panic!("no heartbeat: {other:?}"),
        }
    }

    pub(crate) async fn deregister(&self, ids: &[InstanceId]) -> u32 {
        match self.ask(&Request::Deregister(ids.to_vec())).await {
            Reply::Deregistered(count) => count,
            other => panic!("not deregistered: {other:?}"),
        }
    }

    /// A list as it would be a moment later: without the age of heartbeats.
    pub(crate) async fn list(&self, query: ListQuery) -> Listing {
        let mut listing = self.aged(query).await;
        listing.instances.iter_mut().for_each(|instance| instance.last_heartbeat_ms = None);
        listing
    }

    /// A list as it is.
    pub(crate) async fn aged(&self, query: ListQuery) -> Listing {
        match self.ask(&Request::List(query)).await {
            Reply::Listed(listing) => listing,
            other => panic!("no list: {other:?}"),
        }
    }

    pub(crate) async fn refused(&self, request: &Request) -> Refusal {
        refusal(self.ask(request).await)
    }

    /// Starts a watch and takes its first event.
    pub(crate) async fn watch(self, query: WatchQuery) -> Watching {
        let mut exchange = self.open().await;
        let request = to_cbor(&Request::Watch(query));
        soon(exchange.send_last(&[(FrameKind::Message, &request)])).await.unwrap();
        let mut watching = Watching {
            exchange,
            set: BTreeMap::new(),
            revision: None,
            authoritative: false,
            caller: self,
        };
        watching.next().await;
        watching
    }

    pub(crate) fn hang_up(self) {
        self.connection.close(CloseCode::Done);
    }
}

/// A watch, and the set as it shows it.
pub(crate) struct Watching {
    exchange: Exchange,
    pub(crate) set: BTreeMap<InstanceId, Instance>,
    pub(crate) revision: Option<Revision>,
    pub(crate) authoritative: bool,
    pub(crate) caller: Caller,
}

impl Watching {
    /// The next event, applied; `None` at a regular end.
    pub(crate) async fn try_next(&mut self) -> Option<WatchEvent> {
        let Reply::Event(event) = next_reply(&mut self.exchange).await? else {
            panic!("a watch brings events")
        };
        self.apply(&event);
        Some(event)
    }

    pub(crate) async fn next(&mut self) -> WatchEvent {
        self.try_next().await.expect("the watch goes on")
    }

    /// The next event that is not a sign of life.
    pub(crate) async fn next_delta(&mut self) -> Delta {
        loop {
            match self.next().await {
                WatchEvent::Delta(delta) => return delta,
                WatchEvent::Idle(..) => {}
                other => panic!("a delta expected: {other:?}"),
            }
        }
    }

    /// Waits until the set is as wanted.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&BTreeMap<InstanceId, Instance>) -> bool) {
        while !wanted(&self.set) {
            self.next().await;
        }
    }

    pub(crate) async fn until_health(&mut self, id: &InstanceId, health: Option<Health>) {
        self.until(|set| set.get(id).map(|instance| instance.health) == health).await;
    }

    fn apply(&mut self, event: &WatchEvent) {
        let (revision, upserted) = match event {
            WatchEvent::Snapshot(part) => {
                self.authoritative = part.authoritative;
                (part.revision, &part.instances)
            }
            WatchEvent::Delta(delta) => {
                self.authoritative = delta.authoritative;
                delta.removed.iter().for_each(|id| drop(self.set.remove(id)));
                (delta.revision, &delta.upserted)
            }
            WatchEvent::Idle(revision, _) => (*revision, &Vec::new()),
        };
        self.set.extend(upserted.iter().map(|i| (i.id.clone(), i.clone())));
        self.revision = Some(revision);
    }
}

async fn next_reply(exchange: &mut Exchange) -> Option<Reply> {
    let frame = soon(exchange.recv()).await.unwrap()?;
    assert_eq!(frame.kind, FrameKind::Message);
    Some(from_cbor(&frame.payload).unwrap())
}

pub(crate) fn refusal(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing happened for a minute")
}

pub(crate) fn id(service: &str, host: &str) -> InstanceId {
    InstanceId::new(&ServiceName::new(service).unwrap(), host)
}

pub(crate) fn instance(service: &str, host: &str) -> Instance {
    let methods = vec![MethodSummary { name: "add".into(), wit: "add: func()".into() }];
    let service = ServiceName::new(service).unwrap();
    let version = Some("1.0.0".into());
    Instance { version, methods, ..Instance::new(service, host, "127.0.0.1:4433") }
}

/// Far beyond anything that a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
