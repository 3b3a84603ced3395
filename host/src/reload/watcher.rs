//! Hears of changes in the folder from the system, and goes on without when it cannot.
//!
//! What it hears is only a reason to look; the one thing believed of a notice is that a file was
//! renamed into place. That somebody opened or read the folder is no reason: a look does so itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::file::FolderId;

/// Notices of one folder.
pub(super) struct FolderWatcher {
    folder: PathBuf,
    watcher: Option<RecommendedWatcher>,
    notices: mpsc::Receiver<Vec<String>>,
    sender: mpsc::Sender<Vec<String>>,
    /// What the watch is on, once a look has told.
    of: Option<FolderId>,
    /// The folder that is watched was moved or removed.
    gone: Arc<AtomicBool>,
    /// Why the folder could not be watched or read, when that was said already.
    said: Option<String>,
}

impl FolderWatcher {
    pub(super) fn new(folder: PathBuf) -> Self {
        let (sender, notices) = mpsc::channel(MAX_NOTICES);
        // As notices name it.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Self { folder, watcher: None, notices, sender, of: None, gone: Arc::default(), said: None }
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

    /// A look was at this folder: when another one has taken the place of the one that is watched,
    /// by a rename or by a symbolic link that points elsewhere, the watch moves on to it.
    pub(super) fn looked_at(&mut self, folder: FolderId) {
        let moved = self.of.replace(folder).is_some_and(|before| before != folder);
        if self.gone.swap(false, Ordering::Relaxed) || moved {
            self.watcher = None;
            self.ensure();
            // What happened before the new watch is found by another look. When there is no room,
            // a notice waits already.
            let _ = self.sender.try_send(Vec::new());
        }
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
        let (folder, gone) = (self.folder.clone(), Arc::clone(&self.gone));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().is_ok_and(changes_nothing) {
                return;
            }
            if event.as_ref().is_ok_and(|event| event.paths.first() == Some(&folder)) {
                gone.store(true, Ordering::Relaxed);
            }
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

/// Whether somebody only looked. Acting on that would answer every look of this host's own with
/// another one, for ever.
fn changes_nothing(event: &Event) -> bool {
    let wrote = EventKind::Access(AccessKind::Close(AccessMode::Write));
    matches!(event.kind, EventKind::Access(_)) && event.kind != wrote
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_at_the_folder_is_not_heard_and_a_new_file_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), "a").unwrap();
        let mut watcher = FolderWatcher::new(folder.path().to_owned());
        watcher.ensure();
        for _ in 0..10 {
            super::super::file::list(folder.path()).unwrap();
            std::fs::read(folder.path().join("a.wasm")).unwrap();
        }
        let partial = folder.path().join("b.partial");
        std::fs::write(&partial, "b").unwrap();
        std::fs::rename(&partial, folder.path().join("b.wasm")).unwrap();
        // Notices come in order: were the looks heard, they would be before the rename.
        let mut before = 0;
        while watcher.notices.recv().await.unwrap() != ["b.wasm"] {
            before += 1;
        }
        assert!(before < 10, "{before} notices of a new file and its rename");
    }

    #[tokio::test]
    async fn the_watch_moves_on_to_a_folder_that_takes_the_place() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("plugins");
        std::fs::create_dir(&folder).unwrap();
        let mut watcher = FolderWatcher::new(folder.clone());
        watcher.ensure();
        watcher.looked_at(super::super::file::list(&folder).unwrap().0);
        std::fs::rename(&folder, place.path().join("old")).unwrap();
        std::fs::create_dir(&folder).unwrap();
        watcher.looked_at(super::super::file::list(&folder).unwrap().0);
        std::fs::write(place.path().join("a"), "a").unwrap();
        std::fs::rename(place.path().join("a"), folder.join("a.wasm")).unwrap();
        while watcher.notices.recv().await.unwrap() != ["a.wasm"] {}
    }
}
