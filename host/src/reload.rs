//! Folder → catalog: watches the folder, loads what is new, withdraws what is gone.
//!
//! Loads run one at a time, and compile in a process or on a thread of their own. A file that does
//! not load never replaces a version that works. Ends when told to, leaving the catalog as it is;
//! nobody waits for a compilation that nobody needs any more.

mod compat;
mod decide;
mod file;
mod load;
mod pace;
mod trial;
mod watcher;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, Left, RejectedFile};
use crate::event::HostEvent;
use crate::kept::Kept;
use crate::plugin::{self, Plugin, Rejection};
pub use compat::goes_on;
use decide::{Action, Ended, Folder};
pub(crate) use file::{is_open_to_all, manifest};
use load::Loaded;
pub(crate) use load::{Workshop, read_once};
use pace::Pace;
use watcher::FolderWatcher;

/// What a reloader works with.
pub(crate) struct Reload {
    pub(crate) folder: PathBuf,
    pub(crate) workshop: Workshop,
    pub(crate) events: broadcast::Sender<HostEvent>,
    /// True once every file of the folder has been dealt with; false while some wait.
    pub(crate) settled: watch::Sender<bool>,
}

impl Reload {
    /// Keeps the catalog as the folder is, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let watcher = FolderWatcher::new(self.folder.clone());
        let start = Instant::now();
        let (known, pace) = (Folder::default(), Pace::default());
        let task = Task { reload: self, watcher, start, known, pace, job: None };
        stop.run_until_cancelled(task.run()).await;
    }
}

struct Task {
    reload: Reload,
    watcher: FolderWatcher,
    start: Instant,
    known: Folder,
    pace: Pace,
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
            let overdue = self.pace.rests(self.start.elapsed());
            if !overdue {
                self.look().await;
            }
            self.start_load();
            let news = self.reload.settled.send_if_modified(|settled| {
                std::mem::replace(settled, self.known.is_settled()) != *settled
            });
            if news && self.known.is_settled() {
                self.tidy().await;
            }
            let wake = self.wake_in(overdue);
            tokio::select! {
                moved = self.watcher.changed() => {
                    for name in moved {
                        self.known.moved_in(file::component_of(&name));
                    }
                }
                (file, since, loaded) = finished(&mut self.job) => self.apply(file, since, loaded),
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    /// How long nothing has to be done if nothing is heard. After something was heard too early
    /// for a look, that look is to be made.
    fn wake_in(&self, overdue: bool) -> Duration {
        let now = self.start.elapsed();
        let wanted = if overdue { now } else { self.known.wake_at().unwrap_or(now + RESCAN) };
        self.pace.not_before(wanted).saturating_sub(now).min(RESCAN)
    }

    async fn look(&mut self) {
        self.watcher.ensure();
        let folder = self.reload.folder.clone();
        let start = self.start;
        let listed = tokio::task::spawn_blocking(move || {
            let from = start.elapsed();
            (file::list(&folder), from, start.elapsed())
        });
        let Ok((listed, from, to)) = listed.await else { return };
        self.pace.looked(from, to);
        let looks = match listed {
            Ok((id, looks)) => {
                self.watcher.looked_at(id);
                looks
            }
            Err(error) => return self.watcher.lost(&error.to_string()),
        };
        if !self.known.has_looked() {
            // Those that went while nobody looked.
            let names: HashSet<_> = looks.iter().map(|look| look.name.clone()).collect();
            self.keep(move |kept| kept.forget_files(|file| !names.contains(file))).await;
        }
        for action in self.known.look(to, looks) {
            match action {
                Action::Withdraw(file) => self.withdraw(file).await,
                Action::Abandon => self.job = None,
                Action::Load(_) => {}
            }
        }
    }

    fn start_load(&mut self) {
        // As of the last look: whether a file has kept still since then nobody knows.
        let Some(Action::Load(file)) = self.known.next_load(self.pace.last()) else { return };
        let mut task = JoinSet::new();
        let (workshop, folder) = (self.reload.workshop.clone(), self.reload.folder.clone());
        task.spawn(workshop.load(folder, file.clone()));
        self.job = Some(Job { file, since: Instant::now(), task });
    }

    fn catalog(&self) -> &Catalog {
        &self.reload.workshop.catalog
    }

    fn apply(&mut self, file: String, since: Instant, loaded: Loaded) {
        let ended = match &loaded {
            Loaded::New(_, _, stamp) | Loaded::Same(_, stamp) => Ended::Read(*stamp),
            Loaded::Rejected(_, Some(stamp)) => Ended::Read(*stamp),
            Loaded::Rejected(_, None) => Ended::Refused,
            Loaded::NoRoom(_) => Ended::NoRoom,
            Loaded::Unable(_) => Ended::Unable,
            Loaded::Killed(_) => Ended::Killed,
            Loaded::Changing => Ended::Changing,
        };
        if !self.known.finished(self.start.elapsed(), ended) {
            return;
        }
        match loaded {
            Loaded::New(plugin, left, _) => self.serve(&file, *plugin, left, since.elapsed()),
            Loaded::Same(generation, _) => {
                self.catalog().clear(&file, generation);
            }
            Loaded::Rejected(rejection, _)
            | Loaded::NoRoom(rejection)
            | Loaded::Unable(rejection)
            | Loaded::Killed(rejection) => self.reject(file, &rejection),
            Loaded::Changing => {}
        }
    }

    fn serve(&mut self, file: &str, plugin: Plugin, left: Option<Left>, took: Duration) {
        let (service, to) = (plugin.service().clone(), plugin.generation());
        let methods = plugin.methods().len();
        if let Some(Left { generation, .. }) = &left {
            let from = generation.short();
            tracing::warn!(%service, from, to = to.short(), "rolled back before the restart");
        }
        let change = self.catalog().serve(file, Arc::new(plugin), left);
        let took_ms = took.as_millis();
        tracing::info!(%service, generation = to.short(), methods, took_ms, "serving");
        if let Some(other) = change.other {
            self.withdrawn(&other, "its file serves another service now");
            self.known.make_room();
        }
        self.tell(match change.before {
            None => HostEvent::Loaded { service, generation: to, took },
            Some(before) => HostEvent::Replaced { service, from: before.generation(), to, took },
        });
    }

    fn reject(&self, file: String, rejection: &Rejection) {
        let reason = one_line(&rejection.to_string());
        let now = self.catalog().now();
        let serving = now.of_file(&file);
        let service = match serving {
            Some(plugin) => Some(plugin.service().clone()),
            None => plugin::service_name(file::stem(&file)).ok(),
        };
        let serving = serving.map(|plugin| plugin.generation());
        let shown = one_line(&file);
        let rejected =
            RejectedFile { file: shown.clone(), service: service.clone(), reason: reason.clone() };
        if self.catalog().reject(file, rejected) {
            let file = shown;
            tracing::warn!(file, still_serving = serving.is_some(), "rejected: {reason}");
            self.tell(HostEvent::Rejected { file, service, reason, serving });
        }
    }

    async fn withdraw(&self, file: String) {
        if let Some(before) = self.catalog().withdraw(&file) {
            self.withdrawn(&before, "its file is gone");
        }
        self.keep(move |kept| kept.forget_files(|of| of == file)).await;
    }

    /// Has what is kept between starts changed, where that may take its time.
    async fn keep(&self, change: impl FnOnce(&Kept) + Send + 'static) {
        let kept = Arc::clone(&self.reload.workshop.kept);
        // It ends early only when the runtime does.
        let _ = tokio::task::spawn_blocking(move || change(&kept)).await;
    }

    /// While nothing loads.
    async fn tidy(&self) {
        let catalog = Arc::clone(&self.reload.workshop.catalog);
        self.keep(move |kept| kept.tidy(&catalog)).await;
    }

    fn withdrawn(&self, plugin: &Plugin, why: &str) {
        let service = plugin.service().clone();
        tracing::info!(%service, "withdrawn: {why}");
        self.tell(HostEvent::Withdrawn { service });
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
