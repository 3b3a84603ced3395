//! Folder → catalog: watches the folder, loads what is new, withdraws what is gone.
//!
//! Loads run one at a time, and compile in a process or on a thread of their own. A file that does
//! not load never replaces a version that works. Ends when told to, leaving the catalog as it is;
//! nobody waits for a compilation that nobody needs any more.

mod decide;
mod file;
mod load;
mod watcher;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_wire::Generation;
use jackfield_wire::name::ServiceName;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, RejectedFile};
use crate::compile::Compile;
use crate::event::HostEvent;
use crate::limits::HostLimits;
use crate::plugin::{self, Loader, Plugin, Rejection};
use decide::{Action, Ended, Folder};
pub(crate) use file::{manifest, stem};
pub(crate) use load::read_once;
use load::{Load, Loaded};
use watcher::FolderWatcher;

/// What a reloader works with.
pub(crate) struct Reload {
    pub(crate) folder: PathBuf,
    pub(crate) loader: Loader,
    pub(crate) compile: Arc<Compile>,
    pub(crate) limits: Arc<HostLimits>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) events: broadcast::Sender<HostEvent>,
    /// True once every file of the folder has been dealt with; false while some wait.
    pub(crate) settled: watch::Sender<bool>,
}

impl Reload {
    /// Keeps the catalog as the folder is, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let watcher = FolderWatcher::new(self.folder.clone());
        let start = Instant::now();
        let task = Task { reload: self, watcher, start, known: Folder::default(), job: None };
        stop.run_until_cancelled(task.run()).await;
    }
}

struct Task {
    reload: Reload,
    watcher: FolderWatcher,
    start: Instant,
    known: Folder,
    job: Option<Job>,
}

struct Job {
    file: String,
    since: Instant,
    /// One task, which ends with this.
    task: JoinSet<Loaded>,
}

impl Task {
    async fn run(mut self) {
        loop {
            self.look().await;
            self.start_load();
            self.reload.settled.send_if_modified(|settled| {
                std::mem::replace(settled, self.known.is_settled()) != *settled
            });
            let wake = self
                .known
                .wake_at()
                .map_or(RESCAN, |at| at.saturating_sub(self.start.elapsed()).min(RESCAN));
            tokio::select! {
                moved = self.watcher.changed() => {
                    moved.into_iter().for_each(|name| self.known.moved_in(name));
                }
                (file, since, loaded) = finished(&mut self.job) => self.apply(file, since, loaded),
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    async fn look(&mut self) {
        self.watcher.ensure();
        let folder = self.reload.folder.clone();
        let looks = match tokio::task::spawn_blocking(move || file::list(&folder)).await {
            Ok(Ok((id, looks))) => {
                self.watcher.looked_at(id);
                looks
            }
            Ok(Err(error)) => return self.watcher.lost(&error.to_string()),
            Err(_) => return,
        };
        for action in self.known.look(self.start.elapsed(), looks) {
            match action {
                Action::Withdraw(file) => self.withdraw(&file),
                Action::Abandon => self.job = None,
                Action::Load(_) => {}
            }
        }
    }

    fn start_load(&mut self) {
        let Some(Action::Load(file)) = self.known.next_load(self.start.elapsed()) else { return };
        let mut task = JoinSet::new();
        let limit = self.reload.limits.plugins;
        let full = self.reload.catalog.now().names().count() >= limit;
        match plugin::service_name(stem(&file)) {
            Err(rejection) => task.spawn(async { Loaded::Rejected(rejection, None) }),
            Ok(service) if full && self.serving(&service).is_none() => {
                task.spawn(async move { Loaded::NoRoom(Rejection::TooMany { limit }) })
            }
            Ok(service) => task.spawn(self.load(&file, service).run()),
        };
        self.job = Some(Job { file, since: Instant::now(), task });
    }

    fn load(&self, file: &str, service: ServiceName) -> Load {
        Load {
            path: self.reload.folder.join(file),
            serving: self.serving(&service),
            service,
            loader: self.reload.loader.clone(),
            compile: Arc::clone(&self.reload.compile),
            limit: self.reload.limits.plugin_file,
        }
    }

    fn serving(&self, service: &ServiceName) -> Option<Generation> {
        Some(self.reload.catalog.now().plugin(service.as_str())?.generation())
    }

    fn apply(&mut self, file: String, since: Instant, loaded: Loaded) {
        let ended = match &loaded {
            Loaded::New(_, stamp) | Loaded::Same(stamp) => Ended::Read(*stamp),
            Loaded::Rejected(_, Some(stamp)) => Ended::Read(*stamp),
            Loaded::Rejected(_, None) => Ended::Refused,
            Loaded::NoRoom(_) => Ended::NoRoom,
            Loaded::Unable(_) => Ended::Unable,
            Loaded::Changing => Ended::Changing,
        };
        if !self.known.finished(self.start.elapsed(), ended) {
            return;
        }
        match loaded {
            Loaded::New(plugin, _) => self.serve(&file, *plugin, since.elapsed()),
            Loaded::Same(_) => {
                self.reload.catalog.clear(&file);
            }
            Loaded::Rejected(rejection, _)
            | Loaded::NoRoom(rejection)
            | Loaded::Unable(rejection) => self.reject(file, &rejection),
            Loaded::Changing => {}
        }
    }

    fn serve(&self, file: &str, plugin: Plugin, took: Duration) {
        let (service, to) = (plugin.service().clone(), plugin.generation());
        let methods = plugin.methods().len();
        let before = self.reload.catalog.serve(file, Arc::new(plugin));
        let took_ms = took.as_millis();
        tracing::info!(%service, generation = to.short(), methods, took_ms, "serving");
        self.tell(match before {
            None => HostEvent::Loaded { service, generation: to, took },
            Some(before) => HostEvent::Replaced { service, from: before.generation(), to, took },
        });
    }

    fn reject(&self, file: String, rejection: &Rejection) {
        let service = plugin::service_name(stem(&file)).ok();
        let reason = one_line(&rejection.to_string());
        let serving = service.as_ref().and_then(|service| self.serving(service));
        let shown = one_line(&file);
        let rejected =
            RejectedFile { file: shown.clone(), service: service.clone(), reason: reason.clone() };
        if self.reload.catalog.reject(file, rejected) {
            let file = shown;
            tracing::warn!(file, still_serving = serving.is_some(), "rejected: {reason}");
            self.tell(HostEvent::Rejected { file, service, reason, serving });
        }
    }

    fn withdraw(&self, file: &str) {
        let service = plugin::service_name(stem(file)).ok();
        if let Some(before) = self.reload.catalog.withdraw(file, service.as_ref()) {
            let service = before.service().clone();
            tracing::info!(%service, "withdrawn: its file is gone");
            self.tell(HostEvent::Withdrawn { service });
        }
    }

    fn tell(&self, event: HostEvent) {
        // Nobody has to listen.
        let _ = self.reload.events.send(event);
    }
}

/// Text with parts that a plugin's author chose, for a log: no line of it can pass for another.
fn one_line(text: &str) -> String {
    jackfield_wire::status::printable(text).replace('\n', "\\n")
}

/// Waits for the job to end, forever when there is none. Cancel safe.
async fn finished(job: &mut Option<Job>) -> (String, Instant, Loaded) {
    let Some(running) = job else { return std::future::pending().await };
    let loaded = match running.task.join_next().await {
        Some(Ok(loaded)) => loaded,
        _ => Loaded::Rejected(Rejection::Internal("the loader ended without a word".into()), None),
    };
    let Job { file, since, .. } = job.take().expect("it was there when the wait began");
    (file, since, loaded)
}

/// Time between looks when nothing is heard: where the system's notices do not work (network
/// file systems) or get lost, a change is found this late.
const RESCAN: Duration = Duration::from_secs(2);
