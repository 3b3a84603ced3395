//! A registry that is killed under load, again and again: what it acknowledged is there afterwards.
//!
//! This program starts itself as the registry (`serve DIR`), so that there is a process to kill
//! without any warning. It is not run by the test harness, whose processes cannot be that.

#![expect(clippy::print_stdout, reason = "the output is how a test reports")]

mod peer;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_registry::{Registry, RegistryConfig, StoreConfig};
use jackfield_transport::{Identity, Role, StateDir};
use jackfield_wire::InstanceId;
use jackfield_wire::registry::{Health, Instance, ListQuery, Reply, Request};
use peer::Peer;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = Runtime::new().expect("a runtime");
    match &args[1..] {
        [serve, dir] if serve == "serve" => runtime.block_on(serve_until_killed(Path::new(dir))),
        // Whatever a test run passes: there is one test, and it runs.
        _ => {
            let dir = tempfile::tempdir().expect("a folder");
            runtime.block_on(async {
                let survived = tokio::time::timeout(PATIENCE, survive(dir.path())).await;
                survived.expect("nothing happened for minutes");
            });
            println!("test what_was_acknowledged_survives_{KILLS}_kills ... ok");
        }
    }
}

/// The child.
async fn serve_until_killed(dir: &Path) {
    let identity = Identity::local(&state(dir), Role::Registry, "registry").expect("an identity");
    let mut config = RegistryConfig::new((Ipv4Addr::LOCALHOST, 0).into(), identity);
    config.store = StoreConfig::Sqlite(dir.join("registry.sqlite"));
    config.ttl = Duration::from_secs(3600);
    config.max_instances_per_host = 10_000;
    let registry = Registry::spawn(config).expect("it starts");
    println!("{}", registry.local_addr());
    // Ends with its parent, should that be killed instead.
    let parent = || std::io::stdin().lines().count();
    let _ended = tokio::task::spawn_blocking(parent).await;
}

async fn survive(dir: &Path) {
    let known = Known::default();
    let mut last = None;
    for round in 0..KILLS {
        let (mut child, address) = start(dir);
        let (listed, revision) = list(dir, address).await;
        known.check(&listed);
        assert!(last <= Some(revision), "revision {revision:?} after {last:?}");
        let enough = Arc::new(Semaphore::new(0));
        let mut hosts = JoinSet::new();
        for host in 0..HOSTS {
            let peer = Peer::connect(&state(dir), &format!("h{host}"), address).await;
            hosts.spawn(load(peer, round, known.clone(), Arc::clone(&enough)));
        }
        // Another number every time, so that kills fall on different moments.
        let acknowledged = enough.acquire_many(40 + 17 * round).await;
        drop(acknowledged.expect("never closed"));
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        hosts.join_all().await;
        last = Some(revision);
    }
    let (mut child, address) = start(dir);
    known.check(&list(dir, address).await.0);
    assert!(known.registered() > usize::try_from(KILLS).expect("small") * 20);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

/// Registers one service after another, and takes every third back, until the registry is gone.
async fn load(peer: Peer, round: u32, known: Known, enough: Arc<Semaphore>) {
    for n in 0.. {
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
struct Known(Arc<Mutex<BTreeMap<InstanceId, Fate>>>);

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

fn start(dir: &Path) -> (Child, SocketAddr) {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .arg("serve")
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let output = child.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut line).expect("a line");
    let address = line.trim().parse().expect("the registry's address");
    (child, address)
}

async fn list(dir: &Path, address: SocketAddr) -> (BTreeMap<InstanceId, Instance>, u64) {
    let peer = Peer::connect(&state(dir), "lister", address).await;
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

fn state(dir: &Path) -> StateDir {
    StateDir::resolve(Some(&dir.join("state"))).expect("a private folder")
}

const KILLS: u32 = 10;
const HOSTS: u32 = 8;
/// Far beyond anything that a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(300);
