//! The order of changes: which instance changed last at which revision.
//!
//! An instance has at most one live entry, and removals are bounded, so the log never outgrows the
//! set by more than [`Log::new`]'s `max_removals`. A watcher is no more than a revision in it: one
//! that is slow finds each instance once, in its latest state.

use std::collections::{BTreeMap, BTreeSet};

use jackfield_wire::{InstanceId, ServiceKey};

use super::change::Record;

/// Revisions and what they changed.
#[derive(Debug)]
pub(super) struct Log {
    latest: u64,
    /// Changes up to here are forgotten: whoever knows less needs the full set.
    floor: u64,
    entries: BTreeMap<u64, Entry>,
    removals: BTreeSet<u64>,
    max_removals: usize,
}

/// What a revision did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: InstanceId,
    pub(super) key: ServiceKey,
}

impl Entry {
    pub(super) fn of(record: &Record) -> Self {
        Self { id: record.instance.id.clone(), key: record.instance.key() }
    }
}

impl Log {
    /// A log that goes on from `revision`, with what is known of how it came there: the last change
    /// of each instance, and every removal after `floor`.
    pub(super) fn restored(
        revision: u64,
        floor: u64,
        max_removals: usize,
        changes: impl Iterator<Item = (u64, Entry)>,
        removals: impl Iterator<Item = (u64, Entry)>,
    ) -> Self {
        let removals: BTreeMap<u64, Entry> = removals.collect();
        let mut log = Self {
            latest: revision,
            floor,
            entries: changes.filter(|(changed, _)| *changed > floor).collect(),
            removals: removals.keys().copied().collect(),
            max_removals,
        };
        log.entries.extend(removals);
        log
    }

    /// The floor once removals at these revisions, the newest of all, have followed.
    pub(super) fn floor_after(&self, newest: &[u64]) -> u64 {
        let excess = (self.removals.len() + newest.len()).saturating_sub(self.max_removals);
        let forgotten = self.removals.iter().chain(newest).take(excess).last();
        forgotten.map_or(self.floor, |last| (*last).max(self.floor))
    }

    pub(super) fn latest(&self) -> u64 {
        self.latest
    }

    /// Whether all changes since `revision` are known.
    pub(super) fn reaches(&self, revision: u64) -> bool {
        (self.floor..=self.latest).contains(&revision)
    }

    /// An instance changed, the last time before at `previous`; says the new revision.
    pub(super) fn upserted(&mut self, entry: Entry, previous: Option<u64>) -> u64 {
        if let Some(previous) = previous {
            self.entries.remove(&previous);
        }
        self.latest += 1;
        self.entries.insert(self.latest, entry);
        self.latest
    }

    /// An instance that changed last at `previous` is gone.
    pub(super) fn removed(&mut self, entry: Entry, previous: u64) {
        let revision = self.upserted(entry, Some(previous));
        self.removals.insert(revision);
        if self.removals.len() > self.max_removals
            && let Some(oldest) = self.removals.pop_first()
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, floor: u64) {
        self.floor = floor;
        while let Some(entry) = self.entries.first_entry()
            && *entry.key() <= floor
        {
            entry.remove();
        }
    }

    /// What changed after `revision`, oldest first.
    pub(super) fn since(&self, revision: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let after = revision.saturating_add(1);
        self.entries.range(after..).map(|(number, entry)| (*number, entry))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
