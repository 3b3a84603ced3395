//! What outlives the process: instances, the revision, the epoch, and what was removed lately.
//!
//! Leases and liveness never come here, so heartbeats cost no write. A store is opened by its own
//! constructor, which says what it held ([`Stored`](crate::core::Stored)); from then on it sees
//! every change, in order, and only one at a time. A store that several registries share says what
//! the others did ([`News`]).

mod error;
mod etcd;
mod memory;
mod sqlite;

#[cfg(test)]
mod contract;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;

use crate::core::{Change, Front, Refused, Stored};

pub use error::StoreError;
pub(crate) use etcd::EtcdStore;
pub(crate) use memory::MemoryStore;
pub use sqlite::Repaired;
pub(crate) use sqlite::SqliteStore;

/// Makes a registry's SQLite file that is damaged one that can be opened, with every row that is
/// sound; the damaged one is copied into a folder beside it. Does nothing to a file that is sound.
///
/// # Errors
/// For a file that is in use, is another program's or a newer registry's, or where there is no room
/// for two more of it.
pub fn repair(path: &Path) -> Result<Repaired, StoreError> {
    sqlite::repair(path, fastrand::u64(..))
}

/// Keeps changes.
pub(crate) trait Store: Send + 'static {
    /// Whether other front ends may write to it.
    const SHARED: bool = false;

    /// Keeps a change, all of it or nothing. It is acknowledged to peers only after this.
    ///
    /// Dropped before its end, the change may or may not be kept.
    fn keep(&mut self, change: Change) -> impl Future<Output = Result<(), NotKept>> + Send;

    /// What happens in the store without this registry. Never anything, in a store of its own.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped before its end.
    fn hear(&mut self) -> impl Future<Output = News> + Send {
        std::future::pending()
    }

    /// Ends it; when this returns, another can be opened in the same place.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What happened in a store that several front ends share. To be applied before anything else is
/// planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The next change, made by another; or by this one, which had no answer.
    Kept(Change),
    /// Changes were missed: this is what there is now.
    Anew(Stored),
    /// Another front end is there.
    Came(Front),
    /// Another front end is dead, or has lost the store.
    Went(Front),
    /// These are all the other front ends.
    Fronts(BTreeSet<Front>),
    /// This one is dead to the others, who take over what it keeps; or it is alive to them again.
    Alone(bool),
}

/// Why a change was not kept. The store may be asked again at any time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotKept {
    /// There is no room for it.
    #[error("{0}")]
    Full(String),
    /// Something else went wrong; the store is as it was.
    #[error("{0}")]
    Failed(String),
    /// Nobody knows: when it was kept, [`Store::hear`] says so later.
    #[error("{0}")]
    Unsure(String),
    /// Another front end was faster: hear what it did, and plan again.
    #[error("other front ends change the registry faster than this one")]
    Behind,
}

impl From<NotKept> for Refused {
    fn from(not_kept: NotKept) -> Self {
        match not_kept {
            NotKept::Full(why) => Self::StoreFull(why),
            NotKept::Failed(why) => Self::Store(why),
            NotKept::Unsure(why) => Self::StoreUnsure(why),
            NotKept::Behind => Self::Store(not_kept.to_string()),
        }
    }
}
