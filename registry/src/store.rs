//! What outlives the process: instances, the revision, and the epoch.
//!
//! Leases and liveness never come here, so heartbeats cost no write. A store is opened by its own
//! constructor, which says what it held ([`Stored`]); from then on it sees every change, in order.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;

use crate::core::{Change, Stored};

/// Keeps changes.
pub(crate) trait Store: Send + 'static {
    /// Why a change was not kept.
    type Error: fmt::Display + Send;

    /// Keeps a change, all of it or nothing. It is acknowledged to peers only after this.
    fn keep(&mut self, change: &Change) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A store for a registry whose set ends with its process: hosts register again with the next.
///
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
    type Error = Infallible;

    async fn keep(&mut self, _: &Change) -> Result<(), Infallible> {
        Ok(())
    }
}
