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
mod fleet;
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
use jackfield_wire::registry::{Packed, Revision};
use jackfield_wire::{InstanceId, ServiceKey};

pub(crate) use admission::may_be_dialled;
pub(crate) use change::{By, Change, Front, LeaseId, Plan, Record, Step};
pub(crate) use doubt::{Found, Probe};
pub(crate) use moment::Moment;
pub(crate) use refused::Refused;
pub(crate) use scope::Scope;
pub(crate) use stored::{Removal, Stored};
pub(crate) use subject::Subject;
pub(crate) use watch::{Event, Watcher};

use change::Liveness;
use doubt::{Doubt, Ended};
use fleet::{Fleet, Held, Slot};
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
    held: Fleet,
    /// What operators say of instances, also of those that are not there.
    orders: BTreeMap<InstanceId, Ordered>,
    settings: BTreeMap<ServiceKey, Settings>,
    /// What each connection keeps alive, in order.
    leases: HashMap<LeaseId, Vec<Slot>>,
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

/// What one identity takes up.
#[derive(Clone, Debug)]
struct Share {
    instances: usize,
    bytes: usize,
    by: Arc<By>,
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
        self.held.values().filter(|held| held.available).count()
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
                Step::Put(record) => self.put(&record),
                Step::Remove(id) => self.remove(&id),
                Step::Order(id, order) => self.order(id, order),
                Step::Set(key, settings) => self.set(key, settings),
            }
        }
        for (id, liveness) in plan.liveness {
            if let Some(slot) = self.held.find(id.as_str()) {
                self.set_liveness(slot, liveness);
            }
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
        self.tidy();
    }

    fn tidy(&mut self) {
        let held = &self.held;
        self.log.tidy(|slot, revision| held.at(slot).is_some_and(|held| held.changed == revision));
    }

    fn put(&mut self, record: &Record) {
        match self.held.find(record.packed.id()) {
            Some(slot) => {
                let previous = self.held.at(slot).map(|held| held.changed);
                let changed = self.log.upserted(slot, previous);
                self.change_held(slot, record, changed);
            }
            None => {
                let slot = self.insert(record, self.log.latest() + 1);
                self.log.upserted(slot, None);
            }
        }
    }

    /// Takes in what is not there yet. The log does not know of it.
    fn insert(&mut self, record: &Record, changed: u64) -> Slot {
        let by = self.share(record);
        let slot = self.held.insert(Held::new(record, by, changed));
        self.show(slot, record);
        slot
    }

    fn change_held(&mut self, slot: Slot, record: &Record, changed: u64) {
        let liveness = self.held.at(slot).map(|held| held.liveness).unwrap_or_default();
        self.release(slot);
        let by = self.share(record);
        let mut held = Held::new(record, by, changed);
        held.liveness = liveness;
        self.held.replace(slot, held);
        self.show(slot, record);
    }

    /// Lays an operator's order over it, and counts it.
    fn show(&mut self, slot: Slot, record: &Record) {
        let id = record.id();
        if let Some(order) = self.order_for(&id) {
            let shown = order.over(&record.instance());
            self.held.overlay(slot, &shown);
        }
        let Some((key, shown)) = self.tallied(slot) else { return };
        self.tallies.add(&key, shown.digest());
    }

    fn remove(&mut self, id: &InstanceId) {
        self.doubts.remove(id);
        let Some(slot) = self.held.find(id.as_str()) else { return };
        self.set_liveness(slot, Liveness::default());
        let previous = self.held.at(slot).map_or(0, |held| held.changed);
        self.log.removed(Subject::Instance(id.clone()), previous);
        self.release(slot);
        self.held.remove(slot);
    }

    /// Counts one more of its owner's.
    fn share(&mut self, record: &Record) -> Arc<By> {
        let share = self.shares.entry(record.by.owner.clone());
        let new = || Share { instances: 0, bytes: 0, by: Arc::clone(&record.by) };
        let share = share.or_insert_with(new);
        share.instances += 1;
        share.bytes += record.bytes();
        if share.by != record.by {
            share.by = Arc::clone(&record.by);
        }
        Arc::clone(&share.by)
    }

    /// Counts it no more.
    fn release(&mut self, slot: Slot) {
        if let Some((key, shown)) = self.tallied(slot) {
            let digest = shown.digest();
            self.tallies.take(&key, digest);
        }
        let Some(held) = self.held.at(slot) else { return };
        let Some(share) = self.shares.get_mut(held.owner()) else { return };
        share.instances -= 1;
        share.bytes -= held.said().as_bytes().len();
        if share.instances == 0 {
            self.shares.remove(held.owner());
        }
    }

    fn tallied(&self, slot: Slot) -> Option<(ServiceKey, Packed)> {
        let held = self.held.at(slot)?;
        Some((held.key(), self.held.shown(slot, held).clone()))
    }

    fn set_liveness(&mut self, slot: Slot, liveness: Liveness) {
        let Some(held) = self.held.at_mut(slot) else { return };
        let old = std::mem::replace(&mut held.liveness, liveness);
        if old.lease != liveness.lease {
            self.move_lease(slot, old.lease, liveness.lease);
        }
        if let Some(at) = liveness.expires {
            self.timers.arm(slot, at);
        }
    }

    fn move_lease(&mut self, slot: Slot, old: Option<LeaseId>, new: Option<LeaseId>) {
        if let Some(slots) = old.and_then(|old| self.leases.get_mut(&old))
            && let Ok(place) = slots.binary_search(&slot)
        {
            slots.remove(place);
        }
        if let Some(new) = new {
            let slots = self.leases.entry(new).or_default();
            if let Err(place) = slots.binary_search(&slot) {
                slots.insert(place, slot);
            }
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

/// How many removals a watcher may miss and still be told by a delta. About 400 bytes each.
const MAX_REMOVALS: usize = 4096;
/// Ticks come at least this often, so that a pause of the registry itself is noticed before half a
/// TTL is lost.
const TICKS_PER_TTL: u32 = 8;
