//! What a host serves now: one immutable snapshot, swapped whole.
//!
//! A call takes the snapshot once and keeps its plugin alive by itself, so a swap never waits for
//! calls and no call sees half of one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jackfield_wire::Generation;
use jackfield_wire::name::ServiceName;
use jackfield_wire::reflect::{Rollback, ServiceInfo};
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

/// One service.
#[derive(Clone)]
struct Served {
    /// The file that it is from.
    file: String,
    plugin: Arc<Plugin>,
    /// The version before, to return to. Kept whole: nothing can then be in the way of that.
    before: Option<Arc<Plugin>>,
    /// The version of the file, while the one before it serves instead.
    instead_of: Option<Left>,
    /// When the version of the file began to serve.
    since: Instant,
}

/// A version that was left for the one before it.
#[derive(Clone)]
pub(crate) struct Left {
    pub(crate) generation: Generation,
    /// What it did, when nobody ordered it.
    pub(crate) because: Option<String>,
}

/// One state of what is served.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    services: BTreeMap<ServiceName, Served>,
    /// By the name of the file.
    rejected: BTreeMap<String, RejectedFile>,
}

impl Snapshot {
    pub(crate) fn plugin(&self, service: &str) -> Option<&Arc<Plugin>> {
        self.services.get(service).map(|served| &served.plugin)
    }

    pub(crate) fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.services.values().map(|served| &served.plugin)
    }

    /// What serves from `file`.
    pub(crate) fn of_file(&self, file: &str) -> Option<&Arc<Plugin>> {
        self.services.values().find(|served| served.file == file).map(|served| &served.plugin)
    }

    /// The other file that keeps `file` from serving `service`, and its service: they are the same,
    /// or differ in case alone, which file systems and people take for the same.
    pub(crate) fn taken(&self, service: &ServiceName, file: &str) -> Option<(&str, &ServiceName)> {
        let same = |other: &ServiceName| other.as_str().eq_ignore_ascii_case(service.as_str());
        let mut others = self.services.iter().filter(|(_, served)| served.file != file);
        others.find(|(other, _)| same(other)).map(|(other, served)| (&*served.file, other))
    }

    /// The generation of the file whose place an older version has taken back.
    pub(crate) fn instead_of(&self, service: &str) -> Option<Generation> {
        Some(self.services.get(service)?.instead_of.as_ref()?.generation)
    }

    /// What that generation did, when the host returned from it by itself.
    pub(crate) fn given_up_because(&self, service: &str) -> Option<&str> {
        self.services.get(service)?.instead_of.as_ref()?.because.as_deref()
    }

    /// Each file, the generation that serves of it, and the one that was left for that.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&str, Generation, Option<&Left>)> {
        self.services
            .values()
            .map(|served| (&*served.file, served.plugin.generation(), served.instead_of.as_ref()))
    }

    /// All that serve, or could be returned to.
    pub(crate) fn generations(&self) -> impl Iterator<Item = Generation> {
        let both = |served: &'_ Served| {
            let before = served.before.as_ref().map(|before| before.generation());
            before.into_iter().chain([served.plugin.generation()])
        };
        self.services.values().flat_map(both)
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
        let rolled_back_from = self.instead_of(plugin.service().as_str());
        let because = self.given_up_because(plugin.service().as_str());
        ServiceInfo {
            rolled_back_from,
            rolled_back_because: because.map(str::to_owned),
            ..plugin.info(rejected.map(|file| file.reason.clone()))
        }
    }

    /// Takes out what is from `file`.
    fn take(&mut self, file: &str) -> Option<Arc<Plugin>> {
        let (service, _) = self.services.iter().find(|(_, served)| served.file == file)?;
        let service = service.clone();
        self.services.remove(&service).map(|served| served.plugin)
    }

    pub(crate) fn infos(&self) -> Vec<ServiceInfo> {
        self.plugins().map(|plugin| self.info(plugin)).collect()
    }
}

/// The snapshot of now, and word of each change.
pub(crate) struct Catalog {
    now: ArcSwap<Snapshot>,
    changes: watch::Sender<u64>,
    /// Held while a snapshot is made of the one before. Never held across an await.
    writing: Mutex<()>,
    /// Replaced or removed, with calls perhaps still running. Never held across an await.
    retired: Mutex<Vec<Weak<Plugin>>>,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        Self {
            now: ArcSwap::default(),
            changes: watch::Sender::new(0),
            writing: Mutex::default(),
            retired: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Arc<Snapshot> {
        self.now.load_full()
    }

    /// Changes with every change of the catalog.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Serves `plugin` from `file` on, or, if the file's content was `left` before the host was
    /// restarted, in its place.
    pub(crate) fn serve(&self, file: &str, plugin: Arc<Plugin>, left: Option<Left>) -> Change {
        let _writing = self.write();
        let mut next = (*self.now()).clone();
        next.rejected.remove(file);
        let service = plugin.service().clone();
        let before = next.services.remove(&service).map(|served| served.plugin);
        let other = next.take(file);
        let (file, since) = (file.into(), Instant::now());
        let served = Served { file, plugin, before: before.clone(), instead_of: left, since };
        next.services.insert(service, served);
        self.swap(next, before.iter().chain(&other));
        Change { before, other }
    }

    /// Returns to the version before the one that serves.
    ///
    /// # Errors
    /// What there is instead.
    pub(crate) fn roll_back(&self, service: &str) -> Result<Rollback, NoWayBack> {
        let _writing = self.write();
        let mut next = (*self.now()).clone();
        let served = next.services.get_mut(service).ok_or(NoWayBack::NotServed)?;
        let to = served.plugin.generation();
        if let Some(left) = &served.instead_of {
            return Ok(Rollback { from: left.generation, to, already: true });
        }
        let (left, done) = served.return_from(None).ok_or(NoWayBack::OnlyOne(to))?;
        self.swap(next, [&left]);
        Ok(done)
    }

    /// Returns from `plugin`, which traps, to the version before it: if it is new, if it may be
    /// given up, and if that version does not trap as well.
    pub(crate) fn give_up(&self, plugin: &Arc<Plugin>, calls: u64, why: &str) -> Option<Rollback> {
        let _writing = self.write();
        let mut next = (*self.now()).clone();
        let served = next.services.get_mut(plugin.service())?;
        let is_new = calls <= FIRST_CALLS || served.since.elapsed() <= FIRST_TIME;
        let traps_too = served.before.as_ref()?.watch().quarantine().is_some();
        let serves = Arc::ptr_eq(&served.plugin, plugin);
        if !(serves && is_new && plugin.may_be_given_up()) || traps_too {
            return None;
        }
        let (left, done) = served.return_from(Some(why.to_owned()))?;
        self.swap(next, [&left]);
        Some(done)
    }

    /// Notes that `file` does not serve. Says whether that is news.
    pub(crate) fn reject(&self, file: String, rejected: RejectedFile) -> bool {
        let _writing = self.write();
        let mut next = (*self.now()).clone();
        let news = next.rejected.insert(file, rejected.clone()).as_ref() != Some(&rejected);
        if news {
            self.swap(next, []);
        }
        news
    }

    /// Forgets why `file` was rejected: its content is again `generation`, which is known here.
    pub(crate) fn clear(&self, file: &str, generation: Generation) -> bool {
        let _writing = self.write();
        let mut next = (*self.now()).clone();
        let mut news = next.rejected.remove(file).is_some();
        let of_file = next.services.values_mut().find(|served| served.file == file);
        if let Some(served) = of_file.filter(|served| served.plugin.generation() == generation) {
            news |= served.instead_of.take().is_some();
        }
        if news {
            self.swap(next, []);
        }
        news
    }

    /// Stops serving what `file` held; gives what served.
    pub(crate) fn withdraw(&self, file: &str) -> Option<Arc<Plugin>> {
        let _writing = self.write();
        let mut next = (*self.now()).clone();
        next.rejected.remove(file);
        let before = next.take(file);
        self.swap(next, before.iter());
        before
    }

    /// Tells that something changed of what serves, though the same serves.
    pub(crate) fn touch(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Versions that no longer serve and still have calls running.
    pub(crate) fn draining(&self) -> usize {
        let now = self.now();
        let kept = |plugin: &Arc<Plugin>| {
            let kept = now.services.values().filter_map(|served| served.before.as_ref());
            kept.filter(|before| Arc::ptr_eq(before, plugin)).count()
        };
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|plugin| plugin.strong_count() > 0);
        // One more than are kept is this very look.
        let used = |plugin: &Arc<Plugin>| Arc::strong_count(plugin) > kept(plugin) + 1;
        retired.iter().filter_map(Weak::upgrade).filter(used).count()
    }

    fn write(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn swap<'a>(&self, next: Snapshot, retired: impl IntoIterator<Item = &'a Arc<Plugin>>) {
        let mut all = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|plugin| plugin.strong_count() > 0);
        // One that came back and went again is there already.
        let weak = retired.into_iter().inspect(|plugin| plugin.keeper().rest()).map(Arc::downgrade);
        let new: Vec<_> = weak.filter(|new| !all.iter().any(|old| old.ptr_eq(new))).collect();
        all.extend(new);
        drop(all);
        self.now.store(Arc::new(next));
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Served {
    /// Puts the version before in its place, if there is one; gives the one that served.
    fn return_from(&mut self, because: Option<String>) -> Option<(Arc<Plugin>, Rollback)> {
        let left = std::mem::replace(&mut self.plugin, self.before.take()?);
        let (from, to) = (left.generation(), self.plugin.generation());
        self.instead_of = Some(Left { generation: from, because });
        self.plugin.keeper().wake();
        Some((left, Rollback { from, to, already: false }))
    }
}

/// A version is new in its first minute, and for its first thousand calls: what it then does wrong
/// has to do with the change. One that worked for longer has lost something that it depends on, and
/// the version before has lost it, too.
const FIRST_TIME: Duration = Duration::from_secs(60);
const FIRST_CALLS: u64 = 1000;

/// What a new version took the place of.
pub(crate) struct Change {
    /// The version of the same service.
    pub(crate) before: Option<Arc<Plugin>>,
    /// Another service, which the file held before its manifest named this one.
    pub(crate) other: Option<Arc<Plugin>>,
}

/// There is no version to return to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoWayBack {
    /// Nor one to return from.
    NotServed,
    /// This is the only one since the host started.
    OnlyOne(Generation),
}
