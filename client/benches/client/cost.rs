//! What the client itself costs: a choice, and a call beyond the stream that it travels on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use jackfield_client::{Choices, Client, Draw, Picker, PickerKind};
use jackfield_transport::{
    Connection, Dialer, Exchange, Identity, Peer, Protocol, Role, Serve, Server, ServerConfig,
    StateDir, TransportLimits,
};
use jackfield_wire::registry::{Instance, Reply, Request, Revision, Snapshot, WatchEvent};
use jackfield_wire::{CallHead, FrameKind, ServiceName, from_cbor, to_cbor};
use tokio::task::JoinSet;

use crate::fleet::Fleet;
use crate::report::Report;
use crate::{Duration, Plan};

pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    for endpoints in [3, 100, 10_000] {
        choice(plan, endpoints, report).await;
    }
    call(plan, report).await;
}

/// A registry of one set.
struct Shelf(Vec<Instance>);

impl Serve for Shelf {
    type Session = ();
    fn connected(&self, _: &Peer) {}
    async fn exchange(&self, _: &Arc<()>, mut exchange: Exchange) {
        let Ok(Some(frame)) = exchange.recv().await else { return };
        let Ok(Request::Watch(_)) = from_cbor(&frame.payload) else { return };
        let revision = Revision { epoch: 1, number: 1 };
        let parts = self.0.chunks(500).collect::<Vec<_>>();
        for (n, part) in (1..).zip(&parts) {
            let (instances, last) = (part.to_vec(), n == parts.len());
            let part =
                Snapshot { revision, instances, last, authoritative: true, ..Snapshot::default() };
            let message = to_cbor(&Reply::Event(WatchEvent::Snapshot(part)));
            if exchange.send(&[(FrameKind::Message, &message)]).await.is_err() {
                return;
            }
        }
        exchange.cancelled().await;
    }
}

/// The picker alone; and `execute` with a closure that does nothing, which is all that a call does
/// beside its exchange.
async fn choice(plan: &Plan, endpoints: usize, report: &mut Report) {
    let home = tempfile::tempdir().unwrap();
    let state = StateDir::resolve(Some(&home.path().join("state"))).unwrap();
    let service = ServiceName::new("bench").unwrap();
    let shelf = Shelf(
        (0..endpoints)
            .map(|n| {
                let address = format!("127.{}.{}.1:4000", n / 250 + 1, n % 250 + 1);
                Instance::new(service.clone(), &format!("host-{n}"), address)
            })
            .collect(),
    );
    let config = ServerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        identity: Identity::local(&state, Role::Registry, "shelf").unwrap(),
        protocol: Protocol::Registry,
        limits: TransportLimits::default(),
    };
    let server = Server::spawn(config, Arc::new(shelf)).unwrap();
    for picker in [PickerKind::RoundRobin, PickerKind::LeastLoaded, PickerKind::PeakEwma] {
        let builder = Client::builder().registry(server.local_addr().to_string());
        let builder = builder.identity(Identity::local(&state, Role::Client, "bench").unwrap());
        let timed = Arc::new(Timed(AtomicU64::new(0), picker.picker(1)));
        let client = builder.clone().picker(timed.clone()).build().await.unwrap();
        listed(&client, endpoints).await;
        once(&client).await;
        client.close().await;
        let client = builder.picker(picker).build().await.unwrap();
        listed(&client, endpoints).await;
        let time = plan.for_secs(2, 1);
        once(&client).await;
        let (start, mut made) = (Instant::now(), 0_u32);
        while start.elapsed() < time {
            for _ in 0..100 {
                once(&client).await;
            }
            made += 100;
        }
        let each = start.elapsed().as_secs_f64() * 1e9 / f64::from(made);
        let pick = timed.0.load(Ordering::Relaxed);
        let goal = if endpoints == 100 { "≤ 1 µs" } else { "stated" };
        let what = format!("a pick among {endpoints}, {picker}");
        report.add("cost", what, format!("{pick} ns"), goal);
        let what = format!("an empty execute among {endpoints}, {picker}");
        report.add("cost", what, format!("{each:.0} ns"), "");
        client.close().await;
    }
}

async fn listed(client: &Client, endpoints: usize) {
    while client.instances().len() < endpoints {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Measures another picker: nanoseconds of one pick, over many.
#[derive(Debug)]
struct Timed(AtomicU64, Arc<dyn Picker>);

impl Picker for Timed {
    fn pick(&self, choices: &Choices, draw: &Draw<'_>) -> usize {
        let (start, mut draw, mut picked) = (Instant::now(), *draw, 0);
        for _ in 0..PICKS {
            draw.entropy = draw.entropy.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            picked ^= std::hint::black_box(self.1.pick(choices, &draw));
        }
        let each = start.elapsed().as_nanos() / u128::from(PICKS);
        self.0.store(u64::try_from(each).unwrap(), Ordering::Relaxed);
        picked
    }
}

/// Picks of one measurement: a few milliseconds of them.
const PICKS: u32 = 100_000;

async fn once(client: &Client) {
    client.execute("bench", async |_| Ok(())).await.unwrap();
}

/// Processor time of this process for a call, and for the same bytes over a stream without a client.
async fn call(plan: &Plan, report: &mut Report) {
    let fleet = Fleet::start(1).await;
    let client = fleet.client(|builder| builder).await;
    let time = plan.for_secs(8, 2);
    let raw = raw_connection(&fleet).await;
    let head = to_cbor(&CallHead {
        service: "bench",
        method: "run",
        deadline_ms: Some(10_000),
        trace: None,
        key: None,
        idempotent: false,
        hops: 0,
    });
    let streams = measure(time, move || {
        let (raw, head) = (raw.clone(), head.clone());
        async move {
            let mut exchange = raw.open().await.unwrap();
            let frames = [(FrameKind::Head, &head[..]), (FrameKind::Positional, b"[0]".as_slice())];
            exchange.send_last(&frames).await.unwrap();
            while exchange.recv().await.unwrap().is_some() {}
        }
    })
    .await;
    let caller = client.clone();
    let calls = measure(time, move || {
        let client = caller.clone();
        async move {
            let request = client.request("bench.run").unwrap().positional_json("[0]");
            request.send().await.unwrap();
        }
    })
    .await;
    let tell = |(cpu, rate): (f64, f64)| format!("{cpu:.1} µs of processor, {rate:.0}/s");
    report.add("cost", "a raw stream, 64 at a time", tell(streams), "");
    report.add("cost", "a call, 64 at a time", tell(calls), "");
    report.add(
        "cost",
        "a call beyond the raw stream",
        format!("{:.1} µs", calls.0 - streams.0),
        "stated",
    );
    client.close().await;
}

async fn raw_connection(fleet: &Fleet) -> Connection {
    let identity = fleet.identity();
    let dialer = Dialer::new(&identity, Protocol::Call, TransportLimits::default()).unwrap();
    dialer.dial(fleet.hosts[0].address, Role::Host).await.unwrap()
}

/// 64 loops of one after the other: microseconds of processor time for each, and how many a second.
async fn measure<F: Future<Output = ()> + Send + 'static>(
    time: Duration,
    one: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> (f64, f64) {
    let (before, start) = (processor_time(), Instant::now());
    let mut loops = JoinSet::new();
    for _ in 0..64 {
        let one = one.clone();
        loops.spawn(async move {
            let mut made = 0_u64;
            while start.elapsed() < time {
                one().await;
                made += 1;
            }
            made
        });
    }
    let made: u64 = loops.join_all().await.into_iter().sum();
    let (used, took) = (processor_time() - before, start.elapsed());
    (used.as_secs_f64() * 1e6 / made as f64, made as f64 / took.as_secs_f64())
}

/// Of this process so far, in steps of 10 ms: fields 14 and 15 of its line, in hundredths.
fn processor_time() -> Duration {
    let line = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = line.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
