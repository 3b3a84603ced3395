//! Counts the places of the instance pool that instances hold between calls.
//!
//! The pool has as many places beyond those of running calls; so a call that has a permit always
//! finds one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Room for instances of all plugins of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    size: u32,
    used: AtomicU32,
}

/// No place is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this host keeps {size} instances already, which is its limit; raise `idle-instances` in the \
     [host] part of its settings, or let fewer plugins keep instances"
)]
pub(crate) struct NoRoom {
    size: u32,
}

impl Room {
    pub(crate) fn new(size: u32) -> Self {
        Self(Arc::new(Shared { size, used: AtomicU32::new(0) }))
    }

    /// A place for an instance that is kept for good.
    ///
    /// # Errors
    /// When none is free.
    pub(crate) fn claim(&self) -> Result<Slot, NoRoom> {
        self.claim_below(self.0.size).ok_or(NoRoom { size: self.0.size })
    }

    /// A place for an instance that is only kept for speed: half of all at most, so that there are
    /// some for those that cannot do without.
    pub(crate) fn claim_spare(&self) -> Option<Slot> {
        self.claim_below(self.0.size / 2)
    }

    #[cfg(test)]
    fn used(&self) -> u32 {
        self.0.used.load(Ordering::Relaxed)
    }

    fn claim_below(&self, limit: u32) -> Option<Slot> {
        let next = |used: u32| (used < limit).then(|| used + 1);
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        Some(Slot(Arc::clone(&self.0)))
    }
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_come_back_and_are_not_all_for_speed() {
        let room = Room::new(4);
        let spare: Vec<_> = std::iter::from_fn(|| room.claim_spare()).collect();
        assert_eq!((spare.len(), room.used()), (2, 2));
        let kept = [room.claim(), room.claim()];
        assert!(kept.iter().all(Result::is_ok));
        assert_eq!(room.claim().unwrap_err(), NoRoom { size: 4 });
        drop(spare);
        assert!(room.claim().is_ok());
    }
}
