//! Registrations per second as hosts see them, over QUIC on loopback, each a change: with one host
//! that waits for its answer, and with 64 that wait at once; in memory, and on the disk of the
//! temporary folder (TMPDIR chooses another).
//!
//! `cargo bench -p jackfield-registry --bench store`

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

#[path = "../tests/kill/peer.rs"]
mod peer;

use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use jackfield_registry::{Registry, RegistryConfig, StoreConfig};
use jackfield_transport::{Identity, Role, StateDir};
use jackfield_wire::registry::{Reply, Request};
use peer::Peer;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    println!("this disk alone: {:.0} synced appends of 4 KiB/s", synced_appends(dir.path()));
    println!(
        "{:8} {:>8} {:>16} {:>10} {:>10}",
        "store", "waiting", "registrations/s", "p50", "p99"
    );
    for waiting in [1, 64] {
        for (name, store) in [
            ("memory", StoreConfig::Memory),
            ("sqlite", StoreConfig::Sqlite(dir.path().join(format!("{waiting}.sqlite")))),
        ] {
            let mut times = measure(dir.path(), store, waiting).await;
            times.sort_unstable();
            let at = |share: usize| times[(times.len() - 1) * share / 100];
            let rate = times.len() as f64 / RUN.as_secs_f64();
            println!("{name:8} {waiting:8} {rate:16.0} {:>10.1?} {:>10.1?}", at(50), at(99));
        }
    }
}

/// How long each registration took.
async fn measure(dir: &Path, store: StoreConfig, waiting: usize) -> Vec<Duration> {
    let state = StateDir::resolve(Some(&dir.join("state"))).expect("a private folder");
    let identity = Identity::local(&state, Role::Registry, "registry").expect("an identity");
    let mut config = RegistryConfig::new((Ipv4Addr::LOCALHOST, 0).into(), identity);
    config.store = store;
    let registry = Registry::spawn(config).expect("it starts");
    let mut peers = Vec::new();
    for n in 0..waiting {
        peers.push(Peer::connect(&state, &format!("h{n}"), registry.local_addr()).await);
    }
    let mut hosts = JoinSet::new();
    for peer in peers {
        hosts.spawn(register(peer));
    }
    let times = hosts.join_all().await.concat();
    registry.shutdown(Duration::ZERO).await;
    times
}

/// Another version every time: the same again would not be a change.
async fn register(peer: Peer) -> Vec<Duration> {
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < RUN {
        let version = times.len().to_string();
        let asked = Instant::now();
        let reply = peer.ask(&Request::Register(vec![peer.instance("calc", &version)])).await;
        assert!(matches!(reply, Some(Reply::Registered(_))), "{reply:?}");
        times.push(asked.elapsed());
    }
    times
}

/// What bounds a store that keeps one change at a time.
fn synced_appends(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("appended")).expect("a file");
    let start = Instant::now();
    for _ in 0..APPENDS {
        file.write_all(&[7; 4096]).expect("written");
        file.sync_data().expect("synced");
    }
    f64::from(APPENDS) / start.elapsed().as_secs_f64()
}

const RUN: Duration = Duration::from_secs(3);
const APPENDS: u32 = 300;
