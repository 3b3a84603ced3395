//! The order of changes: what changed last at which revision.
//!
//! An instance, or a service's settings, has at most one live entry, and removals are bounded.
//! Outdated entries stay until a quarter of all are, so that a change costs no search; whoever reads
//! the log holds each entry against what it is about. A watcher is no more than a revision in it: one
//! that is slow finds each instance once, in its latest state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::fleet::Slot;
use super::subject::Subject;

/// Revisions and what they changed.
#[derive(Debug)]
pub(super) struct Log {
    latest: u64,
    /// Changes up to here are forgotten: whoever knows less needs the full set.
    floor: u64,
    /// In the order of revisions.
    entries: VecDeque<(u64, Entry)>,
    /// What the entries that are not of an instance's place are about.
    others: BTreeMap<u64, Subject>,
    /// Entries that something newer has followed, at least.
    outdated: usize,
    removals: BTreeSet<u64>,
    max_removals: usize,
}

/// As the log keeps it: 16 bytes with its revision.
#[derive(Clone, Copy, Debug)]
enum Entry {
    At(Slot),
    Other,
}

/// What a revision was about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Logged<'a> {
    /// The instance at this place, if it changed last at that revision.
    At(Slot),
    /// Settings, or something that was removed.
    Other(&'a Subject),
}

impl Log {
    /// A log that goes on from `revision`, with every removal after `floor`, and settings. Instances
    /// are [noted](Self::note) afterwards.
    pub(super) fn restored(
        revision: u64,
        floor: u64,
        max_removals: usize,
        removals: impl Iterator<Item = (u64, Subject)>,
        settings: impl Iterator<Item = (u64, Subject)>,
    ) -> Self {
        let mut others: BTreeMap<u64, Subject> = removals.collect();
        let removals = others.keys().copied().collect();
        others.extend(settings.filter(|(changed, _)| *changed > floor));
        let entries = others.keys().map(|revision| (*revision, Entry::Other)).collect();
        Self { latest: revision, floor, entries, others, outdated: 0, removals, max_removals }
    }

    /// Instances changed last at these revisions.
    pub(super) fn note(&mut self, changes: impl Iterator<Item = (u64, Slot)>) {
        let floor = self.floor;
        let known = changes.filter(|(changed, _)| *changed > floor);
        self.entries.extend(known.map(|(changed, slot)| (changed, Entry::At(slot))));
        self.entries.make_contiguous().sort_unstable_by_key(|(revision, _)| *revision);
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

    /// The instance at this place changed, the last time before at `previous`; says the new revision.
    pub(super) fn upserted(&mut self, slot: Slot, previous: Option<u64>) -> u64 {
        self.add(Entry::At(slot), previous)
    }

    /// Settings changed, the last time before at `previous`; says the new revision.
    pub(super) fn set(&mut self, subject: Subject, previous: Option<u64>) -> u64 {
        let revision = self.add(Entry::Other, previous);
        self.others.insert(revision, subject);
        revision
    }

    /// Something happened that no watcher sees; says the new revision.
    pub(super) fn skip(&mut self) -> u64 {
        self.latest += 1;
        self.latest
    }

    /// Something that changed last at `previous` is gone.
    pub(super) fn removed(&mut self, subject: Subject, previous: u64) {
        let revision = self.set(subject, Some(previous));
        self.removals.insert(revision);
        if self.removals.len() > self.max_removals
            && let Some(oldest) = self.removals.pop_first()
        {
            self.forget(oldest);
        }
    }

    /// What changed after `revision`, oldest first. May have entries that something newer followed.
    pub(super) fn since(&self, revision: u64) -> impl Iterator<Item = (u64, Logged<'_>)> {
        let first = self.entries.partition_point(|(changed, _)| *changed <= revision);
        self.entries.range(first..).filter_map(|(changed, entry)| match entry {
            Entry::At(slot) => Some((*changed, Logged::At(*slot))),
            Entry::Other => Some((*changed, Logged::Other(self.others.get(changed)?))),
        })
    }

    /// Drops outdated entries, once they are many; `is_live` says of a place whether it changed last
    /// at a revision.
    pub(super) fn tidy(&mut self, is_live: impl Fn(Slot, u64) -> bool) {
        if self.outdated <= FEW_OUTDATED + self.entries.len() / 4 {
            return;
        }
        let others = &self.others;
        self.entries.retain(|(revision, entry)| match entry {
            Entry::At(slot) => is_live(*slot, *revision),
            Entry::Other => others.contains_key(revision),
        });
        self.outdated = 0;
    }

    fn add(&mut self, entry: Entry, previous: Option<u64>) -> u64 {
        if let Some(previous) = previous.filter(|previous| *previous > self.floor) {
            self.others.remove(&previous);
            self.outdated += 1;
        }
        self.latest += 1;
        self.entries.push_back((self.latest, entry));
        self.latest
    }

    fn forget(&mut self, floor: u64) {
        self.floor = floor;
        let forgotten = self.entries.partition_point(|(revision, _)| *revision <= floor);
        self.entries.drain(..forgotten);
        self.others = self.others.split_off(&(floor + 1));
        // Some of them may have been among those that were just dropped.
        self.outdated = self.outdated.min(self.entries.len());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// So many outdated entries are never worth a look at all: 16 KiB.
const FEW_OUTDATED: usize = 1024;

/// The most entries that there can be beside so many live ones.
#[cfg(test)]
pub(super) fn most_entries(live: usize) -> usize {
    (live + FEW_OUTDATED) * 4 / 3 + 1
}
