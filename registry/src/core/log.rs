//! The order of changes: what changed last at which revision.
//!
//! An instance, or a service's settings, has at most one live entry, and removals are bounded, so the log never outgrows the
//! set by more than [`Log::new`]'s `max_removals`. A watcher is no more than a revision in it: one
//! that is slow finds each instance once, in its latest state.

use std::collections::{BTreeMap, BTreeSet};

use super::subject::Subject;

/// Revisions and what they changed.
#[derive(Debug)]
pub(super) struct Log {
    latest: u64,
    /// Changes up to here are forgotten: whoever knows less needs the full set.
    floor: u64,
    entries: BTreeMap<u64, Subject>,
    removals: BTreeSet<u64>,
    max_removals: usize,
}

impl Log {
    /// A log that goes on from `revision`, with what is known of how it came there: the last change
    /// of each instance, and every removal after `floor`.
    pub(super) fn restored(
        revision: u64,
        floor: u64,
        max_removals: usize,
        changes: impl Iterator<Item = (u64, Subject)>,
        removals: impl Iterator<Item = (u64, Subject)>,
    ) -> Self {
        let removals: BTreeMap<u64, Subject> = removals.collect();
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

    /// Something changed, the last time before at `previous`; says the new revision.
    pub(super) fn upserted(&mut self, subject: Subject, previous: Option<u64>) -> u64 {
        if let Some(previous) = previous {
            self.entries.remove(&previous);
        }
        self.latest += 1;
        self.entries.insert(self.latest, subject);
        self.latest
    }

    /// Something happened that no watcher sees; says the new revision.
    pub(super) fn skip(&mut self) -> u64 {
        self.latest += 1;
        self.latest
    }

    /// Something that changed last at `previous` is gone.
    pub(super) fn removed(&mut self, subject: Subject, previous: u64) {
        let revision = self.upserted(subject, Some(previous));
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
    pub(super) fn since(&self, revision: u64) -> impl Iterator<Item = (u64, &Subject)> {
        let after = revision.saturating_add(1);
        self.entries.range(after..).map(|(number, subject)| (*number, subject))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
