//! What a host serves now: one immutable snapshot, swapped whole.
//!
//! A call takes the snapshot once and keeps its plugin alive by itself, so a swap never waits for
//! calls and no call sees half of one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use jackfield_wire::name::ServiceName;
use jackfield_wire::reflect::ServiceInfo;
use tokio::sync::watch;

use crate::plugin::Plugin;

/// A file that does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedFile {
    /// Its name in the folder, with control characters escaped.
    pub file: String,
    /// The service that it would be, when its name can be one.
    pub service: Option<ServiceName>,
    /// Why it does not serve, and what to do.
    pub reason: String,
}

/// One state of what is served.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    services: BTreeMap<ServiceName, Arc<Plugin>>,
    /// By the name of the file.
    rejected: BTreeMap<String, RejectedFile>,
}

impl Snapshot {
    pub(crate) fn plugin(&self, service: &str) -> Option<&Arc<Plugin>> {
        self.services.get(service)
    }

    pub(crate) fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.services.values()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(ServiceName::as_str)
    }

    pub(crate) fn rejected(&self) -> impl Iterator<Item = &RejectedFile> {
        self.rejected.values()
    }

    /// Why the newest file of `service` does not serve.
    pub(crate) fn rejection_of(&self, service: &str) -> Option<&RejectedFile> {
        self.rejected
            .values()
            .find(|file| file.service.as_ref().is_some_and(|rejected| rejected.as_str() == service))
    }

    /// What the host says of `plugin`.
    pub(crate) fn info(&self, plugin: &Plugin) -> ServiceInfo {
        let rejected = self.rejection_of(plugin.service().as_str());
        plugin.info(rejected.map(|file| file.reason.clone()))
    }

    pub(crate) fn infos(&self) -> Vec<ServiceInfo> {
        self.plugins().map(|plugin| self.info(plugin)).collect()
    }
}

/// The snapshot of now, and word of each change.
pub(crate) struct Catalog {
    now: ArcSwap<Snapshot>,
    changes: watch::Sender<u64>,
    /// Replaced or removed, with calls perhaps still running. Never held across an await.
    retired: Mutex<Vec<Weak<Plugin>>>,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        Self { now: ArcSwap::default(), changes: watch::Sender::new(0), retired: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Arc<Snapshot> {
        self.now.load_full()
    }

    /// Changes with every change of the catalog.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Serves `plugin` from `file` on; gives what it replaces. Only the reloader writes.
    pub(crate) fn serve(&self, file: &str, plugin: Arc<Plugin>) -> Option<Arc<Plugin>> {
        let mut next = (*self.now()).clone();
        next.rejected.remove(file);
        let before = next.services.insert(plugin.service().clone(), plugin);
        self.swap(next, before.as_ref());
        before
    }

    /// Notes that `file` does not serve. Says whether that is news.
    pub(crate) fn reject(&self, file: String, rejected: RejectedFile) -> bool {
        let mut next = (*self.now()).clone();
        let news = next.rejected.insert(file, rejected.clone()).as_ref() != Some(&rejected);
        if news {
            self.swap(next, None);
        }
        news
    }

    /// Forgets why `file` was rejected: its content is again what serves.
    pub(crate) fn clear(&self, file: &str) -> bool {
        let mut next = (*self.now()).clone();
        let cleared = next.rejected.remove(file).is_some();
        if cleared {
            self.swap(next, None);
        }
        cleared
    }

    /// Stops serving what `file` held; gives what served.
    pub(crate) fn withdraw(
        &self,
        file: &str,
        service: Option<&ServiceName>,
    ) -> Option<Arc<Plugin>> {
        let mut next = (*self.now()).clone();
        next.rejected.remove(file);
        let before = service.and_then(|service| next.services.remove(service));
        self.swap(next, before.as_ref());
        before
    }

    /// Tells that something changed of what serves, though the same serves.
    pub(crate) fn touch(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Versions that no longer serve and still have calls running.
    pub(crate) fn draining(&self) -> usize {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|plugin| plugin.strong_count() > 0);
        retired.len()
    }

    fn swap(&self, next: Snapshot, retired: Option<&Arc<Plugin>>) {
        if let Some(plugin) = retired {
            let mut all = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|plugin| plugin.strong_count() > 0);
            all.push(Arc::downgrade(plugin));
        }
        self.now.store(Arc::new(next));
        self.changes.send_modify(|count| *count += 1);
    }
}
