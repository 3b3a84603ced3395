//! Two front ends over one etcd cluster, one of which dies or stands still.

use std::time::Duration;

use jackfield_wire::registry::{Health, Request};
use tokio::runtime::Runtime;

use crate::child::Plan;
use crate::crash::list;
use crate::etcd::Cluster;
use crate::pause::Host;
use crate::{bounded, over, plan};

/// Of the hosts of a dead front end, those who come to the other stay, and the rest goes, once.
pub(crate) fn dead(runtime: &Runtime) {
    let Some(cluster) = Cluster::start(1) else { return };
    let (_dir, plan) = plan(&over(&cluster), TTL);
    bounded(runtime, async {
        let (dies, lives) = (plan.start(), plan.start());
        let (mut comes, mut goes) = (Host::new(&plan, "comes"), Host::new(&plan, "goes"));
        comes.beat(&[dies.address]).await;
        goes.beat(&[dies.address]).await;
        let before = caught_up(&plan, lives.address, 2).await;
        let third = plan.start();
        dies.kill();
        while list(&plan, lives.address).await.0.len() == 2 {
            comes.beat(&[lives.address, third.address]).await;
        }
        for front in [&lives, &third] {
            caught_up(&plan, front.address, 1).await;
            let (listed, after) = list(&plan, front.address).await;
            assert_eq!(listed[&comes.instance.id].health, Health::Healthy);
            // One came here, one was removed: by one of the two.
            assert_eq!(after, before + 2);
        }
    });
}

/// A front end stands still for longer than its lease; meanwhile its host has gone to the other, and
/// etcd has forgotten what it missed.
pub(crate) fn stopped(runtime: &Runtime) {
    let Some(cluster) = Cluster::start(1) else { return };
    let (_dir, plan) = plan(&over(&cluster), TTL);
    bounded(runtime, async {
        let (stands, lives) = (plan.start(), plan.start());
        let (mut moves, mut stays) = (Host::new(&plan, "moves"), Host::new(&plan, "stays"));
        moves.beat(&[stands.address]).await;
        stays.beat(&[lives.address]).await;
        let mut before = caught_up(&plan, lives.address, 2).await;
        for _ in 0..3 {
            stands.stop();
            // It has not answered: the host goes elsewhere.
            moves.give_up();
            while cluster.ctl(&["get", "--prefix", "--keys-only", FRONTS]).matches(FRONTS).count()
                > 1
            {
                moves.beat(&[lives.address]).await;
                stays.beat(&[lives.address]).await;
            }
            compact(&cluster);
            stands.go_on();
            for _ in 0..20 {
                moves.beat(&[lives.address]).await;
                stays.beat(&[lives.address]).await;
                let (listed, after) = list(&plan, lives.address).await;
                assert_eq!(listed.len(), 2, "a living host is gone");
                assert!(after >= before, "back from {before} to {after}");
                before = after;
            }
            let here = list(&plan, lives.address).await;
            // It knows what happened without it, and takes changes again.
            while list(&plan, stands.address).await.1 < here.1 {}
            let mut guest = Host::new(&plan, "guest");
            guest.beat(&[stands.address]).await;
            guest.leave().await;
            while list(&plan, lives.address).await.0.len() != 2 {
                moves.beat(&[lives.address]).await;
                stays.beat(&[lives.address]).await;
            }
        }
        // The other may hear of the guest's end before the one that wrote it has etcd's answer.
        let here = list(&plan, lives.address).await.1;
        while list(&plan, stands.address).await.1 < here {}
        let (listed, _) = list(&plan, stands.address).await;
        assert!(listed.values().all(|instance| instance.health == Health::Healthy), "{listed:?}");
    });
}

/// Until this front end shows so many; says its revision.
async fn caught_up(plan: &Plan, front: std::net::SocketAddr, count: usize) -> u64 {
    loop {
        let (listed, revision) = list(plan, front).await;
        if listed.len() == count {
            return revision;
        }
    }
}

/// Makes etcd forget all history.
fn compact(cluster: &Cluster) {
    let status = cluster.ctl(&["get", "none", "-w", "fields"]);
    let revision = status.lines().find_map(|line| line.strip_prefix("\"Revision\" : "));
    cluster.ctl(&["compact", revision.expect("a revision")]);
}

impl Host {
    /// Leaves its registry for good.
    async fn leave(&mut self) {
        let id = self.instance.id.clone();
        if let Some(peer) = self.peer.take() {
            let _answer = peer.ask(&Request::Deregister(vec![id])).await;
        }
    }

    /// Leaves its registry without a word.
    fn give_up(&mut self) {
        self.peer = None;
    }
}

const TTL: Duration = Duration::from_secs(4);
const FRONTS: &str = "jackfield/registry/front/";
