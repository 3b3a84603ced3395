//! What outlives the process: instances, the revision, the epoch, and what was removed lately.
//!
//! Leases and liveness never come here, so heartbeats cost no write. A store is opened by its own
//! constructor, which says what it held ([`Stored`](crate::core::Stored)); from then on it sees
//! every change, in order, and only one at a time.

mod error;
mod memory;
mod sqlite;

#[cfg(test)]
mod contract;

use std::future::Future;

use crate::core::{Change, Refused};

pub use error::StoreError;
pub(crate) use memory::MemoryStore;
pub(crate) use sqlite::SqliteStore;

/// Keeps changes.
pub(crate) trait Store: Send + 'static {
    /// Keeps a change, all of it or nothing. It is acknowledged to peers only after this.
    ///
    /// Dropped before its end, the change may or may not be kept.
    fn keep(&mut self, change: Change) -> impl Future<Output = Result<(), NotKept>> + Send;

    /// Ends it; when this returns, another can be opened in the same place.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Why a change was not kept. The store is as it was, and may be asked again at any time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotKept {
    /// There is no room for it.
    #[error("{0}")]
    Full(String),
    /// Something else went wrong.
    #[error("{0}")]
    Failed(String),
}

impl From<NotKept> for Refused {
    fn from(not_kept: NotKept) -> Self {
        match not_kept {
            NotKept::Full(why) => Self::StoreFull(why),
            NotKept::Failed(why) => Self::Store(why),
        }
    }
}
