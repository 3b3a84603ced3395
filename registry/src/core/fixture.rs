//! A core with hosts around it, for tests: events applied as the shell would, on a clock that
//! stands still until told.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use std::time::Duration;

use jackfield_transport::PeerId;
use jackfield_wire::registry::{
    Health, Instance, InstancePatch, ListQuery, MethodSummary, Override, ServicePatch,
    ServiceSettings, WatchEvent,
};
use jackfield_wire::{InstanceId, ServiceName, from_cbor, to_cbor};

use super::{
    Change, Core, Event, Found, Front, Holder, LeaseId, Moment, Plan, Probe, Record, Refused,
    Removal, Rules, Step, Stored, Subject, Watcher,
};

/// A core, its clock, what a store would hold, and one connection for each host.
pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) now: Moment,
    pub(crate) kept: Mirror,
    /// A store that must hold the same.
    file: Option<Box<dyn Keeper>>,
    /// What the core wants looked at.
    pub(crate) probes: Vec<Probe>,
    connections: HashMap<String, LeaseId>,
    next_lease: u64,
}

pub(crate) const TTL: Duration = Duration::from_secs(10);

impl Bench {
    pub(crate) fn new() -> Self {
        Self::restored(Stored { epoch: 7, ..Stored::default() })
    }

    pub(crate) fn restored(stored: Stored) -> Self {
        let kept = Mirror::new(stored.clone());
        let now = Moment::default();
        let core = Core::restore(rules(), now, stored);
        Self {
            core,
            now,
            kept,
            file: None,
            probes: Vec::new(),
            connections: HashMap::new(),
            next_lease: 0,
        }
    }

    /// What a store would give back after a crash.
    pub(crate) fn stored(&self) -> Stored {
        self.kept.stored()
    }

    /// Keeps everything in this store too.
    pub(crate) fn beside(mut file: Box<dyn Keeper>) -> Self {
        let stored = file.reopen();
        Self { file: Some(file), ..Self::restored(stored) }
    }

    /// The store is opened again under a core that lives on.
    pub(crate) fn reopen(&mut self) {
        let expected = self.stored();
        let found = self.file.as_mut().map(|file| file.reopen());
        assert!(found.is_none_or(|found| found == expected));
    }

    /// Crashes, and goes on from what was kept.
    pub(crate) fn restart(&mut self) {
        let mut file = self.file.take();
        if let Some(file) = &mut file {
            assert_eq!(file.reopen(), self.stored());
        }
        *self = Self { file, ..Self::restored(self.stored()) };
    }

    /// The connection of `host`, a new one when there is none.
    pub(crate) fn holder(&mut self, host: &str) -> Holder {
        let lease = *self.connections.entry(host.into()).or_insert_with(|| {
            self.next_lease += 1;
            lease(self.next_lease)
        });
        let address = "127.0.0.1:50000".parse().unwrap();
        Holder { lease, peer: peer(host), address, operator: false }
    }

    /// Leaves the connection of `host` as it is, and opens another when it is needed next.
    pub(crate) fn reconnect(&mut self, host: &str) -> Option<LeaseId> {
        self.connections.remove(host)
    }

    pub(crate) fn try_register(
        &mut self,
        host: &str,
        instances: Vec<Instance>,
    ) -> Result<(), Refused> {
        let holder = self.holder(host);
        let plan = self.core.plan_register(self.now, &holder, instances, &Plan::default())?;
        self.apply(plan);
        Ok(())
    }

    pub(crate) fn register(&mut self, host: &str, instances: Vec<Instance>) {
        self.try_register(host, instances).unwrap();
    }

    pub(crate) fn heartbeat(&mut self, host: &str, ids: &[InstanceId]) -> Vec<InstanceId> {
        let holder = self.holder(host);
        self.core.heartbeat(self.now, &holder, ids.to_vec()).unwrap()
    }

    pub(crate) fn deregister(&mut self, host: &str, ids: &[InstanceId]) -> u32 {
        let holder = self.holder(host);
        let (plan, count) = self.core.plan_deregister(self.now, &holder, ids.to_vec()).unwrap();
        self.apply(plan);
        count
    }

    pub(crate) fn order(&mut self, patch: &InstancePatch) -> Result<Override, Refused> {
        let (plan, order) = self.core.plan_order(patch)?;
        self.apply(plan);
        Ok(order)
    }

    pub(crate) fn set(&mut self, patch: &ServicePatch) -> Result<ServiceSettings, Refused> {
        let (plan, settings) = self.core.plan_settings(patch)?;
        self.apply(plan);
        Ok(settings)
    }

    /// The connection of `host` breaks.
    pub(crate) fn lose(&mut self, host: &str) {
        if let Some(lease) = self.reconnect(host) {
            self.lose_lease(lease);
        }
    }

    pub(crate) fn lose_lease(&mut self, lease: LeaseId) {
        let plan = self.core.plan_lost(lease);
        self.apply(plan);
    }

    /// Lets time pass as the shell does: with a tick whenever one is due.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now.plus(span);
        while self.core.next_tick() <= end {
            self.now = self.now.max(self.core.next_tick());
            self.tick();
        }
        self.now = end;
    }

    /// Stands still for `span` without a tick, as a stopped process does, and goes on.
    pub(crate) fn freeze(&mut self, span: Duration) {
        self.now = self.now.plus(span);
        self.tick();
    }

    fn tick(&mut self) {
        let plan = self.core.plan_tick(self.now);
        self.apply(plan);
    }

    /// Somebody has looked.
    pub(crate) fn found(&mut self, id: &InstanceId, found: Found) {
        let plan = self.core.plan_probed(self.now, id, found);
        self.apply(plan);
    }

    /// Keeps and applies, and checks that every step made one revision.
    fn apply(&mut self, mut plan: Plan) {
        self.probes.extend(plan.take_probes());
        let before = self.core.revision().number;
        let change = self.core.change(&plan);
        self.core.apply(plan);
        let steps = change.as_ref().map_or(0, |change| change.steps.len());
        assert_eq!(self.core.revision().number, before + steps as u64);
        let Some(change) = change else { return };
        assert_eq!(change.revision, self.core.revision().number);
        self.kept.keep(&change);
        if let Some(file) = &mut self.file {
            file.keep(&change);
        }
    }

    /// Everything that is listed, by id.
    pub(crate) fn listed(&self) -> BTreeMap<InstanceId, Instance> {
        let listing = self.core.list(self.now, &ListQuery { all: true, ..ListQuery::default() });
        assert!(!listing.more);
        let instances = listing.instances.into_iter();
        let ageless = instances.map(|i| Instance { last_heartbeat_ms: None, ..i });
        ageless.map(|instance| (instance.id.clone(), instance)).collect()
    }

    pub(crate) fn health(&self, id: &InstanceId) -> Option<Health> {
        self.listed().get(id).map(|instance| instance.health)
    }

    /// All events that a watcher can get now.
    pub(crate) fn events(&self, watcher: &mut Watcher) -> Vec<WatchEvent> {
        std::iter::from_fn(|| watcher.next(&self.core, self.now)).map(received).collect()
    }
}

/// A store that can be closed and opened again.
pub(crate) trait Keeper {
    fn keep(&mut self, change: &Change);
    fn reopen(&mut self) -> Stored;
}

/// What every store has to do, in the plainest way: the model that the real ones are held against.
pub(crate) struct Mirror {
    pub(crate) records: BTreeMap<InstanceId, (u64, Record)>,
    removals: Vec<Removal>,
    /// With orders and settings, without records and removals.
    head: Stored,
}

impl Mirror {
    pub(crate) fn new(mut head: Stored) -> Self {
        let records = std::mem::take(&mut head.records);
        let by_id = |(changed, record): (u64, Record)| (record.id(), (changed, record));
        let removals = std::mem::take(&mut head.removals);
        Self { records: records.into_iter().map(by_id).collect(), removals, head }
    }

    pub(crate) fn keep(&mut self, change: &Change) {
        for (revision, step) in change.numbered() {
            match step {
                Step::Put(record) => {
                    self.records.insert(record.id(), (revision, record.clone()));
                }
                Step::Remove(id) => {
                    self.records.remove(id).expect("removed once");
                    let subject = Subject::Instance(id.clone());
                    self.removals.push(Removal { revision, subject });
                }
                Step::Order(id, order) => {
                    self.head.orders.retain(|(_, known, _)| known != id);
                    let order = order.clone().map(|order| (revision, id.clone(), order));
                    self.head.orders.extend(order);
                    self.head.orders.sort_by(|(_, a, _), (_, b, _)| a.cmp(b));
                }
                Step::Set(key, settings) => {
                    self.head.settings.retain(|(_, known, _)| known != key);
                    if settings.is_empty() {
                        let subject = Subject::settings(key.clone());
                        self.removals.push(Removal { revision, subject });
                    } else {
                        self.head.settings.push((revision, key.clone(), settings.clone()));
                        self.head.settings.sort_by_key(|(_, key, _)| key.to_string());
                    }
                }
            }
        }
        self.removals.retain(|removal| removal.revision > change.floor);
        let Change { revision, floor, authoritative, .. } = *change;
        self.head = Stored { revision, floor, authoritative, ..self.head.clone() };
    }

    pub(crate) fn stored(&self) -> Stored {
        let records = self.records.values().cloned().collect();
        Stored { records, removals: self.removals.clone(), ..self.head.clone() }
    }
}

pub(crate) fn rules() -> Rules {
    Rules {
        ttl: TTL,
        max_instances: 1000,
        max_instances_per_peer: 64,
        max_orders: 50,
        keeper: Front::ONLY,
    }
}

/// An event as it arrives.
pub(crate) fn received(event: Event) -> WatchEvent {
    from_cbor(&to_cbor(&event)).unwrap()
}

pub(crate) fn lease(number: u64) -> LeaseId {
    LeaseId(NonZeroU64::new(number).unwrap())
}

pub(crate) fn peer(host: &str) -> PeerId {
    format!("spiffe://local/host/{host}").parse().unwrap()
}

pub(crate) fn id(service: &str, host: &str) -> InstanceId {
    InstanceId::new(&ServiceName::new(service).unwrap(), host)
}

pub(crate) fn instance(service: &str, host: &str) -> Instance {
    let methods = vec![MethodSummary { name: "add".into(), wit: "add: func()".into() }];
    let service = ServiceName::new(service).unwrap();
    Instance { methods, ..Instance::new(service, host, "127.0.0.1:4433") }
}
