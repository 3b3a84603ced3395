//! Counts the stores that are open, so that whoever looks can see that none is left behind.
//!
//! A store is counted from when it is made until the last of it is gone, however its call ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many stores of a host are open. Clones count the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stores(Arc<AtomicUsize>);

impl Stores {
    /// Counts one more, for as long as the answer lives.
    pub(super) fn open(&self) -> OpenStore {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenStore(self.clone())
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One open store.
#[derive(Debug)]
pub(super) struct OpenStore(Stores);

impl Drop for OpenStore {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
