//! When instances expire.
//!
//! Heartbeats are many and expiries few: a renewal does not touch the timers. Each instance that
//! can expire has one entry, at or before its end; an entry that comes due too early is moved.

use std::collections::BTreeSet;

use jackfield_wire::InstanceId;

use super::moment::Moment;

/// One entry for each instance that can expire.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Moment, InstanceId)>);

impl Timers {
    pub(super) fn arm(&mut self, at: Moment, id: InstanceId) {
        self.0.insert((at, id));
    }

    pub(super) fn disarm(&mut self, at: Moment, id: &InstanceId) {
        self.0.remove(&(at, id.clone()));
    }

    /// The first entry's time.
    pub(super) fn next(&self) -> Option<Moment> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Entries at or before `now`, earliest first.
    pub(super) fn due(&self, now: Moment) -> Vec<(Moment, InstanceId)> {
        self.0.iter().take_while(|(at, _)| *at <= now).cloned().collect()
    }
}
