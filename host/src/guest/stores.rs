//! Counts the stores that are open, of a host and of each version, and the bytes of their memories, so
//! that whoever looks can see that none is left behind.
//!
//! A store is counted from when it is made until the last of it is gone, however its call ended.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jackfield_wire::{Generation, ServiceName};

/// How many stores of a host are open. Clones count the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stores(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    /// Those of versions that are loaded or have a store. Never held across an await.
    versions: Mutex<Vec<Arc<Version>>>,
}

/// What is open of one version.
#[derive(Debug)]
struct Version {
    service: ServiceName,
    generation: Generation,
    open: AtomicUsize,
    memory: AtomicUsize,
}

/// Stores at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoreCount {
    /// How many are open.
    pub(crate) open: usize,
    /// Bytes of their linear memories.
    pub(crate) memory: usize,
}

impl StoreCount {
    pub(crate) fn add(&mut self, other: Self) {
        self.open += other.open;
        self.memory = self.memory.saturating_add(other.memory);
    }
}

/// The stores of one version, for as long as it is loaded.
#[derive(Debug)]
pub(crate) struct VersionStores {
    all: Stores,
    version: Arc<Version>,
}

impl Stores {
    /// Those of a version that is being loaded.
    pub(crate) fn of_version(&self, service: ServiceName, generation: Generation) -> VersionStores {
        let (open, memory) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let version = Arc::new(Version { service, generation, open, memory });
        let mut all = self.0.versions.lock().unwrap_or_else(PoisonError::into_inner);
        forget_gone(&mut all);
        all.push(Arc::clone(&version));
        VersionStores { all: self.clone(), version }
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// What each version has, of those that are loaded or have one.
    pub(crate) fn by_version(&self) -> Vec<(ServiceName, Generation, StoreCount)> {
        let mut all = self.0.versions.lock().unwrap_or_else(PoisonError::into_inner);
        forget_gone(&mut all);
        let one = |version: &Arc<Version>| {
            let open = version.open.load(Ordering::Relaxed);
            let memory = version.memory.load(Ordering::Relaxed);
            (version.service.clone(), version.generation, StoreCount { open, memory })
        };
        all.iter().map(one).collect()
    }
}

/// Whoever is not here alone is loaded or has a store.
fn forget_gone(versions: &mut Vec<Arc<Version>>) {
    versions.retain(|version| Arc::strong_count(version) > 1);
}

impl VersionStores {
    /// Counts one more, for as long as the answer lives.
    pub(super) fn open(&self) -> OpenStore {
        self.all.0.open.fetch_add(1, Ordering::Relaxed);
        self.version.open.fetch_add(1, Ordering::Relaxed);
        OpenStore { all: self.all.clone(), version: Arc::clone(&self.version), memory: 0 }
    }
}

/// One open store.
#[derive(Debug)]
pub(super) struct OpenStore {
    all: Stores,
    version: Arc<Version>,
    /// What its guest has of memory, in bytes.
    memory: usize,
}

impl OpenStore {
    /// What its guest has of memory now. It does not become less before the store ends.
    pub(super) fn weighs(&mut self, memory: usize) {
        let more = memory.saturating_sub(self.memory);
        self.version.memory.fetch_add(more, Ordering::Relaxed);
        self.memory += more;
    }
}

impl Drop for OpenStore {
    fn drop(&mut self) {
        self.version.memory.fetch_sub(self.memory, Ordering::Relaxed);
        self.version.open.fetch_sub(1, Ordering::Relaxed);
        self.all.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_there_until_it_is_unloaded_and_its_last_store_is_gone() {
        let stores = Stores::default();
        let (service, generation) =
            (ServiceName::new("a").unwrap(), Generation::of_digest([1; 32]));
        let version = stores.of_version(service.clone(), generation);
        let (mut open, other) = (version.open(), version.open());
        open.weighs(7);
        open.weighs(9);
        drop((version, other));
        let count = StoreCount { open: 1, memory: 9 };
        assert_eq!(stores.by_version(), [(service, generation, count)]);
        assert_eq!(stores.count(), 1);
        drop(open);
        assert_eq!(stores.by_version(), []);
        assert_eq!(stores.count(), 0);
    }
}
