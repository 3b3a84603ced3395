//! Watchers: what an idle one takes, how soon all know of a change, and how many bytes that is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_transport::{
    Connection, Dialer, Exchange, Identity, Protocol, Role, TransportLimits,
};
use jackfield_wire::registry::{Reply, Request, WatchEvent, WatchQuery};
use jackfield_wire::{FrameKind, from_cbor, to_cbor};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::child::Plan;
use crate::peer::Peer;
use crate::table::Table;
use crate::{HOUR, Settings, memory, plan, process};

pub(crate) async fn measure(settings: &Settings, table: &mut Table) {
    let watchers = settings.scaled(1000);
    let (_dir, plan) = plan("memory:", HOUR);
    let serving = plan.start();
    let host = Peer::connect(&plan.state(), "host", serving.address).await;
    let before = process::rss(serving.pid());
    let mut open = Vec::new();
    for _ in 0..watchers {
        open.push(Watching::start(&plan, serving.address).await);
    }
    let each = (process::rss(serving.pid()) - before) / watchers as u64;
    let figure = format!("memory per idle watcher on a connection of its own, {watchers} of them");
    table.row(&figure, &format!("{:.1} KB", each as f64 / 1e3), "< 40 KB");

    let (seen, mut sightings) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for mut watching in open {
        let seen = seen.clone();
        tasks.spawn(async move {
            loop {
                watching.next_change().await;
                if seen.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
    }
    let (mut all, mut last) = (Vec::new(), Vec::new());
    for n in 0..CHANGES {
        let began = Instant::now();
        let changed = vec![host.instance("calc", &n.to_string())];
        host.ask(&Request::Register(changed)).await.expect("an answer");
        for _ in 0..watchers {
            all.push(sightings.recv().await.expect("they watch").duration_since(began));
        }
        last.push(*all.last().expect("there was one"));
    }
    all.sort_unstable();
    last.sort_unstable();
    let at = |share: usize| all[(all.len() - 1) * share / 100];
    let measured =
        format!("p50 {:.1?}, p99 {:.1?}, last {:.1?}", at(50), at(99), last[last.len() / 2]);
    let figure = format!("change → {watchers} watchers, {CHANGES} changes");
    table.row(&figure, &measured, "p99 ≤ 50 ms");
}

pub(crate) async fn bytes(settings: &Settings, table: &mut Table) {
    let instances = settings.scaled(20_000);
    let (_dir, plan) = plan("memory:", HOUR);
    let serving = plan.start();
    let mut peers = Vec::new();
    // One identity may have no more than 10,000 here.
    for n in 0..instances.div_ceil(OF_HOST) {
        let peer = Peer::connect(&plan.state(), &format!("host-{n}"), serving.address).await;
        memory::fill(&peer, 0, OF_HOST.min(instances)).await;
        peers.push(peer);
    }
    let mut watching = Watching::start(&plan, serving.address).await;
    assert_eq!(watching.known, instances, "all of them, of one service");
    let mut changed = memory::sized(&peers[0], 7);
    changed.version = Some("1.0.1".into());
    peers[0].ask(&Request::Register(vec![changed])).await.expect("an answer");
    let bytes = watching.next_change().await;
    let figure =
        format!("bytes to a watcher for one change among {instances} of 256 bytes in one service");
    table.row(&figure, &format!("{bytes} B"), "≤ 300 B");
}

/// A watch on a connection of its own.
pub(crate) struct Watching {
    exchange: Exchange,
    /// Instances that the set had.
    known: usize,
    _connection: Connection,
    _dialer: Dialer,
}

impl Watching {
    /// Begins a watch of everything, and reads the whole set.
    pub(crate) async fn start(plan: &Plan, registry: SocketAddr) -> Self {
        let identity = Identity::local(&plan.state(), Role::Client, "client").expect("identity");
        let limits = TransportLimits::default();
        let dialer = Dialer::new(&identity, Protocol::Registry, limits).expect("a dialler");
        let connection = dialer.dial(registry, Role::Registry).await.expect("a registry");
        let mut exchange = connection.open().await.expect("a stream");
        let request = to_cbor(&Request::Watch(WatchQuery::default()));
        exchange.send_last(&[(FrameKind::Message, &request)]).await.expect("sent");
        let mut watching = Self { exchange, known: 0, _connection: connection, _dialer: dialer };
        while let (WatchEvent::Snapshot(part), _) = watching.next().await {
            watching.known += part.instances.len();
            if part.last {
                return watching;
            }
        }
        panic!("a watch begins with the set")
    }

    /// Waits for a change; says how many bytes told it.
    async fn next_change(&mut self) -> usize {
        loop {
            match self.next().await {
                (WatchEvent::Delta(delta), bytes) if !delta.upserted.is_empty() => return bytes,
                _ => {}
            }
        }
    }

    async fn next(&mut self) -> (WatchEvent, usize) {
        let patience = Duration::from_secs(60);
        let frame = tokio::time::timeout(patience, self.exchange.recv()).await;
        let frame = frame.expect("something within a minute").expect("a frame").expect("no end");
        match from_cbor(&frame.payload).expect("a reply") {
            Reply::Event(event) => (event, frame.payload.len()),
            other => panic!("a watch brings events: {other:?}"),
        }
    }
}

const CHANGES: usize = 50;
const OF_HOST: usize = 5_000;
