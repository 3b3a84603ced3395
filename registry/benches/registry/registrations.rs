//! Registrations per second, each a change, and how long one request takes.

use std::time::{Duration, Instant};

use jackfield_wire::registry::{Reply, Request};
use prost::Message;
use tokio::task::JoinSet;
use tonic::client::Grpc;
use tonic::transport::{Endpoint, Uri};
use tonic_prost::ProstCodec;

use crate::etcd::Cluster;
use crate::peer::Peer;
use crate::table::Table;
use crate::{HOUR, Settings, plan};

pub(crate) async fn measure(settings: &Settings, table: &mut Table) {
    let run = Duration::from_secs(if settings.quick { 2 } else { 10 });
    for (store, goal) in
        [("memory:", "≥ 50k/s batched"), ("registry.sqlite", "≥ 20k/s durable, p99 ≤ 30 ms")]
    {
        for batch in [1, 64] {
            row(table, store, batch, run, if batch == 1 { "" } else { goal }).await;
        }
    }
    let Some(cluster) = Cluster::start_synced(1, true) else { return };
    let etcd = format!("etcd:{}", cluster.addresses().join(","));
    for batch in [1, 64] {
        row(table, &etcd, batch, run, "").await;
    }
    let mut times = raw_puts(&cluster, run).await;
    show(table, "raw puts into the same etcd, 64 at a time", 1, run, &mut times, "");
}

async fn row(table: &mut Table, store: &str, batch: usize, run: Duration, goal: &str) {
    let (_dir, plan) = plan(store, HOUR);
    let serving = plan.start();
    let mut hosts = JoinSet::new();
    for n in 0..CONNECTIONS {
        let peer = Peer::connect(&plan.state(), &format!("h{n}"), serving.address).await;
        hosts.spawn(register(peer, batch, run));
    }
    let mut times = hosts.join_all().await.concat();
    let name = store.split([':', '.']).next().unwrap_or(store);
    let figure = format!("registrations, {name}, {CONNECTIONS} hosts, {batch} in a request");
    show(table, &figure, batch, run, &mut times, goal);
}

/// Another version every time: the same again would not be a change.
async fn register(peer: Peer, batch: usize, run: Duration) -> Vec<Duration> {
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < run {
        let version = times.len().to_string();
        let all = (0..batch).map(|n| peer.instance(&format!("s{n}"), &version)).collect();
        let asked = Instant::now();
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
