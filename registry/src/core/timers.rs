//! When instances expire.
//!
//! Heartbeats are many and expiries few: a renewal does not touch the timers. Each block of
//! [`BLOCK`] places has one time, at or before the first end in it; when that comes, the block is
//! looked through. So an instance costs an eighth of a byte, and is looked at once in a TTL.

use super::fleet::Slot;
use super::moment::Moment;

/// One time for each block of places.
#[derive(Debug, Default)]
pub(super) struct Timers(Vec<Option<Moment>>);

impl Timers {
    /// Something at this place ends then.
    pub(super) fn arm(&mut self, slot: Slot, at: Moment) {
        let block = slot.index() / BLOCK;
        if self.0.len() <= block {
            self.0.resize(block + 1, None);
        }
        let first = &mut self.0[block];
        *first = Some(first.map_or(at, |first| first.min(at)));
    }

    /// The first time of all. It may turn out too early.
    pub(super) fn next(&self) -> Option<Moment> {
        self.0.iter().flatten().min().copied()
    }

    /// Blocks whose time has come.
    pub(super) fn due(&self, now: Moment) -> Vec<Block> {
        let is_due = |(_, at): &(usize, &Option<Moment>)| at.is_some_and(|at| at <= now);
        self.0.iter().enumerate().filter(is_due).map(|(block, _)| Block(block)).collect()
    }

    /// When the first in a block really ends.
    pub(super) fn set(&mut self, block: Block, first: Option<Moment>) {
        self.0[block.0] = first;
    }
}

/// Places that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block(usize);

impl Block {
    pub(super) fn slots(self) -> impl Iterator<Item = Slot> {
        (self.0 * BLOCK..(self.0 + 1) * BLOCK).map(Slot::at)
    }
}

/// Few enough to look through in a microsecond, many enough that a million places have no more times
/// than a look at all of them takes microseconds.
const BLOCK: usize = 64;
