//! The registry's state and its rules, without a clock, a socket, a task or a random number.
//!
//! An event is planned, then kept by the store, then applied ([`Core::apply`]). Planning changes
//! nothing, so a store that fails leaves no trace. Who holds an instance and until when lives in
//! memory alone ([`Liveness`]): heartbeats never reach the store.
//!
//! An instance ends when its owner deregisters it and then hangs up or lets a TTL pass, or when no
//! heartbeat renewed it for a TTL. A lost connection makes its instances suspect, and no more.

mod admission;
mod change;
mod list;
mod log;
mod moment;
mod plan;
mod refused;
mod timers;
mod watch;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod simulation;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use jackfield_transport::PeerId;
use jackfield_wire::InstanceId;
use jackfield_wire::registry::{Health, Revision};

pub(crate) use change::{Change, LeaseId, Plan};
pub(crate) use moment::Moment;
pub(crate) use refused::Refused;
pub(crate) use watch::Watcher;

use change::{Liveness, Record, Step};
use log::{Entry, Log};
use timers::Timers;

/// The registry's state.
#[derive(Debug)]
pub(crate) struct Core {
    rules: Rules,
    epoch: u64,
    /// The registry's own, which no instance can have.
    address: Option<SocketAddr>,
    started: Moment,
    last_tick: Moment,
    held: BTreeMap<InstanceId, Held>,
    leases: HashMap<LeaseId, BTreeSet<InstanceId>>,
    shares: HashMap<PeerId, Share>,
    timers: Timers,
    log: Log,
    counts: Counts,
}

/// What does not change in the life of a registry.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Time from a heartbeat to the end of what it named.
    pub(crate) ttl: Duration,
    /// Instances of everybody.
    pub(crate) max_instances: usize,
    /// Instances of one identity.
    pub(crate) max_instances_per_peer: usize,
}

/// Who speaks, and on which connection.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) lease: LeaseId,
    pub(crate) peer: PeerId,
    pub(crate) address: SocketAddr,
}

/// What a store held when it was opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    /// Which life of the store this is: another number whenever revisions begin anew.
    pub(crate) epoch: u64,
    /// The last revision that was kept.
    pub(crate) revision: u64,
    /// What there was.
    pub(crate) records: Vec<Record>,
}

/// How often things happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) registered: u64,
    pub(crate) deregistered: u64,
    pub(crate) suspected: u64,
    pub(crate) expired: u64,
    pub(crate) heartbeats: u64,
}

#[derive(Debug)]
struct Held {
    record: Record,
    /// The revision of its last change.
    changed: u64,
    liveness: Liveness,
    /// Where its entry in the timers is.
    armed: Option<Moment>,
}

/// What one identity takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    instances: usize,
    bytes: usize,
}

impl Core {
    /// Goes on from what a store held. What it held stays for a full TTL, as if it had just been
    /// renewed: its hosts may be alive and on their way back.
    pub(crate) fn restore(rules: Rules, now: Moment, stored: Stored) -> Self {
        let mut core = Self {
            epoch: stored.epoch,
            address: None,
            started: now,
            last_tick: now,
            held: BTreeMap::new(),
            leases: HashMap::new(),
            shares: HashMap::new(),
            timers: Timers::default(),
            log: Log::new(stored.revision, MAX_REMOVALS),
            counts: Counts::default(),
            rules,
        };
        for record in stored.records {
            let id = record.instance.id.clone();
            let expires = core.expiry(now, &record.instance);
            core.insert(record, stored.revision);
            core.set_liveness(&id, Liveness { lease: None, expires });
        }
        core
    }

    /// The registry has its socket.
    pub(crate) fn bound_to(&mut self, address: SocketAddr) {
        self.address = Some(address);
    }

    /// The state now.
    pub(crate) fn revision(&self) -> Revision {
        Revision { epoch: self.epoch, number: self.log.latest() }
    }

    /// Whether the registry has been up for a TTL, in which every living host has come back: what
    /// it does not hold is gone.
    pub(crate) fn is_authoritative(&self, now: Moment) -> bool {
        now >= self.authoritative_at()
    }

    /// When [`plan_tick`](Self::plan_tick) has something to do, at the latest.
    pub(crate) fn next_tick(&self) -> Moment {
        let pulse = self.last_tick.plus(self.rules.ttl / TICKS_PER_TTL);
        let mut next = self.timers.next().map_or(pulse, |timer| timer.min(pulse));
        if self.last_tick < self.authoritative_at() {
            next = next.min(self.authoritative_at());
        }
        next
    }

    /// How many instances there are.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// How many instances may be called now.
    pub(crate) fn available(&self) -> usize {
        self.held.values().filter(|held| held.record.instance.is_available()).count()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What the store has to keep before `plan` is applied; `None` when it changes nothing lasting.
    pub(crate) fn change(&self, plan: &Plan) -> Option<Change> {
        let steps = plan.steps.clone();
        let count = u64::try_from(steps.len()).expect("a plan is far smaller than 2^64");
        (count > 0).then(|| Change { revision: self.log.latest() + count, steps })
    }

    /// Does what was planned. Nothing may have been applied since.
    pub(crate) fn apply(&mut self, plan: Plan) {
        for step in plan.steps {
            match step {
                Step::Put(record) => self.put(record),
                Step::Remove(id) => self.remove(&id),
            }
        }
        for (id, liveness) in plan.liveness {
            self.set_liveness(&id, liveness);
        }
        if let Some(lease) = plan.ended {
            self.leases.remove(&lease);
        }
        self.counts.add(plan.counts);
    }

    fn authoritative_at(&self) -> Moment {
        self.started.plus(self.rules.ttl)
    }

    fn put(&mut self, record: Record) {
        let previous = self.held.get(&record.instance.id).map(|held| held.changed);
        let changed = self.log.upserted(entry_of(&record), previous);
        self.insert(record, changed);
    }

    fn insert(&mut self, record: Record, changed: u64) {
        let share = self.shares.entry(record.owner.clone()).or_default();
        share.instances += 1;
        share.bytes += record.bytes();
        let id = record.instance.id.clone();
        match self.held.get_mut(&id) {
            Some(held) => {
                let old = std::mem::replace(&mut held.record, record);
                held.changed = changed;
                self.release_share(&old);
            }
            None => {
                let liveness = Liveness::default();
                self.held.insert(id, Held { record, changed, liveness, armed: None });
            }
        }
    }

    fn remove(&mut self, id: &InstanceId) {
        self.set_liveness(id, Liveness::default());
        let Some(held) = self.held.remove(id) else { return };
        self.log.removed(entry_of(&held.record), held.changed);
        self.release_share(&held.record);
    }

    fn release_share(&mut self, record: &Record) {
        let Some(share) = self.shares.get_mut(&record.owner) else { return };
        share.instances -= 1;
        share.bytes -= record.bytes();
        if share.instances == 0 {
            self.shares.remove(&record.owner);
        }
    }

    fn set_liveness(&mut self, id: &InstanceId, liveness: Liveness) {
        let Some(held) = self.held.get_mut(id) else { return };
        if let Some(old) = held.liveness.lease
            && let Some(ids) = self.leases.get_mut(&old)
        {
            ids.remove(id);
        }
        if let Some(lease) = liveness.lease {
            self.leases.entry(lease).or_default().insert(id.clone());
        }
        held.liveness = liveness;
        if let Some(at) = held.armed.take() {
            self.timers.disarm(at, id);
        }
        if let Some(at) = liveness.expires {
            self.timers.arm(at, id.clone());
            held.armed = Some(at);
        }
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.registered += more.registered;
        self.deregistered += more.deregistered;
        self.suspected += more.suspected;
        self.expired += more.expired;
        self.heartbeats += more.heartbeats;
    }
}

fn entry_of(record: &Record) -> Entry {
    Entry { id: record.instance.id.clone(), service: record.instance.service.clone() }
}

fn is_draining(held: &Held) -> bool {
    held.record.instance.health == Health::Draining
}

/// How many removals a watcher may miss and still be told by a delta. About 400 bytes each.
const MAX_REMOVALS: usize = 4096;
/// Ticks come at least this often, so that a pause of the registry itself is noticed before half a
/// TTL is lost.
const TICKS_PER_TTL: u32 = 8;
