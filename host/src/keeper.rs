//! Keeps instances between calls, for plugins that ask for it.
//!
//! - Fresh, the default: nothing is kept. No caller sees what another one left.
//! - Reuse: an instance serves one call at a time, and is kept until it has served so many, is ten
//!   minutes old, or was idle for half a minute.
//! - Concurrent: many calls at once in one instance (`shared`).
//! - Single: the only instance is kept as long as it can be, with what its calls left in it.
//!
//! Whatever the strategy, an instance whose call trapped, passed its deadline or lost its caller is
//! never used again, and none outlives its plugin's generation. What is kept has a place in the
//! engine's pool that no running call needs.

mod room;
mod shared;
mod tend;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::Instance;

pub(crate) use room::{NoRoom, Room, Slot};
pub(crate) use shared::{Job, Seed, Shared};
pub(crate) use tend::tend;

use crate::guest::{Guest, Output};
use crate::manifest::Instances;

/// An instance, and what it needs to serve a call.
pub(crate) struct Live {
    pub(crate) store: Store<Guest>,
    pub(crate) instance: Instance,
    pub(crate) output: Output,
    record: Record,
    /// Of an instance that is kept for good.
    _slot: Option<Slot>,
}

/// What an instance has behind it.
#[derive(Clone, Copy, Debug)]
struct Record {
    calls: u32,
    born: Instant,
}

/// An instance between two calls.
struct Kept {
    live: Live,
    since: Instant,
    _slot: Option<Slot>,
}

/// The instances of one generation of a plugin.
pub(crate) struct Keeper {
    strategy: Instances,
    room: Room,
    /// The one that was used last is the last. Never held across an await, nor while one is
    /// dropped.
    kept: Mutex<Vec<Kept>>,
    rests: AtomicBool,
    shared: Shared,
}

impl Live {
    /// A new instance, which `slot` keeps room for when it is to be kept for good.
    pub(crate) fn new(
        store: Store<Guest>,
        instance: Instance,
        output: Output,
        slot: Option<Slot>,
    ) -> Self {
        let record = Record { calls: 0, born: Instant::now() };
        Self { store, instance, output, record, _slot: slot }
    }

    /// Calls that it has served.
    pub(crate) fn calls(&self) -> u32 {
        self.record.calls
    }
}

impl Keeper {
    pub(crate) fn new(strategy: Instances, room: Room) -> Self {
        let (kept, rests) = (Mutex::default(), AtomicBool::new(false));
        Self { strategy, room, kept, rests, shared: Shared::default() }
    }

    pub(crate) fn strategy(&self) -> Instances {
        self.strategy
    }

    /// Whether all calls share what is in one instance.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.strategy, Instances::Single)
    }

    /// The instance that calls share, when the plugin asks for one.
    pub(crate) fn shared(&self) -> Option<&Shared> {
        matches!(self.strategy, Instances::Concurrent).then_some(&self.shared)
    }

    /// Room for an instance that stays.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn claim(&self) -> Result<Slot, NoRoom> {
        self.room.claim()
    }

    /// How many instances are kept and serve no call.
    pub(crate) fn idle(&self) -> usize {
        self.kept().len()
    }

    /// An instance that was kept and is good at `now`.
    pub(crate) fn take(&self, now: Instant) -> Option<Live> {
        if matches!(self.strategy, Instances::Fresh) {
            return None;
        }
        loop {
            let kept = self.kept().pop()?;
            if self.is_usable(kept.live.record, now) {
                return Some(kept.live);
            }
        }
    }

    /// Room for a new instance, if it will need it for good.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn reserve(&self) -> Result<Option<Slot>, NoRoom> {
        if self.is_single() { self.room.claim().map(Some) } else { Ok(None) }
    }

    /// Takes an instance back that has served one more call, and went well.
    pub(crate) fn put(&self, mut live: Live) {
        live.record.calls = live.record.calls.saturating_add(1);
        let now = Instant::now();
        if !self.is_usable(live.record, now) {
            return;
        }
        let slot = match self.strategy {
            Instances::Reuse { .. } => match self.room.claim_spare() {
                Some(slot) => Some(slot),
                None => return,
            },
            _ => None,
        };
        let kept = Kept { live, since: now, _slot: slot };
        let mut all = self.kept();
        // Asked under the lock: whoever rests takes what is there under it, later.
        if self.rests.load(Ordering::Relaxed) {
            drop(all);
            return drop(kept);
        }
        all.push(kept);
    }

    /// Lets go of all that is idle, and keeps nothing until [`Self::wake`]: new calls go to another
    /// generation.
    pub(crate) fn rest(&self) {
        self.rests.store(true, Ordering::Relaxed);
        self.shared.rest();
        let gone = std::mem::take(&mut *self.kept());
        drop(gone);
    }

    /// Calls come again.
    pub(crate) fn wake(&self) {
        self.rests.store(false, Ordering::Relaxed);
        self.shared.wake();
    }

    /// Lets go of what has been idle for long.
    pub(crate) fn sweep(&self, now: Instant) {
        self.shared.sweep(now);
        if self.is_single() {
            return;
        }
        let mut kept = self.kept();
        let idle = |kept: &Kept| now.saturating_duration_since(kept.since) >= MAX_IDLE;
        // The first one was idle the longest.
        let end = kept.iter().position(|kept| !idle(kept)).unwrap_or(kept.len());
        let gone: Vec<_> = kept.drain(..end).collect();
        drop(kept);
        drop(gone);
    }

    fn is_usable(&self, record: Record, now: Instant) -> bool {
        match self.strategy {
            Instances::Fresh | Instances::Concurrent => false,
            Instances::Reuse { calls } => {
                let age = now.saturating_duration_since(record.born);
                record.calls < calls.get() && age < MAX_AGE
            }
            Instances::Single => true,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A warm instance is given up when it is this old, however few calls it served: what leaks in a
/// guest goes with it, and nothing that a caller left stays for hours.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Memory of instances that a burst of calls has left is given back after this long.
const MAX_IDLE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn keeper(strategy: Instances) -> Keeper {
        Keeper::new(strategy, Room::new(2))
    }

    #[test]
    fn an_instance_is_used_for_so_many_calls_and_so_long() {
        let calls = NonZeroU32::new(3).expect("three");
        let keeper = keeper(Instances::Reuse { calls });
        let born = Instant::now();
        for (calls, age, usable) in [
            (0, Duration::ZERO, true),
            (2, MAX_AGE - Duration::from_nanos(1), true),
            (3, Duration::ZERO, false),
            (0, MAX_AGE, false),
        ] {
            assert_eq!(keeper.is_usable(Record { calls, born }, born + age), usable);
        }
    }

    #[test]
    fn the_only_instance_does_not_age_and_a_fresh_one_is_never_kept() {
        let old = Record { calls: u32::MAX, born: Instant::now() };
        let later = Instant::now() + 10 * MAX_AGE;
        assert!(keeper(Instances::Single).is_usable(old, later));
        assert!(!keeper(Instances::Fresh).is_usable(old, later));
    }

    #[test]
    fn only_instances_that_stay_need_room_before_they_are_made() {
        let room = Room::new(1);
        let single = Keeper::new(Instances::Single, room.clone());
        let slot = single.reserve().expect("room for one");
        assert!(slot.is_some());
        assert!(single.reserve().is_err());
        let fresh = Keeper::new(Instances::Fresh, room);
        assert!(fresh.reserve().expect("it needs none").is_none());
    }
}
