//! A watcher as a client keeps it, which holds every event against what it was told before.

use std::collections::BTreeMap;

use jackfield_wire::registry::{Digest, Instance, Revision, ServiceEntry, WatchEvent, WatchQuery};
use jackfield_wire::{InstanceId, ServiceName};

use crate::core::Watcher;
use crate::core::fixture::{Bench, received};

/// A watcher as a client keeps it.
pub(super) struct Client {
    pub(super) query: WatchQuery,
    pub(super) watch: Watcher,
    pub(super) set: BTreeMap<InstanceId, Instance>,
    parts: BTreeMap<InstanceId, Instance>,
    pub(super) services: BTreeMap<String, ServiceEntry>,
    last: Option<Revision>,
}

impl Client {
    pub(super) fn new(service: Option<&str>) -> Self {
        let service = service.map(|name| ServiceName::new(name).unwrap());
        let query = WatchQuery { service, ..WatchQuery::default() };
        let watch = Watcher::new(query.clone());
        let (set, parts, services) = Default::default();
        Self { query, watch, set, parts, services, last: None }
    }

    pub(super) fn resume(&mut self) {
        self.query.resume = self.last;
        self.parts.clear();
        self.watch = Watcher::new(self.query.clone());
    }

    pub(super) fn sip(&mut self, bench: &Bench) -> bool {
        let event = self.watch.next(&bench.core, bench.now);
        event.map(|event| self.take(received(event))).is_some()
    }

    pub(super) fn read(&mut self, bench: &Bench) {
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
