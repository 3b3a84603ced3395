//! Registrations per second, each a change, and how long one request takes.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use jackfield_wire::registry::{Reply, Request};
use prost::Message;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tonic::client::Grpc;
use tonic::transport::{Endpoint, Uri};
use tonic_prost::ProstCodec;

use crate::etcd::Cluster;
use crate::peer::Peer;
use crate::table::Table;
use crate::{HOUR, Settings, plan};

pub(crate) async fn measure(settings: &Settings, table: &mut Table) {
    let run = Duration::from_secs(if settings.quick { 2 } else { 10 });
    for (store, goal) in [("memory:", "≥ 50k/s batched"), ("registry.sqlite", "≥ 20k/s durable")]
    {
        for batch in [1, 64] {
            let load = Load { batch, run, rate: None };
            row(table, store, load, if batch == 1 { "" } else { goal }).await;
        }
    }
    let load = Load { batch: 64, run, rate: Some(DURABLE) };
    row(table, "registry.sqlite", load, "p99 ≤ 30 ms").await;
    let mut times = raw_syncs(run);
    show(table, "raw writes of 128 KiB, each synced to the same disk", 1, run, &mut times, "");
    let Some(cluster) = Cluster::start_synced(1, true) else { return };
    let etcd = format!("etcd:{}", cluster.addresses().join(","));
    for batch in [1, 64] {
        row(table, &etcd, Load { batch, run, rate: None }, "").await;
    }
    let mut times = raw_puts(&cluster, run).await;
    show(table, "raw puts into the same etcd, 64 at a time", 1, run, &mut times, "");
}

/// What all hosts ask together.
#[derive(Clone, Copy)]
struct Load {
    /// Instances in a request.
    batch: usize,
    run: Duration,
    /// Instances a second; as many as are taken, with one request of each host at a time, where
    /// there is none.
    rate: Option<usize>,
}

async fn row(table: &mut Table, store: &str, load: Load, goal: &str) {
    let Load { batch, run, rate } = load;
    let (_dir, plan) = plan(store, HOUR);
    let serving = plan.start();
    let mut hosts = JoinSet::new();
    for n in 0..CONNECTIONS {
        let peer = Peer::connect(&plan.state(), &format!("h{n}"), serving.address).await;
        hosts.spawn(register(peer, n, load));
    }
    let mut times = hosts.join_all().await.concat();
    let name = match store.split_once(':') {
        Some((kind, _)) => kind,
        None => "SQLite",
    };
    let pace = rate.map_or("as many as go".into(), |rate| format!("{rate}/s asked"));
    let figure =
        format!("registrations, {name}, {CONNECTIONS} hosts, {batch} in a request, {pace}");
    show(table, &figure, batch, run, &mut times, goal);
}

/// Another version every time: the same again would not be a change. Where there is a pace, times
/// count from when a request was due, so that one which comes late because an earlier one took long
/// is not forgiven.
async fn register(peer: Peer, n: usize, Load { batch, run, rate }: Load) -> Vec<Duration> {
    let every =
        rate.map(|rate| Duration::from_secs(1) * (batch * CONNECTIONS) as u32 / rate as u32);
    let mut times = Vec::new();
    let start = Instant::now();
    let mut due = start + every.unwrap_or_default() * n as u32 / CONNECTIONS as u32;
    while start.elapsed() < run && due < start + run {
        let version = times.len().to_string();
        let all = (0..batch).map(|n| peer.instance(&format!("s{n}"), &version)).collect();
        let asked = match every {
            Some(every) => {
                sleep_until(due.into()).await;
                due += every;
                due - every
            }
            None => Instant::now(),
        };
        let reply = peer.ask(&Request::Register(all)).await;
        assert!(matches!(reply, Some(Reply::Registered(_))), "{reply:?}");
        times.push(asked.elapsed());
    }
    times
}

fn show(
    table: &mut Table,
    figure: &str,
    batch: usize,
    run: Duration,
    times: &mut [Duration],
    goal: &str,
) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let rate = (times.len() * batch) as f64 / run.as_secs_f64();
    let measured = format!("{rate:.0}/s, p50 {:.1?}, p99 {:.1?}", at(50), at(99));
    table.row(figure, &measured, goal);
}

/// What the disk can do without a registry before it: about what 512 instances take.
fn raw_syncs(run: Duration) -> Vec<Duration> {
    let dir = tempfile::tempdir().expect("a folder");
    let mut file = File::create(dir.path().join("raw")).expect("a file");
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < run {
        let asked = Instant::now();
        file.write_all(&[7; 128 << 10]).expect("room");
        file.sync_data().expect("a disk");
        times.push(asked.elapsed());
    }
    times
}

#[derive(Clone, PartialEq, Message)]
struct Put {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Done {}

/// What the cluster can do without a registry before it: values of an instance's size.
async fn raw_puts(cluster: &Cluster, run: Duration) -> Vec<Duration> {
    let address = format!("http://{}", cluster.addresses()[0]);
    let channel = Endpoint::from_shared(address).expect("an address").connect().await;
    let channel = channel.expect("a connection");
    let mut tasks = JoinSet::new();
    for n in 0..CONNECTIONS {
        let mut grpc = Grpc::new(channel.clone());
        tasks.spawn(async move {
            let (start, mut times) = (Instant::now(), Vec::new());
            while start.elapsed() < run {
                let put = Put { key: format!("raw/{n}").into_bytes(), value: vec![7; 256] };
                let asked = Instant::now();
                grpc.ready().await.expect("it is there");
                let path = Uri::from_static("/etcdserverpb.KV/Put").into_parts().path_and_query;
                let codec = ProstCodec::<Put, Done>::default();
                let done = grpc.unary(tonic::Request::new(put), path.expect("a path"), codec).await;
                done.expect("it is kept");
                times.push(asked.elapsed());
            }
            times
        });
    }
    tasks.join_all().await.concat()
}

const CONNECTIONS: usize = 64;
/// Registrations a second that are to be durable soon.
const DURABLE: usize = 20_000;
