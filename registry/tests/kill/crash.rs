//! What a registry acknowledged is there after it was killed, and what it let go does not come back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{self, Arc};
use std::time::{Duration, Instant};

use jackfield_wire::InstanceId;
use jackfield_wire::registry::{Health, Instance, ListQuery, Reply, Request};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Interval, interval};

use crate::child::Plan;
use crate::peer::Peer;

/// Kills a registry under 200 writes a second, so many times; says how long each took to serve again.
pub(crate) async fn survive(plan: &Plan, kills: u32) -> Vec<Duration> {
    let known = Known::default();
    let mut last = None;
    let mut pauses = Vec::new();
    for round in 0..kills {
        let began = Instant::now();
        let serving = plan.start();
        let address = serving.address;
        let (listed, revision) = list(plan, address).await;
        pauses.push(began.elapsed());
        known.check(&listed);
        assert!(last <= Some(revision), "revision {revision:?} after {last:?}");
        let enough = Arc::new(Semaphore::new(0));
        let pace = Arc::new(Mutex::new(interval(Duration::from_secs(1) / WRITES_PER_SECOND)));
        let mut hosts = JoinSet::new();
        for host in 0..HOSTS {
            // What was taken back counts for its host, too, until a TTL has passed.
            let name = format!("h{host}-{}", round / ROUNDS_OF_A_HOST);
            let peer = Peer::connect(&plan.state(), &name, address).await;
            let pace = Arc::clone(&pace);
            hosts.spawn(load(peer, round, known.clone(), (pace, Arc::clone(&enough))));
        }
        // Another number every time, so that kills fall on different moments.
        let acknowledged = enough.acquire_many(40 + 7 * (round % 30)).await;
        drop(acknowledged.expect("never closed"));
        serving.kill();
        hosts.join_all().await;
        last = Some(revision);
    }
    let serving = plan.start();
    known.check(&list(plan, serving.address).await.0);
    assert!(known.registered() > usize::try_from(kills).expect("small") * 20);
    pauses
}

/// Registers one service after another, and takes every third back, until the registry is gone.
async fn load(peer: Peer, round: u32, known: Known, (pace, enough): (Pace, Arc<Semaphore>)) {
    for n in 0.. {
        pace.lock().await.tick().await;
        let instance = peer.instance(&format!("s{round}-{n}"), "1");
        let id = instance.id.clone();
        match peer.ask(&Request::Register(vec![instance.clone()])).await {
            Some(Reply::Registered(_)) => known.set(&id, Fate::Registered(Box::new(instance))),
            Some(other) => panic!("not registered: {other:?}"),
            None => return,
        }
        enough.add_permits(1);
        if n % 3 == 0 {
            known.set(&id, Fate::Unknown);
            pace.lock().await.tick().await;
            match peer.ask(&Request::Deregister(vec![id.clone()])).await {
                Some(Reply::Deregistered(1)) => known.set(&id, Fate::Gone),
                Some(other) => panic!("not deregistered: {other:?}"),
                None => return,
            }
        }
    }
}

/// What became of each instance, as its host was told.
#[derive(Clone, Debug)]
enum Fate {
    Registered(Box<Instance>),
    Gone,
    /// Asked for, and no answer came.
    Unknown,
}

#[derive(Clone, Debug, Default)]
struct Known(Arc<sync::Mutex<BTreeMap<InstanceId, Fate>>>);

impl Known {
    fn set(&self, id: &InstanceId, fate: Fate) {
        self.0.lock().expect("no panic").insert(id.clone(), fate);
    }

    fn registered(&self) -> usize {
        let known = self.0.lock().expect("no panic");
        known.values().filter(|fate| matches!(fate, Fate::Registered(_))).count()
    }

    fn check(&self, listed: &BTreeMap<InstanceId, Instance>) {
        for (id, fate) in self.0.lock().expect("no panic").iter() {
            let found = listed.get(id);
            match fate {
                Fate::Registered(instance) => {
                    let found =
                        found.unwrap_or_else(|| panic!("{id} was acknowledged and is lost"));
                    // A host whose connection broke is suspect, if the registry lived to see it.
                    let expected = Instance { health: found.health, ..(**instance).clone() };
                    assert!(*found == expected && found.health != Health::Draining, "{found:?}");
                }
                Fate::Gone => {
                    let health = found.map(|instance| instance.health);
                    assert!(matches!(health, None | Some(Health::Draining)), "{id} is back");
                }
                Fate::Unknown => {}
            }
        }
    }
}

/// Everything, and the revision that shows it.
pub(crate) async fn list(
    plan: &Plan,
    address: SocketAddr,
) -> (BTreeMap<InstanceId, Instance>, u64) {
    let peer = Peer::connect(&plan.state(), "lister", address).await;
    let mut query = ListQuery { all: true, ..ListQuery::default() };
    let mut listed = BTreeMap::new();
    loop {
        let Some(Reply::Listed(part)) = peer.ask(&Request::List(query.clone())).await else {
            panic!("no list")
        };
        query.after = part.instances.last().map(|instance| instance.id.clone());
        listed.extend(part.instances.into_iter().map(|i| (i.id.clone(), i)));
        if !part.more {
            return (listed, part.revision.number);
        }
    }
}

/// When the next write of all hosts may be.
type Pace = Arc<Mutex<Interval>>;

const HOSTS: u32 = 8;
/// Of all hosts together.
const WRITES_PER_SECOND: u32 = 200;
/// One identity may have 10,000 instances, and a round registers some twenty of each.
const ROUNDS_OF_A_HOST: u32 = 250;
