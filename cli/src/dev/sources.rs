//! A project's sources: tells when they have changed and have come to rest.
//!
//! Notices of the system are only a reason to look, and a look every two seconds needs none. What
//! the build itself writes (`target`, `build`, installed packages, the component) and hidden files
//! do not count.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// The sources below one folder.
pub(super) struct Sources {
    dir: PathBuf,
    seen: Files,
    notices: mpsc::Receiver<()>,
    /// `None` where the system cannot tell: then only looks find changes.
    _watcher: Option<RecommendedWatcher>,
}

/// When each file changed last, and its length.
type Files = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Sources {
    /// The sources in `dir` as they are now.
    pub(super) fn of(dir: &Path) -> Self {
        let (sender, notices) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |_| {
            // When there is no room, a notice waits already.
            let _ = sender.try_send(());
        });
        let watcher = watcher.ok().map(|mut watcher| {
            watch(&mut watcher, dir);
            watcher
        });
        Self { dir: dir.to_owned(), seen: look(dir), notices, _watcher: watcher }
    }

    /// Waits until they have changed and then stayed the same for a moment; gives the files that
    /// changed, came or went, below the folder.
    ///
    /// # Cancel safety
    /// A change that was not given is given the next time.
    pub(super) async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            let mut now = look(&self.dir);
            while now != self.seen {
                sleep(REST).await;
                let later = look(&self.dir);
                if later == now {
                    let changed = difference(&self.seen, &now);
                    self.seen = now;
                    return changed;
                }
                now = later;
            }
            // A notice, or its absence: both are followed by a look.
            let _ = timeout(RESCAN, self.notices.recv()).await;
            sleep(REST).await;
        }
    }
}

/// Not recursive at the top: what is built and installed there would take thousands of watches.
fn watch(watcher: &mut RecommendedWatcher, dir: &Path) {
    // A folder that cannot be watched is found by looks.
    let _ = watcher.watch(dir, RecursiveMode::NonRecursive);
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for folder in entries.map(|entry| entry.path()).filter(|path| path.is_dir() && is_source(path))
    {
        let _ = watcher.watch(&folder, RecursiveMode::Recursive);
    }
}

fn look(dir: &Path) -> Files {
    let mut files = Files::new();
    walk(dir, DEPTH, &mut files);
    files
        .into_iter()
        .map(|(path, stamp)| (path.strip_prefix(dir).unwrap_or(&path).to_owned(), stamp))
        .collect()
}

fn walk(dir: &Path, depth: usize, files: &mut Files) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| is_source(path)) {
        // Links are not followed: they may lead round in a circle.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            if depth > 0 {
                walk(&path, depth - 1, files);
            }
        } else if files.len() < MOST {
            files.insert(path, (metadata.modified().ok(), metadata.len()));
        }
    }
}

fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let made = MADE.contains(&&*name) || name.ends_with(".wasm");
    !made && (!name.starts_with('.') || name == ".cargo")
}

fn difference(before: &Files, now: &Files) -> Vec<PathBuf> {
    let of_both = before.keys().chain(now.keys());
    let mut changed: Vec<_> =
        of_both.filter(|path| before.get(*path) != now.get(*path)).cloned().collect();
    changed.sort();
    changed.dedup();
    changed
}

/// What builds write.
const MADE: [&str; 7] = [
    "target",
    "build",
    "node_modules",
    "__pycache__",
    // Tools write them when they resolve versions.
    "Cargo.lock",
    "package-lock.json",
    "dist",
];

/// An editor writes a file in several steps, and several files at once.
const REST: Duration = Duration::from_millis(100);

/// Time between looks where nothing is heard.
const RESCAN: Duration = Duration::from_secs(2);

/// Folders in folders: sources have a few levels.
const DEPTH: usize = 16;

/// Files that are looked at. A folder with more is no plugin's, and would be slow to look at.
const MOST: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_told_once_and_what_is_built_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file("src/lib.rs", "a");
        file("gone", "");
        let mut sources = Sources::of(folder.path());
        for made in ["target/x", "build/plugin.wasm", "hello.wasm", ".git/HEAD", "Cargo.lock"] {
            file(made, "made");
        }
        assert_eq!(look(folder.path()), sources.seen);
        file("src/lib.rs", "ab");
        file("wit/new/plugin.wit", "");
        fs::remove_file(folder.path().join("gone")).unwrap();
        let expected = ["gone", "src/lib.rs", "wit/new/plugin.wit"].map(PathBuf::from);
        assert_eq!(sources.changed().await, expected);
        assert_eq!(look(folder.path()), sources.seen);
    }
}
