//! The registry's state and its rules, without a clock, a socket, a task or a random number.
//!
//! An event is planned, then kept by the store, then applied ([`Core::apply`]). Planning changes
//! nothing, so a store that fails leaves no trace. Who holds an instance and until when lives in
//! memory alone ([`Liveness`]): heartbeats never reach the store.
//!
//! An instance ends when its owner deregisters it and then hangs up or lets a TTL pass, or when no
//! heartbeat renewed it for a TTL. A lost connection makes its instances suspect, and no more. Where
//! very many fall silent at once, somebody has to look before they end ([`doubt`]).

mod admission;
mod change;
mod doubt;
mod fronts;
mod list;
mod log;
mod moment;
mod operate;
mod plan;
mod refused;
mod scope;
mod stored;
mod subject;
mod tally;
mod timers;
mod watch;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
pub(crate) mod simulation;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::PeerId;
use jackfield_wire::registry::{Digest, Health, Instance, Override, Revision};
use jackfield_wire::{InstanceId, ServiceKey, to_cbor};

pub(crate) use change::{Change, Front, LeaseId, Plan, Record, Step};
pub(crate) use doubt::{Found, Probe};
pub(crate) use moment::Moment;
pub(crate) use refused::Refused;
pub(crate) use scope::Scope;
pub(crate) use stored::{Removal, Stored};
pub(crate) use subject::Subject;
pub(crate) use watch::Watcher;

use change::Liveness;
use doubt::{Doubt, Ended};
use log::Log;
use operate::{Ordered, Settings};
use tally::Tallies;
use timers::Timers;

/// The registry's state.
#[derive(Debug)]
pub(crate) struct Core {
    rules: Rules,
    epoch: u64,
    /// The registry's own, which no instance can have.
    address: Option<SocketAddr>,
    /// From when on what is not held is gone.
    authoritative_at: Moment,
    /// Whether the store knows that.
    authority_kept: bool,
    last_tick: Moment,
    held: BTreeMap<InstanceId, Held>,
    /// What operators say of instances, also of those that are not there.
    orders: BTreeMap<InstanceId, Ordered>,
    settings: BTreeMap<ServiceKey, Settings>,
    leases: HashMap<LeaseId, BTreeSet<InstanceId>>,
    shares: HashMap<PeerId, Share>,
    tallies: Tallies,
    timers: Timers,
    log: Log,
    counts: Counts,
    /// What is kept although it is silent.
    doubts: BTreeMap<InstanceId, Doubt>,
    /// What expired within the last TTL.
    ended: Vec<Ended>,
    /// When a host was heard last.
    heard_at: Option<Moment>,
    /// The other front ends of this registry that are alive.
    others: BTreeSet<Front>,
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
    /// Instances that operators say something of.
    pub(crate) max_orders: usize,
    /// Which front end of the registry this is.
    pub(crate) keeper: Front,
}

/// Who speaks, and on which connection.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) lease: LeaseId,
    pub(crate) peer: PeerId,
    pub(crate) address: SocketAddr,
    /// Whether its orders are obeyed.
    pub(crate) operator: bool,
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
    /// As its host says.
    record: Record,
    /// As peers see it.
    shown: Shown,
    /// The revision of its last change.
    changed: u64,
    liveness: Liveness,
    /// Where its entry in the timers is.
    armed: Option<Moment>,
}

/// An instance with what an operator says of it.
#[derive(Debug)]
struct Shown {
    /// The record's own, where no operator says anything.
    instance: Arc<Instance>,
    /// Length of the encoded instance.
    bytes: usize,
    digest: Digest,
}

impl Shown {
    fn of(record: &Record, order: Option<&Override>) -> Self {
        let (instance, encoded) = match order {
            None => {
                let instance = Arc::clone(&record.instance);
                return Self { instance, bytes: record.bytes(), digest: record.digest() };
            }
            Some(order) => {
                let instance = order.over(&record.instance);
                let encoded = to_cbor(&instance);
                (Arc::new(instance), encoded)
            }
        };
        Self { instance, bytes: encoded.len(), digest: Digest::of(&encoded) }
    }
}

/// What one identity takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    instances: usize,
    bytes: usize,
}

impl Core {
    /// The registry has its socket.
    pub(crate) fn bound_to(&mut self, address: SocketAddr) {
        self.address = Some(address);
    }

    /// The state now.
    pub(crate) fn revision(&self) -> Revision {
        Revision { epoch: self.epoch, number: self.log.latest() }
    }

    /// Whether what the registry does not hold is gone: it has been up for a TTL, in which every
    /// living host has come back, or it went on from a store that such a registry wrote.
    pub(crate) fn is_authoritative(&self, now: Moment) -> bool {
        now >= self.authoritative_at
    }

    /// When [`plan_tick`](Self::plan_tick) has something to do, at the latest.
    pub(crate) fn next_tick(&self) -> Moment {
        let pulse = self.last_tick.plus(self.rules.ttl / TICKS_PER_TTL);
        let mut next = self.timers.next().map_or(pulse, |timer| timer.min(pulse));
        if !self.authority_kept {
            next = next.min(self.authoritative_at);
        }
        next
    }

    /// How many instances there are.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// How many instances may be called now.
    pub(crate) fn available(&self) -> usize {
        self.held.values().filter(|held| held.shown.instance.is_available()).count()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What the store has to keep before `plan` is applied; `None` when it changes nothing lasting.
    pub(crate) fn change(&self, plan: &Plan) -> Option<Change> {
        if plan.steps.is_empty() && !plan.authority {
            return None;
        }
        let latest = self.log.latest();
        let removals: Vec<u64> = (latest + 1..)
            .zip(&plan.steps)
            .filter_map(|(revision, step)| step.removes().then_some(revision))
            .collect();
        let count = u64::try_from(plan.steps.len()).expect("a plan is far smaller than 2^64");
        Some(Change {
            revision: latest + count,
            floor: self.log.floor_after(&removals),
            authoritative: self.authority_kept || plan.authority,
            steps: plan.steps.clone(),
        })
    }

    /// Does what was planned. Nothing may have been applied since.
    pub(crate) fn apply(&mut self, plan: Plan) {
        for step in plan.steps {
            match step {
                Step::Put(record) => self.put(record),
                Step::Remove(id) => self.remove(&id),
                Step::Order(id, order) => self.order(id, order),
                Step::Set(key, settings) => self.set(key, settings),
            }
        }
        for (id, liveness) in plan.liveness {
            self.set_liveness(&id, liveness);
        }
        for (id, doubt) in plan.doubts {
            match doubt {
                Some(doubt) => drop(self.doubts.insert(id, doubt)),
                None => drop(self.doubts.remove(&id)),
            }
        }
        for lease in plan.lost {
            self.leases.remove(&lease);
        }
        self.ended.extend(plan.ended);
        self.authority_kept |= plan.authority;
        self.counts.add(plan.counts);
    }

    fn put(&mut self, record: Record) {
        let previous = self.held.get(&record.instance.id).map(|held| held.changed);
        let subject = Subject::Instance(record.instance.id.clone());
        let changed = self.log.upserted(subject, previous);
        self.insert(record, changed);
    }

    fn insert(&mut self, record: Record, changed: u64) {
        let share = self.shares.entry(record.owner.clone()).or_default();
        share.instances += 1;
        share.bytes += record.bytes();
        let id = record.instance.id.clone();
        let shown = Shown::of(&record, self.order_for(&id));
        self.tallies.add(&shown.instance, shown.digest);
        match self.held.get_mut(&id) {
            Some(held) => {
                let old = std::mem::replace(&mut held.record, record);
                let old_shown = std::mem::replace(&mut held.shown, shown);
                held.changed = changed;
                self.release(&old, &old_shown);
            }
            None => {
                let liveness = Liveness::default();
                self.held.insert(id, Held { record, shown, changed, liveness, armed: None });
            }
        }
    }

    fn remove(&mut self, id: &InstanceId) {
        self.set_liveness(id, Liveness::default());
        self.doubts.remove(id);
        let Some(held) = self.held.remove(id) else { return };
        self.log.removed(Subject::Instance(id.clone()), held.changed);
        self.release(&held.record, &held.shown);
    }

    fn release(&mut self, record: &Record, shown: &Shown) {
        self.tallies.take(&shown.instance, shown.digest);
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

fn is_draining(held: &Held) -> bool {
    held.record.instance.health == Health::Draining
}

/// How many removals a watcher may miss and still be told by a delta. About 400 bytes each.
const MAX_REMOVALS: usize = 4096;
/// Ticks come at least this often, so that a pause of the registry itself is noticed before half a
/// TTL is lost.
const TICKS_PER_TTL: u32 = 8;
