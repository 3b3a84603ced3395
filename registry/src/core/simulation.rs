//! Generated histories of hosts, connections, time and watchers, held against what was promised.
//! proptest keeps the seed of a failing history and replays it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jackfield_wire::registry::{Health, Instance, Revision, WatchEvent, WatchQuery};
use jackfield_wire::{InstanceId, ServiceName};
use proptest::prelude::*;

use super::fixture::{Bench, TTL, id, instance};
use super::{LeaseId, Moment, Watcher};

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
        3 => watcher().prop_map(|watcher| Event::Read { watcher }),
        3 => watcher().prop_map(|watcher| Event::Sip { watcher }),
        2 => watcher().prop_map(|watcher| Event::Resume { watcher }),
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
    last: Option<Revision>,
}

impl Client {
    fn new(service: Option<&str>) -> Self {
        let service = service.map(|name| ServiceName::new(name).unwrap());
        let query = WatchQuery { service, ..WatchQuery::default() };
        let watch = Watcher::new(query.clone());
        Self { query, watch, set: BTreeMap::new(), parts: BTreeMap::new(), last: None }
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
                self.parts.extend(part.instances.into_iter().map(|i| (i.id.clone(), i)));
                if part.last {
                    self.set = std::mem::take(&mut self.parts);
                    self.last = Some(part.revision);
                }
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
                self.last = Some(delta.revision);
            }
            WatchEvent::Idle(revision, _) => assert_eq!(Some(revision), self.last),
        }
    }
}

pub(crate) struct World {
    pub(crate) bench: Bench,
    promises: BTreeMap<InstanceId, Promise>,
    /// Connections that broke without the registry's knowledge.
    old: Vec<LeaseId>,
    clients: Vec<Client>,
}

impl World {
    pub(crate) fn new(bench: Bench) -> Self {
        let services = [None, None, None, Some("calc"), Some("text"), Some("nobody")];
        let clients = services.into_iter().map(Client::new).collect();
        Self { bench, promises: BTreeMap::new(), old: Vec::new(), clients }
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
            Event::Read { watcher } => self.clients[watcher].read(&self.bench),
            Event::Sip { watcher } => {
                self.clients[watcher].sip(&self.bench);
            }
            Event::Resume { watcher } => self.clients[watcher].resume(),
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
            let held = before.is_some_and(|liveness| liveness.lease.is_some());
            assert_eq!(unknown.contains(id), !held, "{id}");
            let renewed = before.is_some_and(|liveness| liveness.lease == Some(lease));
            if let Some(promise) = self.promises.get_mut(id)
                && renewed
                && !promise.leaving
            {
                promise.expires = self.bench.now.plus(TTL);
            }
        }
    }

    fn deregister(&mut self, host: usize, services: BTreeSet<usize>) {
        let ids: Vec<_> = services.into_iter().map(|s| id(SERVICES[s], HOSTS[host])).collect();
        let held = ids.iter().filter(|id| self.bench.health(id).is_some()).count();
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

    fn restart(&mut self) {
        let listed = self.bench.listed();
        self.bench.restart();
        assert_eq!(self.bench.listed(), listed);
        self.old.clear();
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
            let as_registered = Instance { health: found.health, ..promise.instance.clone() };
            assert_eq!(*found, as_registered);
            assert_eq!(found.health == Health::Draining, promise.leaving, "{id}");
        }
        for id in listed.keys() {
            assert!(self.promises.contains_key(id), "{id} is listed past its end");
        }
        let kept = self.bench.kept.records.iter();
        let kept: BTreeMap<_, _> =
            kept.map(|(id, (_, r))| (id.clone(), (*r.instance).clone())).collect();
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
        self.bench.pass(TTL * 2);
        self.check();
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
            assert!(client.watch.idle(&self.bench.core, self.bench.now).is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_promises(
        events in proptest::collection::vec(any_event(), 1..120),
    ) {
        World::new(Bench::new()).live_through(events);
    }
}
