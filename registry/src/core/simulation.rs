//! Generated histories of hosts, connections, operators, time and watchers, held against what was
//! promised. A failing history says its seed; `JACKFIELD_SEED=N` replays that one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jackfield_wire::registry::{
    Digest, Edit, Health, Instance, InstancePatch, Override, Revision, ServiceEntry, ServicePatch,
    ServiceSettings, WatchEvent, WatchQuery,
};
use jackfield_wire::{InstanceId, ServiceName};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::fixture::{Bench, TTL, id, instance};
use super::{Found, LeaseId, Moment, Watcher};

const HOSTS: [&str; 3] = ["a", "b", "c"];
const SERVICES: [&str; 3] = ["calc", "text", "shapes"];

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Register {
        host: usize,
        services: BTreeSet<usize>,
        version: u8,
    },
    Heartbeat {
        host: usize,
        services: BTreeSet<usize>,
    },
    Deregister {
        host: usize,
        services: BTreeSet<usize>,
    },
    /// The connection breaks.
    Lose {
        host: usize,
    },
    /// The host connects again before the registry notices that the old connection broke.
    Reconnect {
        host: usize,
    },
    /// The registry notices one of those.
    LoseOld,
    Pass {
        ms: u64,
    },
    /// The registry's process stands still, or its clock jumps.
    Freeze {
        ms: u64,
    },
    /// Somebody has looked at what the registry wanted looked at.
    Found {
        found: Found,
    },
    /// A watcher reads all it can.
    Read {
        watcher: usize,
    },
    /// A watcher reads one event.
    Sip {
        watcher: usize,
    },
    /// A watcher hangs up and resumes.
    Resume {
        watcher: usize,
    },
    /// An operator orders, whether the instance is there or not.
    Order {
        host: usize,
        service: usize,
        weight: Option<u32>,
        disabled: bool,
        drain: bool,
    },
    /// An operator sets how a service is called.
    Set {
        service: usize,
        timeout_ms: Option<u32>,
    },
    /// The registry crashes and starts again from its store.
    Restart,
}

pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let services = || proptest::collection::btree_set(0..SERVICES.len(), 0..=SERVICES.len());
    let host = || 0..HOSTS.len();
    let watcher = || 0..6usize;
    prop_oneof![
        6 => (host(), services(), 0u8..3)
            .prop_map(|(host, services, version)| Event::Register { host, services, version }),
        6 => (host(), services())
            .prop_map(|(host, services)| Event::Heartbeat { host, services }),
        3 => (host(), services())
            .prop_map(|(host, services)| Event::Deregister { host, services }),
        2 => host().prop_map(|host| Event::Lose { host }),
        1 => host().prop_map(|host| Event::Reconnect { host }),
        1 => Just(Event::LoseOld),
        6 => (1u64..8000).prop_map(|ms| Event::Pass { ms }),
        1 => (1u64..60_000).prop_map(|ms| Event::Freeze { ms }),
        3 => prop_oneof![Just(Found::Alive), Just(Found::Nobody), Just(Found::Silence)]
            .prop_map(|found| Event::Found { found }),
        3 => watcher().prop_map(|watcher| Event::Read { watcher }),
        3 => watcher().prop_map(|watcher| Event::Sip { watcher }),
        2 => watcher().prop_map(|watcher| Event::Resume { watcher }),
        2 => (host(), 0..SERVICES.len(), proptest::option::of(2u32..4), any::<bool>(), any::<bool>())
            .prop_map(|(host, service, weight, disabled, drain)| Event::Order {
                host,
                service,
                weight,
                disabled,
                drain,
            }),
        1 => (0..SERVICES.len(), proptest::option::of(1u32..4))
            .prop_map(|(service, timeout_ms)| Event::Set { service, timeout_ms }),
        1 => Just(Event::Restart),
    ]
}

/// What is promised of one registration that was acknowledged.
#[derive(Clone, Debug)]
struct Promise {
    expires: Moment,
    leaving: bool,
    instance: Instance,
}

/// A watcher as a client keeps it.
struct Client {
    query: WatchQuery,
    watch: Watcher,
    set: BTreeMap<InstanceId, Instance>,
    parts: BTreeMap<InstanceId, Instance>,
    services: BTreeMap<String, ServiceEntry>,
    last: Option<Revision>,
}

impl Client {
    fn new(service: Option<&str>) -> Self {
        let service = service.map(|name| ServiceName::new(name).unwrap());
        let query = WatchQuery { service, ..WatchQuery::default() };
        let watch = Watcher::new(query.clone());
        let (set, parts, services) = Default::default();
        Self { query, watch, set, parts, services, last: None }
    }

    fn resume(&mut self) {
        self.query.resume = self.last;
        self.parts.clear();
        self.watch = Watcher::new(self.query.clone());
    }

    fn sip(&mut self, bench: &Bench) -> bool {
        let event = self.watch.next(&bench.core, bench.now);
        event.map(|event| self.take(event)).is_some()
    }

    fn read(&mut self, bench: &Bench) {
        while self.sip(bench) {}
    }

    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Snapshot(part) => {
                if self.parts.is_empty() {
                    self.services.clear();
                }
                self.take_services(part.services);
                self.parts.extend(part.instances.into_iter().map(|i| (i.id.clone(), i)));
                if part.last {
                    self.set = std::mem::take(&mut self.parts);
                    self.last = Some(part.revision);
                }
                assert_eq!(part.digest.is_some(), part.last);
                self.check(part.digest);
            }
            WatchEvent::Delta(delta) => {
                let last = self.last.expect("a set comes first");
                assert_eq!(delta.revision.epoch, last.epoch);
                assert!(delta.revision.number >= last.number);
                for id in &delta.removed {
                    assert!(delta.upserted.iter().all(|instance| instance.id != *id));
                    self.set.remove(id);
                }
                self.set.extend(delta.upserted.into_iter().map(|i| (i.id.clone(), i)));
                self.take_services(delta.services);
                self.last = Some(delta.revision);
                self.check(delta.digest);
            }
            WatchEvent::Idle(revision, digest) => {
                assert_eq!(Some(revision), self.last);
                assert!(digest.is_some());
                self.check(digest);
            }
        }
    }

    fn take_services(&mut self, services: Vec<ServiceEntry>) {
        self.services.extend(services.into_iter().map(|entry| (entry.key().to_string(), entry)));
        self.services.retain(|_, entry| !entry.settings.is_empty());
    }

    /// What the registry says of the set is true of what the watcher holds.
    fn check(&self, digest: Option<Digest>) {
        let instances = self.set.values().map(Instance::digest);
        let all = instances.chain(self.services.values().map(ServiceEntry::digest));
        let own = all.fold(Digest::default(), Digest::with);
        assert!(digest.is_none_or(|digest| digest == own));
    }
}

pub(crate) struct World {
    pub(crate) bench: Bench,
    promises: BTreeMap<InstanceId, Promise>,
    /// Connections that broke without the registry's knowledge.
    old: Vec<LeaseId>,
    clients: Vec<Client>,
    /// What operators said.
    orders: BTreeMap<InstanceId, Override>,
    settings: BTreeMap<String, ServiceSettings>,
}

impl World {
    pub(crate) fn new(bench: Bench) -> Self {
        let services = [None, None, None, Some("calc"), Some("text"), Some("nobody")];
        let clients = services.into_iter().map(Client::new).collect();
        let (promises, orders, settings) = Default::default();
        Self { bench, promises, old: Vec::new(), clients, orders, settings }
    }

    pub(crate) fn step(&mut self, event: Event) {
        match event {
            Event::Register { host, services, version } => self.register(host, services, version),
            Event::Heartbeat { host, services } => self.heartbeat(host, services),
            Event::Deregister { host, services } => self.deregister(host, services),
            Event::Lose { host } => {
                self.bench.lose(HOSTS[host]);
            }
            Event::Reconnect { host } => self.old.extend(self.bench.reconnect(HOSTS[host])),
            Event::LoseOld => {
                if let Some(lease) = self.old.pop() {
                    self.bench.lose_lease(lease);
                }
            }
            Event::Pass { ms } => self.bench.pass(Duration::from_millis(ms)),
            Event::Freeze { ms } => self.freeze(Duration::from_millis(ms)),
            Event::Found { found } => {
                if let Some(probe) = self.bench.probes.pop() {
                    self.bench.found(&probe.id, found);
                }
            }
            Event::Read { watcher } => self.clients[watcher].read(&self.bench),
            Event::Sip { watcher } => {
                self.clients[watcher].sip(&self.bench);
            }
            Event::Resume { watcher } => self.clients[watcher].resume(),
            Event::Order { host, service, weight, disabled, drain } => {
                let patch = InstancePatch {
                    disabled: Some(disabled),
                    drain: Some(drain),
                    weight: weight.map_or(Edit::Unset, Edit::Set),
                    ..InstancePatch::new(id(SERVICES[service], HOSTS[host]))
                };
                self.order(&patch);
            }
            Event::Set { service, timeout_ms } => self.set(service, timeout_ms),
            Event::Restart => self.restart(),
        }
        self.check();
    }

    fn register(&mut self, host: usize, services: BTreeSet<usize>, version: u8) {
        let instances: Vec<_> = services
            .into_iter()
            .map(|service| Instance {
                version: Some(version.to_string()),
                ..instance(SERVICES[service], HOSTS[host])
            })
            .collect();
        self.bench.register(HOSTS[host], instances.clone());
        let expires = self.bench.now.plus(TTL);
        for instance in instances {
            let id = instance.id.clone();
            self.promises.insert(id, Promise { expires, leaving: false, instance });
        }
    }

    fn heartbeat(&mut self, host: usize, services: BTreeSet<usize>) {
        let ids: Vec<_> = services.into_iter().map(|s| id(SERVICES[s], HOSTS[host])).collect();
        let before: Vec<_> =
            ids.iter().map(|id| self.bench.core.held.get(id).map(|h| h.liveness)).collect();
        let lease = self.bench.holder(HOSTS[host]).lease;
        let unknown = self.bench.heartbeat(HOSTS[host], &ids);
        for (id, before) in ids.iter().zip(before) {
            let sure = !self.bench.core.doubts.contains_key(id);
            let held = sure && before.is_some_and(|liveness| liveness.lease.is_some());
            assert_eq!(unknown.contains(id), !held, "{id}");
            let renewed = held && before.is_some_and(|liveness| liveness.lease == Some(lease));
            if let Some(promise) = self.promises.get_mut(id)
                && renewed
                && !promise.leaving
            {
                promise.expires = self.bench.now.plus(TTL);
            }
        }
    }

    /// Long enough, it is the registry that was deaf, and everybody gets another TTL.
    fn freeze(&mut self, span: Duration) {
        let paused = self.bench.now.plus(span).after(self.bench.core.last_tick) > TTL / 2;
        self.bench.freeze(span);
        let grace = self.bench.now.plus(TTL);
        for promise in self.promises.values_mut().filter(|_| paused) {
            promise.expires = promise.expires.max(grace);
        }
    }

    fn deregister(&mut self, host: usize, services: BTreeSet<usize>) {
        let ids: Vec<_> = services.into_iter().map(|s| id(SERVICES[s], HOSTS[host])).collect();
        let held = ids.iter().filter(|id| self.bench.health(id).is_some()).count();
        self.promise_doubted(&ids);
        let count = self.bench.deregister(HOSTS[host], &ids);
        assert_eq!(usize::try_from(count).unwrap(), held);
        for id in &ids {
            assert!(matches!(self.bench.health(id), None | Some(Health::Draining)), "{id}");
            if let Some(promise) = self.promises.get_mut(id)
                && !promise.leaving
            {
                promise.leaving = true;
                promise.expires = self.bench.now.plus(TTL);
            }
        }
    }

    /// What is kept in doubt was promised nothing any more; its goodbye is.
    fn promise_doubted(&mut self, ids: &[InstanceId]) {
        for id in ids.iter().filter(|id| self.bench.core.doubts.contains_key(*id)) {
            let instance = Instance::clone(&self.bench.core.held[id].record.instance);
            let promise = Promise { expires: self.bench.now, leaving: false, instance };
            self.promises.insert(id.clone(), promise);
        }
    }

    fn order(&mut self, patch: &InstancePatch) {
        let id = &patch.id;
        let known = self.orders.contains_key(id) || self.bench.health(id).is_some();
        let outcome = self.bench.order(patch);
        assert_eq!(outcome.is_ok(), known);
        let Ok(order) = outcome else { return };
        match order.is_empty() {
            true => drop(self.orders.remove(id)),
            false => drop(self.orders.insert(id.clone(), order)),
        }
    }

    fn set(&mut self, service: usize, timeout_ms: Option<u32>) {
        let key = SERVICES[service].to_owned();
        let timeout_ms = timeout_ms.map_or(Edit::Unset, Edit::Set);
        let patch = ServicePatch { timeout_ms, ..ServicePatch::new(key.parse().unwrap()) };
        let settings = self.bench.set(&patch).unwrap();
        self.settings.insert(key, settings);
        self.settings.retain(|_, settings| !settings.is_empty());
    }

    /// As peers see what a host said.
    fn ordered(&self, said: Instance) -> Instance {
        match self.orders.get(&said.id) {
            Some(order) => order.over(&said),
            None => said,
        }
    }

    fn restart(&mut self) {
        let listed = self.bench.listed();
        self.bench.restart();
        assert_eq!(self.bench.listed(), listed);
        self.old.clear();
        // What was kept in doubt is there for a TTL like everything else.
        let doubted = listed.keys().filter(|id| !self.promises.contains_key(*id));
        for id in doubted.cloned().collect::<Vec<_>>() {
            let instance = Instance::clone(&self.bench.core.held[&id].record.instance);
            let leaving = instance.health == Health::Draining;
            let expires = self.bench.now;
            self.promises.insert(id, Promise { expires, leaving, instance });
        }
        for promise in self.promises.values_mut() {
            promise.expires = self.bench.now.plus(TTL);
        }
        // Clients notice that the connection broke, and resume where they were.
        self.clients.iter_mut().for_each(Client::resume);
    }

    fn check(&mut self) {
        let (now, listed) = (self.bench.now, self.bench.listed());
        self.promises.retain(|_, promise| promise.expires > now);
        for (id, promise) in &self.promises {
            let Some(found) = listed.get(id) else {
                assert!(promise.leaving, "{id} was promised and is not listed");
                continue;
            };
            let as_registered = self.ordered(promise.instance.clone());
            assert_eq!(*found, Instance { health: found.health, ..as_registered });
            let drained = self.orders.get(id).is_some_and(|order| order.drain);
            assert_eq!(found.health == Health::Draining, promise.leaving || drained, "{id}");
        }
        let doubts = &self.bench.core.doubts;
        for id in listed.keys() {
            let kept = self.promises.contains_key(id) || doubts.contains_key(id);
            assert!(kept, "{id} is listed past its end");
        }
        assert!(doubts.keys().all(|id| listed.contains_key(id)));
        let kept = self.bench.kept.records.iter();
        let kept: BTreeMap<_, _> =
            kept.map(|(id, (_, r))| (id.clone(), self.ordered((*r.instance).clone()))).collect();
        assert_eq!(kept, listed, "the store and the core differ");
        let core = &self.bench.core;
        let armed = core.held.iter().filter_map(|(id, h)| h.armed.map(|at| (at, id.clone())));
        assert_eq!(
            core.timers.due(now.plus(TTL * 100)),
            armed.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        );
    }

    pub(crate) fn live_through(mut self, events: Vec<Event>) {
        for event in events {
            self.step(event);
        }
        self.settle();
        for _ in 0..4 {
            self.bench.pass(TTL * 2);
            self.check();
            for probe in std::mem::take(&mut self.bench.probes) {
                self.bench.found(&probe.id, Found::Nobody);
            }
        }
        assert!(self.bench.listed().is_empty());
        assert!(self.bench.core.shares.is_empty());
        assert!(self.bench.core.timers.next().is_none());
        self.restart();
        self.settle();
    }

    /// Whatever a watcher went through, it ends with what a fresh one sees.
    fn settle(&mut self) {
        let listed = self.bench.listed();
        for client in &mut self.clients {
            client.read(&self.bench);
            let service = client.query.service.clone();
            let mut expected = listed.clone();
            expected.retain(|_, i| service.as_ref().is_none_or(|name| i.service == *name));
            assert_eq!(client.set, expected);
            let mut fresh = Client::new(service.as_ref().map(ServiceName::as_str));
            fresh.read(&self.bench);
            assert_eq!(fresh.set, client.set);
            assert_eq!(fresh.services, client.services);
            let set = fresh.services.iter().map(|(key, entry)| (key, &entry.settings));
            let scope =
                |key: &&String| service.as_ref().is_none_or(|name| name.as_str() == key.as_str());
            let wanted = self.settings.iter().filter(|(key, _)| scope(key));
            assert!(set.eq(wanted));
            assert!(client.watch.idle(&self.bench.core, self.bench.now).is_some());
        }
    }
}

#[test]
fn every_history_keeps_the_promises() {
    for seed in seeds() {
        let replay = Replay { seed, events: history(seed) };
        World::new(Bench::new()).live_through(replay.events.clone());
    }
}

/// A seed's history, always the same.
fn history(seed: u64) -> Vec<Event> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let events = proptest::collection::vec(any_event(), 1..100);
    events.new_tree(&mut runner).expect("it rejects nothing").current()
}

/// Those of a usual run, or the one that is to be replayed.
fn seeds() -> std::ops::Range<u64> {
    match std::env::var("JACKFIELD_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("JACKFIELD_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    }
}

/// Says how to see a failure again.
struct Replay {
    seed: u64,
    events: Vec<Event>,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("JACKFIELD_SEED={} replays this history: {:?}", self.seed, self.events);
        }
    }
}

/// Enough that a rule taken out of the core is missed by some; under a minute without optimising.
const SEEDS: u64 = 2000;
