//! Going on from what a store held.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jackfield_wire::registry::{Health, Instance};
use jackfield_wire::{InstanceId, ServiceKey};

use super::change::{Front, Liveness, Record};
use super::log::{Entry, Log};
use super::tally::Tallies;
use super::timers::Timers;
use super::{Core, Counts, MAX_REMOVALS, Moment, Rules};

/// What a store held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Which life of the store this is: another number whenever revisions begin anew.
    pub(crate) epoch: u64,
    /// The last revision that was kept.
    pub(crate) revision: u64,
    /// Up to here, what was removed is forgotten.
    pub(crate) floor: u64,
    /// Whether a registry that knew everyone wrote it.
    pub(crate) authoritative: bool,
    /// What there was, each with the revision of its last change.
    pub(crate) records: Vec<(u64, Record)>,
    /// What was removed after `floor`, oldest first.
    pub(crate) removals: Vec<Removal>,
    /// Other front ends that are alive: what they keep is theirs to expire.
    pub(crate) others: BTreeSet<Front>,
}

/// An instance that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// When.
    pub(crate) revision: u64,
    pub(crate) id: InstanceId,
    pub(crate) key: ServiceKey,
}

impl Core {
    /// Goes on from what a store held. What it held is as it was and stays for a full TTL, as if it
    /// had just been renewed: its hosts may be alive and on their way back.
    pub(crate) fn restore(rules: Rules, now: Moment, stored: Stored) -> Self {
        let wait = if stored.authoritative { Default::default() } else { rules.ttl };
        let mut core = Self {
            epoch: stored.epoch,
            address: None,
            authoritative_at: now.plus(wait),
            authority_kept: stored.authoritative,
            last_tick: now,
            held: BTreeMap::new(),
            leases: HashMap::new(),
            shares: HashMap::new(),
            tallies: Tallies::default(),
            timers: Timers::default(),
            log: remember(&stored),
            counts: Counts::default(),
            others: stored.others,
            rules,
        };
        for (changed, record) in stored.records {
            let id = record.instance.id.clone();
            let expires = core.grace_of(now, &record);
            core.insert(record, changed);
            core.set_liveness(&id, Liveness { expires, ..Liveness::default() });
        }
        core
    }

    /// What said goodbye ends even where heartbeats do not decide.
    pub(super) fn grace(&self, now: Moment, instance: &Instance) -> Option<Moment> {
        match instance.health {
            Health::Draining => Some(now.plus(self.rules.ttl)),
            _ => self.expiry(now, instance),
        }
    }
}

fn remember(stored: &Stored) -> Log {
    let changes = stored.records.iter().map(|(changed, record)| (*changed, Entry::of(record)));
    let removals = stored.removals.iter().map(|removal| {
        (removal.revision, Entry { id: removal.id.clone(), key: removal.key.clone() })
    });
    Log::restored(stored.revision, stored.floor, MAX_REMOVALS, changes, removals)
}
