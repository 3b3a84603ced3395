//! What is kept of one service: pickers, budget, latencies, and the sets computed for it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jackfield_wire::ServiceName;

use super::Wanted;
use crate::budget::{Purse, RetryBudget};
use crate::candidates::{Set, Terms};
use crate::ejector::Ejector;
use crate::filter::Filter;
use crate::picker::{Picker, PickerChoice, PickerKind};
use crate::quantile::Quantiles;
use crate::snapshot::Snapshot;

/// One service, as long as its client lives.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    /// Calls on it.
    pub(crate) in_flight: Arc<AtomicU32>,
    pub(crate) latencies: Quantiles,
    /// Held to earn or spend, never across an await.
    purse: Mutex<Purse>,
    /// Held to look up or add one, never across an await.
    pickers: Mutex<Vec<(PickerKind, Arc<dyn Picker>)>>,
    /// Held to look up or replace one, never across an await.
    sets: Mutex<Vec<Computed>>,
    /// When outliers and crowds are next looked for, in microseconds.
    next_look: AtomicU64,
}

/// A set, and what it was computed from.
#[derive(Debug)]
struct Computed {
    filter: Arc<Filter>,
    is_dialled: bool,
    /// Keeps its address in memory from another snapshot, and not what was in it: a service that is
    /// not called for long holds its own endpoints and no more.
    snapshot: Weak<Snapshot>,
    version: u64,
    set: Option<Arc<Set>>,
}

impl Service {
    pub(super) fn new(name: ServiceName, budget: RetryBudget) -> Self {
        Self {
            name,
            in_flight: Arc::default(),
            latencies: Quantiles::default(),
            purse: Mutex::new(Purse::new(budget)),
            pickers: Mutex::default(),
            sets: Mutex::default(),
            next_look: AtomicU64::new(0),
        }
    }

    /// A call begins.
    pub(crate) fn earn(&self, now: Duration) {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner).earn(now);
    }

    /// Takes one more attempt from the budget, if there is one.
    pub(crate) fn spend(&self, now: Duration) -> bool {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner).spend(now)
    }

    /// Gives back what was taken for an attempt that could not be made.
    pub(crate) fn refund(&self, now: Duration) {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner).refund(now);
    }

    /// The service's picker of this kind.
    pub(super) fn picker(&self, choice: &PickerChoice, entropy: u64) -> Arc<dyn Picker> {
        let kind = match choice {
            PickerChoice::Custom(picker) => return picker.clone(),
            PickerChoice::Kind(kind) => *kind,
        };
        let mut pickers = self.pickers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, picker)) = pickers.iter().find(|(known, _)| *known == kind) {
            return picker.clone();
        }
        let picker = kind.picker(entropy);
        pickers.push((kind, picker.clone()));
        picker
    }

    /// Those who may take a call, computed anew when the snapshot is another or somebody was left
    /// out or came back.
    pub(super) fn set(
        &self,
        snapshot: &Arc<Snapshot>,
        wanted: &Wanted<'_>,
        ejector: &Ejector,
    ) -> Option<Arc<Set>> {
        let version = ejector.version();
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let at = sets.iter().position(|set| set.is_for(wanted));
        if let Some(known) = at.map(|at| &sets[at])
            && known.snapshot.as_ptr() == Arc::as_ptr(snapshot)
            && known.version == version
        {
            return known.set.clone();
        }
        let set = self.compute(snapshot, wanted, ejector).map(Arc::new);
        let computed = Computed {
            filter: wanted.filter.clone(),
            is_dialled: wanted.is_dialled,
            snapshot: Arc::downgrade(snapshot),
            version,
            set: set.clone(),
        };
        match at {
            Some(at) => sets[at] = computed,
            None => {
                if sets.len() >= MOST_SETS {
                    sets.remove(0);
                }
                sets.push(computed);
            }
        }
        set
    }

    fn compute(&self, snapshot: &Snapshot, wanted: &Wanted<'_>, ejector: &Ejector) -> Option<Set> {
        let endpoints = super::endpoints(snapshot, wanted.service);
        let suitable = endpoints.into_iter().filter(|it| super::is_suitable(it, wanted));
        let suitable: Vec<_> = suitable.collect();
        let core = ejector.look();
        let terms =
            Terms { panic_percent: core.policy().panic_percent, in_flight: &self.in_flight };
        let bar = |it: &crate::snapshot::Endpoint| core.bar(&it.instance.id, it.address);
        Set::new(suitable.iter().copied(), wanted.filter, bar, terms)
    }

    /// Whether it is time to look for outliers and crowds: one caller in a second is told so.
    pub(super) fn is_time_to_look(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let next = self.next_look.load(Ordering::Relaxed);
        let then = now.saturating_add(LOOK_EVERY_US);
        now >= next
            && self
                .next_look
                .compare_exchange(next, then, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

impl Computed {
    fn is_for(&self, wanted: &Wanted<'_>) -> bool {
        self.is_dialled == wanted.is_dialled
            && (Arc::ptr_eq(&self.filter, wanted.filter) || self.filter == *wanted.filter)
    }
}

/// Different filters that calls of one service use at a time. With more, sets are computed more
/// often.
const MOST_SETS: usize = 16;

/// Often enough that a crowded zone overflows before its callers give up, rarely enough that a look
/// at ten thousand endpoints does not count.
const LOOK_EVERY_US: u64 = 1_000_000;
