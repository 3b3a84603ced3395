//! The host process: answers every call after a while, writes down which, and registers.
//!
//! It reads orders from stdin, a line each: `register ADDRESS REGISTRY`, `delay MICROSECONDS`,
//! `fail on`, `fail off`, `drain`. It ends with stdin, or by `drain`, politely.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use jackfield_transport::{
    Connection, Dialer, Exchange, Identity, Peer, Protocol, Role, Serve, Server, ServerConfig,
    StateDir, TransportLimits,
};
use jackfield_wire::registry::{Instance, MethodSummary, Reply, Request};
use jackfield_wire::{
    AnswerHead, Executed, FrameKind, Load, ServiceName, Status, from_cbor, to_cbor,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What the process does.
struct Desk {
    delay_us: AtomicU64,
    failing: AtomicBool,
    draining: AtomicBool,
    in_flight: AtomicU32,
    arrivals: AtomicU64,
    /// Eight bytes for each call that was executed; what was written survives a kill.
    executed: File,
}

/// `serve STATE NAME FOLDER [PORT]`
pub(crate) fn run(args: impl Iterator<Item = String>) {
    let args: Vec<_> = args.collect();
    let [state, name, folder, port] = &args[..] else { panic!("serve STATE NAME FOLDER PORT") };
    let path = PathBuf::from(folder).join(format!("{name}.executed"));
    let executed = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let desk = Arc::new(Desk {
        delay_us: AtomicU64::new(0),
        failing: AtomicBool::new(false),
        draining: AtomicBool::new(false),
        in_flight: AtomicU32::new(0),
        arrivals: AtomicU64::new(0),
        executed,
    });
    let state = StateDir::resolve(Some(state.as_ref())).unwrap();
    let identity = Identity::local(&state, Role::Host, name).unwrap();
    let listen = format!("127.0.0.1:{port}").parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let limits = TransportLimits::default();
        let config =
            ServerConfig { listen, identity: identity.clone(), protocol: Protocol::Call, limits };
        let server = Server::spawn(config, desk.clone()).unwrap();
        println!("listening on {}", server.local_addr());
        obey(&identity, &desk, &server).await;
    });
}

async fn obey(identity: &Identity, desk: &Arc<Desk>, server: &Server) {
    let mut orders = orders();
    let mut registration = None;
    let mut tasks = JoinSet::new();
    while let Some(order) = orders.recv().await {
        let words: Vec<_> = order.split(' ').collect();
        match words[..] {
            ["delay", us] => desk.delay_us.store(us.parse().unwrap(), Ordering::Relaxed),
            ["fail", on] => desk.failing.store(on == "on", Ordering::Relaxed),
            ["register", address, registry] => {
                let (stop, stopped) = tokio::sync::oneshot::channel();
                registration = Some(stop);
                let instance = instance(identity.id().name(), address);
                tasks.spawn(register(identity.clone(), instance, registry.to_owned(), stopped));
            }
            ["drain"] => {
                desk.draining.store(true, Ordering::Relaxed);
                drop(registration.take());
                tasks.join_all().await;
                desk.lull().await;
                server.shutdown(Duration::from_secs(10)).await;
                return;
            }
            _ => panic!("no order: {order}"),
        }
    }
}

/// The lines of stdin, read beside the runtime.
fn orders() -> mpsc::UnboundedReceiver<String> {
    let (order, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        // Nobody takes orders any more once the process ends.
        lines.for_each(|line| _ = order.send(line));
    });
    orders
}

fn instance(name: &str, address: &str) -> Instance {
    let service = ServiceName::new("bench").unwrap();
    let methods =
        vec![MethodSummary { name: "run".into(), wit: "run: func(id: u64) -> u64".into() }];
    Instance { methods, ..Instance::new(service, name, address) }
}

/// Registers and keeps the lease, at whatever registry is at the address, until told to stop.
async fn register(
    identity: Identity,
    instance: Instance,
    registry: String,
    mut stop: tokio::sync::oneshot::Receiver<()>,
) {
    let dialer = Dialer::new(&identity, Protocol::Registry, TransportLimits::default()).unwrap();
    let address = registry.parse().unwrap();
    loop {
        let kept = async {
            if let Ok(connection) = dialer.dial(address, Role::Registry).await {
                keep(&connection, &instance).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        tokio::select! {
            () = kept => {}
            _ = &mut stop => break,
        }
    }
    // A registry that is away finds out by itself.
    if let Ok(Ok(connection)) =
        tokio::time::timeout(Duration::from_secs(1), dialer.dial(address, Role::Registry)).await
    {
        ask(&connection, &Request::Deregister(vec![instance.id])).await;
    }
    dialer.shutdown().await;
}

async fn keep(connection: &Connection, instance: &Instance) {
    let Some(Reply::Registered(terms)) =
        ask(connection, &Request::Register(vec![instance.clone()])).await
    else {
        return;
    };
    loop {
        tokio::time::sleep(Duration::from_millis(terms.heartbeat_ms.into())).await;
        match ask(connection, &Request::Heartbeat(vec![instance.id.clone()])).await {
            Some(Reply::Alive(unknown)) if unknown.is_empty() => {}
            _ => return,
        }
    }
}

async fn ask(connection: &Connection, request: &Request) -> Option<Reply> {
    let mut exchange = connection.open().await.ok()?;
    exchange.send_last(&[(FrameKind::Message, &to_cbor(request))]).await.ok()?;
    from_cbor(&exchange.recv().await.ok()??.payload).ok()
}

impl Serve for Desk {
    type Session = ();

    fn connected(&self, _: &Peer) {}

    async fn exchange(&self, _: &Arc<()>, exchange: Exchange) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.answer(exchange).await;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Desk {
    async fn answer(&self, mut exchange: Exchange) {
        let mut id = None;
        loop {
            match exchange.recv().await {
                Ok(Some(frame)) if frame.kind == FrameKind::Positional => {
                    id = number(&frame.payload)
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        let failing = self.failing.load(Ordering::Relaxed);
        if !failing && let Some(id) = id {
            (&self.executed).write_all(&id.to_le_bytes()).unwrap();
        }
        let delay = self.delay_us.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_micros(delay)).await;
        }
        let (status, executed) =
            if failing { (Status::Unavailable, Executed::No) } else { (Status::Ok, Executed::Yes) };
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let head = to_cbor(&AnswerHead {
            status,
            executed,
            message: failing.then_some("it fails, as it was told"),
            generation: None,
            load: Some(Load { in_flight, queued: 0 }),
            retry_after_ms: None,
            draining: self.draining.load(Ordering::Relaxed),
        });
        let value = id.unwrap_or_default().to_string();
        let frames = [(FrameKind::Head, &head[..]), (FrameKind::Value, value.as_bytes())];
        // A caller that went away is a case of these figures.
        _ = exchange.send_last(if failing { &frames[..1] } else { &frames }).await;
    }

    /// As a real host: until no call has come for a moment.
    async fn lull(&self) {
        let mut before = u64::MAX;
        for _ in 0..13 {
            let now = self.arrivals.load(Ordering::Relaxed);
            if now == before {
                return;
            }
            before = now;
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
}

/// The one number in an array.
fn number(json: &[u8]) -> Option<u64> {
    std::str::from_utf8(json).ok()?.trim_matches(['[', ']']).parse().ok()
}
