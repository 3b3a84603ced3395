//! Identities, and a host whose methods do what their names say.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_client::{Client, ClientBuilder};
use jackfield_transport::{
    Exchange, Identity, Peer, Protocol, Role, Serve, Server, ServerConfig, StateDir,
    TransportLimits,
};
use jackfield_wire::{AnswerHead, CallHead, Executed, FrameKind, Status, from_cbor, to_cbor};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};

/// A private authority with everyone who trusts it.
pub(crate) struct Authority(TempDir);

impl Authority {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn identity(&self, role: Role, name: &str) -> Identity {
        let state = StateDir::resolve(Some(&self.0.path().join("state"))).expect("state");
        Identity::local(&state, role, name).expect("identity")
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A client in the making, with a fixed seed.
    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder().identity(self.identity(Role::Client, "tester")).seed(1)
    }

    /// A client of one host.
    pub(crate) async fn direct(&self, host: &Host) -> Client {
        self.builder().direct(host.address().to_string()).build().await.expect("a client")
    }

    pub(crate) async fn host(&self, name: &str) -> Host {
        self.host_on(name, LOOPBACK, TransportLimits::default()).await
    }

    pub(crate) async fn host_on(
        &self,
        name: &str,
        at: SocketAddr,
        limits: TransportLimits,
    ) -> Host {
        let identity = self.identity(Role::Host, name);
        let config = ServerConfig { listen: at, identity, protocol: Protocol::Call, limits };
        let desk = Arc::new(Desk::new(name));
        let server = Server::spawn(config, desk.clone()).expect("a server");
        Host { server, desk }
    }
}

/// A host in this process.
pub(crate) struct Host {
    pub(crate) server: Server,
    pub(crate) desk: Arc<Desk>,
}

impl Host {
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Ends it as a kill does, but heard at once.
    pub(crate) async fn kill(self) {
        self.server.shutdown(Duration::ZERO).await;
    }

    pub(crate) fn calls(&self) -> usize {
        self.desk.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.desk.connections.load(Ordering::SeqCst)
    }
}

/// Answers calls.
pub(crate) struct Desk {
    name: String,
    calls: AtomicUsize,
    connections: AtomicUsize,
    /// Calls of `hold` that are being held, and those whose caller went away.
    pub(crate) held: watch::Sender<usize>,
    pub(crate) cancelled: watch::Sender<usize>,
    /// Connections that have ended.
    pub(crate) ended: Arc<watch::Sender<usize>>,
    /// Lets held calls go.
    pub(crate) release: Semaphore,
    /// Reads nothing any more, as a host that is stuck.
    pub(crate) deaf: AtomicBool,
    /// Says in its answers that it will close.
    pub(crate) draining: AtomicBool,
    /// What the next calls of `scripted` answer, last first; `ok` when there is nothing.
    pub(crate) script: Mutex<Vec<(Status, Executed, Option<u32>)>>,
}

impl Serve for Desk {
    type Session = Visit;

    fn connected(&self, _: &Peer) -> Visit {
        self.connections.fetch_add(1, Ordering::SeqCst);
        Visit(self.ended.clone())
    }

    async fn exchange(&self, _: &Arc<Visit>, mut exchange: Exchange) {
        if self.deaf.load(Ordering::SeqCst) {
            exchange.cancelled().await;
            return;
        }
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = exchange.recv().await {
            frames.push(frame);
        }
        let Some(first) = frames.first() else { return };
        self.calls.fetch_add(1, Ordering::SeqCst);
        let head: CallHead<'_> = from_cbor(&first.payload).expect("a client sends heads");
        let part = |kind| {
            let frame = frames.iter().find(|frame| frame.kind == kind)?;
            serde_json::from_slice::<Value>(&frame.payload).ok()
        };
        let (positional, named) = (part(FrameKind::Positional), part(FrameKind::Named));
        self.answer(&head, positional, named, exchange).await;
    }
}

/// One connection; counts its end.
pub(crate) struct Visit(pub(crate) Arc<watch::Sender<usize>>);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.send_modify(|ended| *ended += 1);
    }
}

impl Desk {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            calls: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            held: watch::Sender::new(0),
            cancelled: watch::Sender::new(0),
            ended: Arc::default(),
            release: Semaphore::new(0),
            deaf: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            script: Mutex::default(),
        }
    }

    async fn answer(
        &self,
        head: &CallHead<'_>,
        positional: Option<Value>,
        named: Option<Value>,
        mut exchange: Exchange,
    ) {
        match head.method {
            "echo" => {
                let value = json!({
                    "service": head.service, "deadline_ms": head.deadline_ms, "trace": head.trace,
                    "key": head.key, "idempotent": head.idempotent,
                    "positional": positional, "named": named,
                });
                give(&mut exchange, Status::Ok, Some(value)).await;
            }
            "who" => self.who(exchange).await,
            "stats" => give(&mut exchange, Status::Ok, Some(self.stats())).await,
            "first" => {
                let first = positional.and_then(|args| args.get(0).cloned());
                give(&mut exchange, Status::Ok, first).await;
            }
            "nothing" => give(&mut exchange, Status::Ok, None).await,
            "refused" => {
                give(&mut exchange, Status::Application, Some(json!({"code": 7}))).await;
            }
            "unsaid" => drop(exchange),
            "hold" => self.hold(exchange).await,
            "half" => self.half(exchange).await,
            "nonsense" => {
                _ = exchange.send_last(&[(FrameKind::Value, b"1")]).await;
            }
            "scripted" => self.scripted(exchange).await,
            _ => give(&mut exchange, Status::NotFound, None).await,
        }
    }

    /// What a host says of itself that has done nothing yet.
    fn stats(&self) -> Value {
        let nothing = json!({"in_flight": 0, "queued": 0});
        json!({
            "host": self.name, "version": "1.0.0", "uptime_ms": 1, "load": nothing,
            "concurrency": 8, "draining": false, "instances": 0, "memory_bytes": 0, "retired": 0,
            "services": [],
        })
    }

    async fn who(&self, mut exchange: Exchange) {
        let draining = self.draining.load(Ordering::SeqCst);
        let head = AnswerHead { draining, ..head(Status::Ok, Executed::Yes) };
        let (head, name) = (to_cbor(&head), json!(self.name).to_string());
        let frames = [(FrameKind::Head, head.as_slice()), (FrameKind::Value, name.as_bytes())];
        _ = exchange.send_last(&frames).await; // A caller that went away is a case of these tests.
    }

    async fn hold(&self, mut exchange: Exchange) {
        self.held.send_modify(|held| *held += 1);
        tokio::select! {
            permit = self.release.acquire() => {
                permit.expect("never closed").forget();
                give(&mut exchange, Status::Ok, Some(json!("released"))).await;
            }
            _ = exchange.cancelled() => self.cancelled.send_modify(|gone| *gone += 1),
        }
    }

    /// Begins an answer and leaves it there until the caller goes away.
    async fn half(&self, mut exchange: Exchange) {
        let head = AnswerHead { message: None, ..head(Status::Ok, Executed::Yes) };
        _ = exchange.send(&[(FrameKind::Head, &to_cbor(&head))]).await;
        exchange.cancelled().await;
    }

    async fn scripted(&self, mut exchange: Exchange) {
        let next = self.script.lock().expect("no panics under it").pop();
        let Some((status, executed, retry_after_ms)) = next else {
            return give(&mut exchange, Status::Ok, Some(json!(self.name))).await;
        };
        let head = AnswerHead { retry_after_ms, ..head(status, executed) };
        _ = exchange.send_last(&[(FrameKind::Head, &to_cbor(&head))]).await;
    }
}

async fn give(exchange: &mut Exchange, status: Status, value: Option<Value>) {
    let executed = if status == Status::NotFound { Executed::No } else { Executed::Yes };
    let (head, value) = (to_cbor(&head(status, executed)), value.map(|v| v.to_string()));
    let mut frames = vec![(FrameKind::Head, head.as_slice())];
    frames.extend(value.as_ref().map(|json| (FrameKind::Value, json.as_bytes())));
    _ = exchange.send_last(&frames).await; // A caller that went away is a case of these tests.
}

fn head(status: Status, executed: Executed) -> AnswerHead<'static> {
    AnswerHead {
        status,
        executed,
        message: (status != Status::Ok).then_some("as the test wants it"),
        generation: None,
        load: None,
        retry_after_ms: None,
        draining: false,
    }
}

/// Waits until a counter is at `count`, for as long as a loaded machine may need.
pub(crate) async fn reaches(counter: &watch::Sender<usize>, count: usize) {
    let mut counter = counter.subscribe();
    let reached = counter.wait_for(|now| *now >= count);
    tokio::time::timeout(PATIENCE, reached).await.expect("in time").expect("the host is there");
}

pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
