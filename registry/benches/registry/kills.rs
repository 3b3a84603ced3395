//! Registries that are killed under load: what was lost, and how soon they serve again.

use jackfield_wire::registry::{Reply, Request};

use crate::child::Plan;
use crate::crash;
use crate::etcd::Cluster;
use crate::peer::Peer;
use crate::table::Table;
use crate::{HOUR, Settings, plan};

pub(crate) async fn measure(settings: &Settings, table: &mut Table) {
    let (_dir, sqlite) = plan("registry.sqlite", HOUR);
    row(settings, table, "sqlite", &sqlite).await;
    let Some(cluster) = Cluster::start_synced(1, true) else { return };
    let store = format!("etcd:{}", cluster.addresses().join(","));
    let (_dir, etcd) = plan(&store, HOUR);
    row(settings, table, "etcd", &etcd).await;
}

async fn row(settings: &Settings, table: &mut Table, name: &str, plan: &Plan) {
    let instances = settings.scaled(10_000);
    fill(plan, instances).await;
    // Ends this program when one acknowledged registration is lost, or a deregistered one is back.
    let mut pauses = crash::survive(plan, settings.kills).await;
    pauses.sort_unstable();
    let at = |share: usize| pauses[(pauses.len() - 1) * share / 100];
    let figure = format!(
        "kill -9 × {} under 200 writes/s of 8 hosts, {name}, {instances} instances and more",
        settings.kills
    );
    let measured = format!("0 lost, 0 back; all listed after {:.0?}, p99 {:.0?}", at(50), at(99));
    table.row(&figure, &measured, "0 lost, 0 back; ≤ 1 s");
}

async fn fill(plan: &Plan, instances: usize) {
    let serving = plan.start();
    for n in 0..instances.div_ceil(OF_HOST) {
        let peer = Peer::connect(&plan.state(), &format!("p{n}"), serving.address).await;
        let all = (0..OF_HOST).map(|n| peer.instance(&format!("s{n}"), "1")).collect();
        let reply = peer.ask(&Request::Register(all)).await;
        assert!(matches!(reply, Some(Reply::Registered(_))), "{reply:?}");
    }
    serving.kill();
}

const OF_HOST: usize = 250;
