//! What every scenario needs: a folder, a host over it, and a caller that speaks the wire protocol.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jackfield_host::{CheckReport, Compiler, Host, HostConfig, HostEvent, HostFile, SpawnError};
use jackfield_transport::{
    Connection, Dialer, Exchange, Identity, Protocol, Role, StateDir, TransportLimits,
};
use jackfield_wire::{
    AnswerHead, CallHead, Executed, FrameKind, Generation, Load, Status, from_cbor, to_cbor,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::broadcast;

/// A host over a folder of its own, and a connection to it.
pub(crate) struct Rig {
    pub(crate) host: Host,
    pub(crate) events: broadcast::Receiver<HostEvent>,
    pub(crate) caller: Caller,
    pub(crate) place: Place,
}

/// The folders of a host.
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(root.path().join("plugins")).expect("a folder");
        Self { root }
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    pub(crate) fn state(&self) -> StateDir {
        StateDir::resolve(Some(&self.root.path().join("state"))).expect("a private directory")
    }

    pub(crate) fn identity(&self, role: Role, name: &str) -> Identity {
        Identity::local(&self.state(), role, name).expect("an identity")
    }

    /// Settings for few calls, so that many tests fit into one process.
    pub(crate) fn config(&self) -> HostConfig {
        let identity = self.identity(Role::Host, "host-under-test");
        let listen = ([127, 0, 0, 1], 0).into();
        let mut config = HostConfig::new(self.plugins(), listen, identity, self.state());
        config.limits.concurrency = 24;
        // Tests exchange plugins that have nothing to do with each other.
        config.accept_breaking_changes = true;
        config.limits.queue_time = PATIENCE;
        config
    }

    /// Puts a plugin in as people should: written elsewhere, renamed into place.
    pub(crate) fn put(&self, file: &str, bytes: impl AsRef<[u8]>) {
        let partial = self.plugins().join(format!(".{file}.partial"));
        std::fs::write(&partial, bytes).expect("the folder can be written");
        std::fs::rename(partial, self.path(file)).expect("a rename within the folder");
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.plugins().join(file)
    }

    /// What a host with these settings would say of a file, without one.
    pub(crate) async fn check(&self, file: &str, host: &HostFile) -> CheckReport {
        let path = self.path(file);
        Box::pin(jackfield_host::check(&path, host, Compiler::InProcess, &self.state())).await
    }
}

impl Rig {
    /// A host over these files.
    pub(crate) async fn with(files: &[(&str, Vec<u8>)]) -> Self {
        Self::tuned(files, |_| {}).await
    }

    /// The same, with settings of its own.
    pub(crate) async fn tuned(
        files: &[(&str, Vec<u8>)],
        tune: impl FnOnce(&mut HostConfig),
    ) -> Self {
        let place = Place::new();
        for (file, bytes) in files {
            place.put(file, bytes);
        }
        let mut config = place.config();
        tune(&mut config);
        Self::over(place, config).await.expect("the host starts")
    }

    pub(crate) async fn over(place: Place, config: HostConfig) -> Result<Self, SpawnError> {
        let host = Host::spawn(config).await?;
        let events = host.events();
        let caller = Caller::connect(&place, &host).await;
        host.settled().await;
        Ok(Self { host, events, caller, place })
    }

    /// Ends the host, lets `meanwhile` change its folder, and starts another one over it.
    pub(crate) async fn restart(self, meanwhile: impl FnOnce(&Place)) -> Self {
        let Self { host, place, .. } = self;
        host.shutdown(Duration::ZERO).await;
        meanwhile(&place);
        let config = place.config();
        Self::over(place, config).await.expect("the host starts again")
    }

    /// The same beside a plugin that behaves; see [`Self::is_unharmed`].
    pub(crate) async fn beside_neighbour(
        files: &[(&str, Vec<u8>)],
        tune: impl FnOnce(&mut HostConfig),
    ) -> Self {
        let files = [files, &[("neighbour.wasm", versioned(7))]].concat();
        Self::tuned(&files, tune).await
    }

    /// Nothing is left of what misbehaved, and the neighbour is served.
    pub(crate) async fn is_unharmed(&self) {
        assert_eq!(self.call("neighbour.version", serde_json::json!([])).await.ok(), 7);
        eventually("no call runs", async || self.host.load() == Load::default()).await;
        eventually("no store is left", async || self.host.stores() == 0).await;
    }

    pub(crate) async fn call(&self, target: &str, positional: Value) -> Answer {
        self.caller.call(target, positional).await
    }

    /// Waits for an event that `pick` takes.
    pub(crate) async fn event<T>(&mut self, pick: impl Fn(HostEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the host lives and is listened to");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the event comes")
    }

    /// Waits until a file is rejected; gives the reason.
    pub(crate) async fn rejection(&mut self) -> String {
        self.event(|event| match event {
            HostEvent::Rejected { reason, .. } => Some(reason),
            _ => None,
        })
        .await
    }

    /// Waits until a service has been replaced.
    pub(crate) async fn replaced(&mut self) -> (Generation, Generation) {
        self.event(|event| match event {
            HostEvent::Replaced { from, to, .. } => Some((from, to)),
            _ => None,
        })
        .await
    }

    pub(crate) fn generation(&self, service: &str) -> Option<Generation> {
        let services = self.host.services();
        services.iter().find(|info| info.service.as_str() == service).map(|info| info.generation)
    }
}

/// Somebody who calls.
#[derive(Clone)]
pub(crate) struct Caller {
    connection: Connection,
}

/// What came back of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) executed: Executed,
    pub(crate) message: String,
    pub(crate) generation: Option<Generation>,
    pub(crate) load: Option<Load>,
    pub(crate) retry_after_ms: Option<u32>,
    pub(crate) draining: bool,
    pub(crate) value: Option<Value>,
}

impl Answer {
    /// The value of a call that went well.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, Status::Ok, "{self:?}");
        self.value.unwrap_or(Value::Null)
    }

    /// Holds a failure against what is expected.
    #[track_caller]
    pub(crate) fn failed(&self, status: Status, executed: Executed, words: &[&str]) {
        assert_eq!((self.status, self.executed), (status, executed), "{self:?}");
        for word in words {
            assert!(self.message.contains(word), "{word:?} is not in {:?}", self.message);
        }
    }
}

impl Caller {
    pub(crate) async fn connect(place: &Place, host: &Host) -> Self {
        Self::named(place, host, "caller").await
    }

    /// Somebody else.
    pub(crate) async fn named(place: &Place, host: &Host, name: &str) -> Self {
        let identity = place.identity(Role::Client, name);
        let dialer =
            Dialer::new(&identity, Protocol::Call, TransportLimits::default()).expect("a dialer");
        let connection =
            dialer.dial(host.local_addr(), Role::Host).await.expect("the host answers");
        Self { connection }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) async fn call(&self, target: &str, positional: Value) -> Answer {
        self.send(target, &[(FrameKind::Positional, &positional)], None).await
    }

    pub(crate) async fn call_named(&self, target: &str, named: Value) -> Answer {
        self.send(target, &[(FrameKind::Named, &named)], None).await
    }

    pub(crate) async fn call_within(
        &self,
        target: &str,
        positional: Value,
        deadline: Duration,
    ) -> Answer {
        self.send(target, &[(FrameKind::Positional, &positional)], Some(deadline)).await
    }

    pub(crate) async fn send(
        &self,
        target: &str,
        arguments: &[(FrameKind, &Value)],
        deadline: Option<Duration>,
    ) -> Answer {
        let mut exchange = self.start(target, arguments, deadline).await;
        answer(&mut exchange).await
    }

    /// Sends a request and leaves its answer to come.
    pub(crate) async fn start(
        &self,
        target: &str,
        arguments: &[(FrameKind, &Value)],
        deadline: Option<Duration>,
    ) -> Exchange {
        let texts: Vec<_> =
            arguments.iter().map(|(kind, value)| (*kind, value.to_string())).collect();
        let frames: Vec<_> = texts.iter().map(|(kind, text)| (*kind, text.as_bytes())).collect();
        self.start_raw(target, &frames, deadline).await
    }

    pub(crate) async fn start_raw(
        &self,
        target: &str,
        arguments: &[(FrameKind, &[u8])],
        deadline: Option<Duration>,
    ) -> Exchange {
        let (service, method) = target.split_once('.').expect("SERVICE.METHOD");
        let deadline_ms = deadline.map(|d| u32::try_from(d.as_millis()).expect("short"));
        let head = to_cbor(&CallHead {
            service,
            method,
            deadline_ms,
            trace: None,
            key: None,
            idempotent: false,
            hops: 0,
        });
        let mut frames = vec![(FrameKind::Head, head.as_slice())];
        frames.extend_from_slice(arguments);
        let mut exchange = self.connection.open().await.expect("a stream");
        exchange.send_last(&frames).await.expect("the request is sent");
        exchange
    }
}

/// Reads an answer to its end.
pub(crate) async fn answer(exchange: &mut Exchange) -> Answer {
    let wait = async {
        let head = exchange.recv().await.expect("an answer").expect("a head");
        assert_eq!(head.kind, FrameKind::Head);
        let value = exchange.recv().await.expect("an end");
        let value = value.map(|frame| {
            assert_eq!(frame.kind, FrameKind::Value);
            serde_json::from_slice(&frame.payload).expect("JSON")
        });
        let head: AnswerHead<'_> = from_cbor(&head.payload).expect("CBOR");
        Answer {
            status: head.status,
            executed: head.executed,
            message: head.message.unwrap_or_default().to_owned(),
            generation: head.generation,
            load: head.load,
            retry_after_ms: head.retry_after_ms,
            draining: head.draining,
            value,
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("an answer comes")
}

/// Asks until it is so.
pub(crate) async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A component from WAT text.
pub(crate) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("valid WAT")
}

/// A component whose function `version` gives `number`.
pub(crate) fn versioned(number: u32) -> Vec<u8> {
    wat(&format!(
        r#"(component
            (core module $m (func (export "version") (result i32) (i32.const {number})))
            (core instance $i (instantiate $m))
            (func (export "version") (result u32) (canon lift (core func $i "version"))))"#
    ))
}

/// The bytes of an example plugin.
pub(crate) fn plugin(name: &str) -> Vec<u8> {
    let path: &Path = &jackfield_guests::plugin(name);
    std::fs::read(path).expect("the plugin was built")
}

pub(crate) use jackfield_guests::fixture;

/// Only a broken host takes this long, even on a machine that does ten other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
