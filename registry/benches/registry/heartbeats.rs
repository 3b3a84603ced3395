//! Heartbeats of very many instances: nobody may expire who lives.

use std::time::{Duration, Instant};

use jackfield_wire::registry::{Reply, Request};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::crash::list;
use crate::peer::Peer;
use crate::process;
use crate::table::Table;
use crate::{Settings, plan};

pub(crate) async fn measure(settings: &Settings, table: &mut Table) {
    let hosts = settings.scaled(100_000) / OF_HOST;
    let run = Duration::from_secs(settings.seconds);
    let (_dir, plan) = plan("memory:", TTL);
    let serving = plan.start();
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for n in 0..hosts {
        let peer = Peer::connect(&plan.state(), &format!("h{n}"), serving.address).await;
        let all = (0..OF_HOST).map(|n| peer.instance(&format!("s{n}"), "1")).collect();
        let reply = peer.ask(&Request::Register(all)).await;
        assert!(matches!(reply, Some(Reply::Registered(_))), "{reply:?}");
        tasks.spawn(beat(peer, start + run));
    }
    let (_, before) = list(&plan, serving.address).await;
    let (cpu, began) = (process::cpu(serving.pid()), Instant::now());
    // Their connections stay: a lost one would make its instances suspect, which is a revision.
    let (_peers, sent): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().unzip();
    let sent: usize = sent.iter().sum();
    let (listed, after) = list(&plan, serving.address).await;
    let share = (process::cpu(serving.pid()) - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    let rate = (sent * OF_HOST) as f64 / began.elapsed().as_secs_f64();
    // Each expiry, and each registration that followed one, is a revision.
    let lost = (hosts * OF_HOST - listed.len()) as u64 + (after - before);
    let instances = hosts * OF_HOST;
    let figure = format!("{instances} instances of {hosts} hosts, TTL 10 s, {run:.0?}");
    let measured = format!("{lost} expired, {rate:.0} renewed/s, {:.0}% of a core", share * 100.0);
    table.row(&figure, &measured, "0 expired");
}

async fn beat(peer: Peer, until: Instant) -> (Peer, usize) {
    let ids: Vec<_> = (0..OF_HOST).map(|n| peer.instance(&format!("s{n}"), "1").id).collect();
    let (mut next, mut sent) = (Instant::now(), 0);
    while next < until {
        sleep_until(next.into()).await;
        next += INTERVAL;
        match peer.ask(&Request::Heartbeat(ids.clone())).await {
            Some(Reply::Alive(unknown)) => assert!(unknown.is_empty(), "{unknown:?} expired"),
            other => panic!("no heartbeat: {other:?}"),
        }
        sent += 1;
    }
    (peer, sent)
}

const TTL: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(3);
/// As many as one identity may hold by default.
const OF_HOST: usize = 250;
