//! Hears of changes in the folder from the system, and goes on without when it cannot.
//!
//! What it hears is only a reason to look; the one thing believed of a notice is that a file was
//! renamed into place.

use std::path::PathBuf;

use notify::event::{EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Notices of one folder.
pub(super) struct FolderWatcher {
    folder: PathBuf,
    watcher: Option<RecommendedWatcher>,
    notices: mpsc::Receiver<Vec<String>>,
    sender: mpsc::Sender<Vec<String>>,
    /// Why the folder could not be watched or read, when that was said already.
    said: Option<String>,
}

impl FolderWatcher {
    pub(super) fn new(folder: PathBuf) -> Self {
        let (sender, notices) = mpsc::channel(MAX_NOTICES);
        Self { folder, watcher: None, notices, sender, said: None }
    }

    /// Watches the folder, if it is not watched already.
    pub(super) fn ensure(&mut self) {
        if self.watcher.is_some() {
            return;
        }
        match self.watch() {
            Ok(watcher) => {
                self.watcher = Some(watcher);
                self.said = None;
            }
            Err(error) => self.say(&error.to_string()),
        }
    }

    /// The folder could not be read: a watch on it would be of a folder that is gone.
    pub(super) fn lost(&mut self, error: &str) {
        self.watcher = None;
        self.say(error);
    }

    /// Waits for notices; gives the names of files that were renamed into place. Cancel safe.
    pub(super) async fn changed(&mut self) -> Vec<String> {
        let mut moved = self.notices.recv().await.unwrap_or_default();
        while let Ok(more) = self.notices.try_recv() {
            moved.extend(more);
        }
        moved
    }

    fn watch(&self) -> notify::Result<RecommendedWatcher> {
        let sender = self.sender.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // When there is no room, a notice waits already, and one look sees everything.
            let _ = sender.try_send(event.map(renamed).unwrap_or_default());
        })?;
        watcher.watch(&self.folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }

    fn say(&mut self, error: &str) {
        if self.said.as_deref() != Some(error) {
            let folder = self.folder.display();
            tracing::warn!(
                %folder,
                "cannot watch the plugin folder: {error}; what is loaded goes on serving, and the \
                 folder is tried again every two seconds"
            );
            self.said = Some(error.to_owned());
        }
    }
}

/// The files that an event says were renamed into place.
fn renamed(event: Event) -> Vec<String> {
    let target = match event.kind {
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => event.paths.first(),
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => event.paths.get(1),
        _ => None,
    };
    let name = target.and_then(|path| path.file_name());
    name.map(|name| name.to_string_lossy().into_owned()).into_iter().collect()
}

/// Notices that wait for a look. More of them say nothing more.
const MAX_NOTICES: usize = 256;
