//! How many exchanges a peer may have open at once: few at first, more when it uses them.
//!
//! quinn keeps two table entries for each stream that a peer may open, whether it does or not: 1,024
//! of them are 86 KB of every connection, most of which never have two exchanges at a time.

use std::{mem, time::Instant};

use quinn::{Connection, VarInt};

use crate::limits::FIRST_STREAMS;

/// How many exchanges the peer of one connection may have open.
pub(super) struct Width {
    granted: u32,
    most: u32,
    /// How many exchanges will have been taken at the next look.
    next: u64,
    /// When the last look was.
    since: Instant,
}

impl Width {
    /// Of a new connection, which may grow to `most`.
    pub(super) fn new(most: u32) -> Self {
        let granted = most.min(FIRST_STREAMS);
        Self { granted, most, next: u64::from(granted / 2), since: Instant::now() }
    }

    /// Looks after each half of what is granted, so that most exchanges cost nothing. The peer gets
    /// four times as many when it sent that half within two round trips, because then the limit may
    /// be what slows it down, or when as many as that are unfinished.
    pub(super) fn look(&mut self, taken: u64, unfinished: usize, connection: &Connection) {
        if self.granted == self.most || taken < self.next {
            return;
        }
        let took = mem::replace(&mut self.since, Instant::now()).elapsed();
        if unfinished >= self.granted as usize / 2 || took <= 2 * connection.rtt() {
            self.granted = self.granted.saturating_mul(4).min(self.most);
            connection.set_max_concurrent_bi_streams(VarInt::from_u32(self.granted));
        }
        self.next = taken + u64::from(self.granted / 2);
    }
}
