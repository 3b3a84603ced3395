//! What every store has to do, tried with generated histories on each of them.

use std::path::PathBuf;

use jackfield_wire::registry::{Instance, Revision};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::etcd::cluster::Cluster;
use super::{EtcdStore, MemoryStore, SqliteStore, Store};
use crate::config::EtcdConfig;
use crate::core::fixture::{Bench, Keeper, TTL};
use crate::core::simulation::{Event, World, any_event};
use crate::core::{Change, Front, Stored};

/// Any store, as the histories use one.
struct Opened<S, F> {
    runtime: Runtime,
    store: Option<S>,
    open: F,
}

impl<S: Store, F: FnMut() -> (S, Stored)> Opened<S, F> {
    fn new(open: F) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { runtime, store: None, open }
    }
}

impl<S: Store, F: FnMut() -> (S, Stored)> Keeper for Opened<S, F> {
    fn keep(&mut self, change: &Change) {
        let store = self.store.as_mut().expect("it was opened");
        self.runtime.block_on(store.keep(change.clone())).unwrap();
    }

    fn reopen(&mut self) -> Stored {
        if let Some(store) = self.store.take() {
            self.runtime.block_on(store.close());
        }
        let (store, stored) = (self.open)();
        self.store = Some(store);
        stored
    }
}

fn memory(epoch: u64) -> Bench {
    Bench::beside(Box::new(Opened::new(move || MemoryStore::open(epoch))))
}

/// In a cluster that has nothing in it.
fn etcd(cluster: &Cluster) -> Bench {
    cluster.ctl(&["del", "--prefix", "jackfield/"]);
    let config = EtcdConfig::new(cluster.addresses());
    let open = move || EtcdStore::open(&config, Front::ONLY, EPOCH, TTL).unwrap();
    Bench::beside(Box::new(Opened::new(open)))
}

fn sqlite() -> (Bench, TempDir) {
    let (dir, path) = place();
    let open = move || SqliteStore::open(&path, EPOCH).unwrap();
    (Bench::beside(Box::new(Opened::new(open))), dir)
}

/// In memory where the system has such a folder: these tests are about what is written, not about
/// the disk.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = dir.path().join("registry.sqlite");
    (dir, path)
}

/// What a registry shows after each event; its store is opened again after every `reopen`th.
fn shown(bench: Bench, events: &[Event], reopen: usize) -> Vec<(Revision, Vec<Instance>)> {
    let mut world = World::new(bench);
    let mut shown = Vec::new();
    for (n, event) in events.iter().enumerate() {
        world.step(event.clone());
        if n % reopen == reopen - 1 {
            world.bench.reopen();
        }
        let listed = world.bench.listed().into_values().collect();
        shown.push((world.bench.core.revision(), listed));
    }
    shown
}

fn without_restart(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|event| !matches!(event, Event::Restart)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_same_history_looks_the_same_on_every_store(
        events in proptest::collection::vec(any_event(), 1..80),
        reopen in 1usize..20,
    ) {
        let events = without_restart(events);
        let (bench, _dir) = sqlite();
        prop_assert_eq!(shown(memory(EPOCH), &events, NEVER), shown(bench, &events, reopen));
    }

    #[test]
    fn a_history_with_crashes_keeps_the_promises_on_sqlite(
        events in proptest::collection::vec(any_event(), 1..80),
    ) {
        let (bench, _dir) = sqlite();
        World::new(bench).live_through(events);
    }
}

/// The same two, with fewer and shorter histories: each change is a round trip to another process.
#[test]
fn histories_on_etcd_look_as_in_memory_and_keep_the_promises() {
    let Some(cluster) = Cluster::start(1) else { return };
    let histories = (proptest::collection::vec(any_event(), 1..40), 1usize..20);
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&histories, |(events, reopen)| {
        let quiet = without_restart(events.clone());
        let bench = etcd(&cluster);
        let epoch = bench.core.revision().epoch;
        prop_assert_eq!(shown(memory(epoch), &quiet, NEVER), shown(bench, &quiet, reopen));
        World::new(etcd(&cluster)).live_through(events);
        Ok(())
    });
    outcome.unwrap();
}

const EPOCH: u64 = u64::MAX - 7;
const NEVER: usize = usize::MAX;
