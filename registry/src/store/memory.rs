//! A store for a registry whose set ends with its process: hosts register again with the next.

use super::{NotKept, Store};
use crate::core::{Change, Stored};

/// It holds nothing, because the core already holds everything that a process can lose with it.
#[derive(Debug)]
pub(crate) struct MemoryStore(());

impl MemoryStore {
    /// An empty store. `epoch` must differ from that of every other life of this registry, so that
    /// no watcher resumes from another life's revision.
    pub(crate) fn open(epoch: u64) -> (Self, Stored) {
        (Self(()), Stored { epoch, ..Stored::default() })
    }
}

impl Store for MemoryStore {
    async fn keep(&mut self, _: Change) -> Result<(), NotKept> {
        Ok(())
    }

    async fn close(self) {}
}
