//! A registry that does as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_client::{Client, RegistryLink, Snapshot};
use jackfield_transport::{
    Exchange, Peer, Protocol, Role, Serve, Server, ServerConfig, TransportLimits,
};
use jackfield_wire::registry::{
    Delta, Instance, Listing, MethodSummary, Reply, Request, Revision, Snapshot as Part, WatchEvent,
};
use jackfield_wire::{FrameKind, InstanceId, ServiceName, from_cbor, to_cbor};
use tokio::sync::watch;

use crate::harness::{Authority, Host, LOOPBACK, PATIENCE, Visit};

/// A registry whose watches send what the test says, in order, to everyone who watches.
pub(crate) struct FakeRegistry {
    server: Server,
    script: Arc<Script>,
    revision: Revision,
}

pub(crate) struct Script {
    /// What every watch sends: raw messages, from the first.
    messages: watch::Sender<Vec<Vec<u8>>>,
    /// The first message of watches that begin now.
    begin: AtomicUsize,
    /// What a list answers.
    listing: Mutex<Option<Listing>>,
    /// The resume points of the watches so far.
    pub(crate) resumes: Mutex<Vec<Option<Revision>>>,
    /// Connections that have ended.
    ended: Arc<watch::Sender<usize>>,
}

impl FakeRegistry {
    pub(crate) async fn start(authority: &Authority, epoch: u64) -> Self {
        Self::start_at(authority, epoch, LOOPBACK).await
    }

    pub(crate) async fn start_at(authority: &Authority, epoch: u64, listen: SocketAddr) -> Self {
        let identity = authority.identity(Role::Registry, "fake");
        let limits = TransportLimits::default();
        let protocol = Protocol::Registry;
        let config = ServerConfig { listen, identity, protocol, limits };
        let script = Arc::new(Script {
            messages: watch::Sender::default(),
            begin: AtomicUsize::new(0),
            listing: Mutex::default(),
            resumes: Mutex::default(),
            ended: Arc::default(),
        });
        let server = Server::spawn(config, script.clone()).expect("a server");
        Self { server, script, revision: Revision { epoch, number: 0 } }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub(crate) fn resumes(&self) -> Vec<Option<Revision>> {
        self.script.resumes.lock().expect("no panics under it").clone()
    }

    /// Counts the connections that have ended.
    pub(crate) fn ended(&self) -> &watch::Sender<usize> {
        &self.script.ended
    }

    /// Sends the whole set.
    pub(crate) fn whole(&mut self, instances: &[Instance], authoritative: bool) {
        self.revision.number += 1;
        let (revision, instances) = (self.revision, instances.to_vec());
        let last = true;
        let part = Part { revision, instances, last, authoritative, ..Part::default() };
        self.event(WatchEvent::Snapshot(part));
    }

    /// Sends a change.
    pub(crate) fn change(&mut self, upserted: &[Instance], removed: &[InstanceId]) {
        self.revision.number += 1;
        let (revision, upserted, removed) = (self.revision, upserted.to_vec(), removed.to_vec());
        let authoritative = true;
        let delta = Delta { revision, upserted, removed, authoritative, ..Delta::default() };
        self.event(WatchEvent::Delta(delta));
    }

    pub(crate) fn event(&self, event: WatchEvent) {
        self.raw(to_cbor(&Reply::Event(event)));
    }

    /// Sends bytes as a message, whatever they are.
    pub(crate) fn raw(&self, message: Vec<u8>) {
        self.script.messages.send_modify(|messages| messages.push(message));
    }

    /// Watches that begin later get only what is sent from now on.
    pub(crate) fn forget(&self) {
        let sent = self.script.messages.borrow().len();
        self.script.begin.store(sent, Ordering::SeqCst);
    }

    /// What a list shows from now on, one change later than the watch.
    pub(crate) fn list(&self, instances: &[Instance]) {
        let revision = Revision { number: self.revision.number + 1, ..self.revision };
        let listing = Listing { revision, instances: instances.to_vec(), ..Listing::default() };
        *self.script.listing.lock().expect("no panics under it") = Some(listing);
    }

    pub(crate) async fn stop(self) {
        self.server.shutdown(Duration::ZERO).await;
    }
}

impl Serve for Script {
    type Session = Visit;

    fn connected(&self, _: &Peer) -> Visit {
        Visit(self.ended.clone())
    }

    async fn exchange(&self, _: &Arc<Visit>, mut exchange: Exchange) {
        let Ok(Some(frame)) = exchange.recv().await else { return };
        match from_cbor(&frame.payload).expect("a client asks properly") {
            Request::Watch(query) => {
                self.resumes.lock().expect("no panics under it").push(query.resume);
                self.watch(exchange).await;
            }
            Request::List(_) => {
                let listing = self.listing.lock().expect("no panics under it").clone();
                let reply = to_cbor(&Reply::Listed(listing.expect("the test gave a list")));
                _ = exchange.send_last(&[(FrameKind::Message, &reply)]).await;
            }
            other => panic!("a client does not ask {other:?}"),
        }
    }
}

impl Script {
    async fn watch(&self, mut exchange: Exchange) {
        let mut messages = self.messages.subscribe();
        let mut sent = self.begin.load(Ordering::SeqCst);
        loop {
            let next = messages.borrow_and_update().get(sent).cloned();
            let Some(message) = next else {
                tokio::select! {
                    Ok(()) = messages.changed() => continue,
                    _ = exchange.cancelled() => return,
                }
            };
            sent += 1;
            if exchange.send(&[(FrameKind::Message, &message)]).await.is_err() {
                return;
            }
        }
    }
}

/// `service` on `host`, as that host would register it.
pub(crate) fn instance(service: &str, name: &str, host: &Host) -> Instance {
    instance_at(service, name, host.address())
}

pub(crate) fn instance_at(service: &str, name: &str, address: SocketAddr) -> Instance {
    let service = ServiceName::new(service).expect("a test's name");
    let method = MethodSummary { name: "who".into(), wit: "who: func() -> string".into() };
    Instance { methods: vec![method], ..Instance::new(service, name, address.to_string()) }
}

/// Waits until the client knows what `is_right` looks for.
pub(crate) async fn eventually(client: &Client, is_right: impl Fn(&Snapshot) -> bool) {
    let mut changes = client.changes();
    let wait = async {
        while !is_right(&client.snapshot()) {
            changes.changed().await.expect("the client is there");
        }
    };
    let hosts = || client.instances().iter().map(|i| i.id.to_string()).collect::<Vec<_>>();
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        panic!("it did not come to that; known: {:?}, {:?}", hosts(), client.registry_link());
    }
}

/// The names of the hosts of `service`, as the client knows them.
pub(crate) fn hosts(snapshot: &Snapshot, service: &str) -> Vec<String> {
    snapshot.endpoints(service).iter().map(|e| e.instance.host.clone()).collect()
}

/// Waits until a registry of the client has failed it.
pub(crate) async fn failing(client: &Client) -> RegistryLink {
    let failed = async {
        loop {
            let link = client.registry_link().expect("a client with registries");
            if !link.failures.is_empty() {
                return link;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, failed).await.expect("a failure")
}
