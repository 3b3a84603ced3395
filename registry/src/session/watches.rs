//! How many watches there are, in all and of each identity.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jackfield_transport::PeerId;

use crate::core::Refused;

/// The watches that are open.
#[derive(Debug)]
pub(crate) struct Watches {
    max: usize,
    max_per_peer: usize,
    /// Locked for moments only, never across an `.await`.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_peer: HashMap<PeerId, usize>,
}

/// One open watch. Leaves when dropped.
#[derive(Debug)]
pub(super) struct Place {
    watches: Arc<Watches>,
    peer: PeerId,
}

impl Watches {
    pub(crate) fn new(max: usize, max_per_peer: usize) -> Self {
        Self { max, max_per_peer, open: Mutex::default() }
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.open().total
    }

    pub(super) fn enter(self: &Arc<Self>, peer: &PeerId) -> Result<Place, Refused> {
        let mut open = self.open();
        if open.total >= self.max {
            return Err(Refused::WatchesFull { limit: self.max });
        }
        let of_peer = open.by_peer.get(peer).copied().unwrap_or_default();
        if of_peer >= self.max_per_peer {
            return Err(Refused::TooManyWatches {
                peer: peer.to_string(),
                limit: self.max_per_peer,
            });
        }
        open.total += 1;
        open.by_peer.insert(peer.clone(), of_peer + 1);
        Ok(Place { watches: Arc::clone(self), peer: peer.clone() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Two counters cannot be left half changed by a panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.watches.open();
        open.total -= 1;
        if let Some(count) = open.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.by_peer.remove(&self.peer);
            }
        }
    }
}
