//! Going on from what a store held.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jackfield_wire::registry::{Health, Override, ServiceSettings};
use jackfield_wire::{InstanceId, ServiceKey};

use super::change::{Front, Liveness, Record};
use super::fleet::{Fleet, Held};
use super::log::Log;
use super::operate::{Ordered, Settings};
use super::subject::Subject;
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
    /// What operators say of instances, each with the revision that brought it.
    pub(crate) orders: Vec<(u64, InstanceId, Override)>,
    /// Settings of services, each with the revision that brought them.
    pub(crate) settings: Vec<(u64, ServiceKey, ServiceSettings)>,
    /// Other front ends that are alive: what they keep is theirs to expire.
    pub(crate) others: BTreeSet<Front>,
}

/// An instance, or settings, that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// When.
    pub(crate) revision: u64,
    pub(crate) subject: Subject,
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
            held: Fleet::default(),
            orders: BTreeMap::new(),
            settings: BTreeMap::new(),
            leases: HashMap::new(),
            shares: HashMap::new(),
            tallies: Tallies::default(),
            timers: Timers::default(),
            log: remember(&stored),
            counts: Counts::default(),
            doubts: BTreeMap::new(),
            ended: Vec::new(),
            heard_at: None,
            others: stored.others,
            rules,
        };
        for (changed, id, order) in stored.orders {
            core.orders.insert(id, Ordered { changed, order });
        }
        for (changed, key, settings) in stored.settings {
            core.insert_settings(key, Settings { changed, settings });
        }
        let mut noted = Vec::new();
        for (changed, record) in &stored.records {
            let slot = core.insert(record, *changed);
            let expires = core.held.at(slot).and_then(|held| core.grace_of(now, held));
            core.set_liveness(slot, Liveness { expires, ..Liveness::default() });
            noted.push((*changed, slot));
        }
        core.log.note(noted.into_iter());
        core
    }

    /// What said goodbye ends even where heartbeats do not decide.
    pub(super) fn grace(&self, now: Moment, held: &Held) -> Option<Moment> {
        match held.facts.health {
            Health::Draining => Some(now.plus(self.rules.ttl)),
            _ => self.expiry(now, held.facts.check_healthy),
        }
    }
}

fn remember(stored: &Stored) -> Log {
    let settings = stored.settings.iter();
    let settings = settings.map(|(changed, key, _)| (*changed, Subject::settings(key.clone())));
    let removals =
        stored.removals.iter().map(|removal| (removal.revision, removal.subject.clone()));
    Log::restored(stored.revision, stored.floor, MAX_REMOVALS, removals, settings)
}
