//! The private cache of compiled code: what is in it, what came from a child, what has to go.
//!
//! Entries are files that wasmtime writes and reads, by a hash of bytes, engine and settings. Beside
//! them a mark for each content says which entry is its own, so that a host knows without compiling
//! whether it is there. Above its bound the entries go that were not used for longest; never those
//! of plugins that this host has loaded.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use jackfield_wire::Generation;
use sha2::{Digest, Sha256};
use wasmtime::{Cache, CacheConfig, Engine};

/// A cache that a [`CodeStore`] keeps in bounds.
///
/// # Errors
/// When its directory cannot be made, or not for this user alone.
pub(super) fn kept(state: &Path) -> wasmtime::Result<Cache> {
    private_directory(&state.join(MARKS))?;
    let directory = state.join(ENTRIES);
    private_directory(&directory)?;
    unbounded(&directory)
}

/// A cache that wasmtime keeps in bounds, where no child fills it.
///
/// # Errors
/// As [`kept`].
pub(super) fn self_cleaning(state: &Path) -> wasmtime::Result<Cache> {
    let directory = state.join(ENTRIES);
    private_directory(&directory)?;
    let mut config = CacheConfig::new();
    config.with_directory(directory).with_files_total_size_soft_limit(MAX_BYTES);
    Cache::new(config)
}

/// A cache that nobody keeps in bounds.
///
/// # Errors
/// When the directory cannot be used.
pub(super) fn unbounded(directory: &Path) -> wasmtime::Result<Cache> {
    let mut config = CacheConfig::new();
    config
        .with_directory(directory)
        .with_files_total_size_soft_limit(u64::MAX)
        .with_file_count_soft_limit(u64::MAX);
    Cache::new(config)
}

/// Makes `directory` for this user alone: what lies there is executed without another look.
fn private_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(directory)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
}

/// The cache of one engine.
pub(super) struct CodeStore {
    entries: PathBuf,
    marks: PathBuf,
    /// Of everything besides the bytes that decides compiled code.
    engine: String,
    bound: u64,
    /// By entry. Never held across anything slow.
    used: Mutex<HashMap<PathBuf, Weak<()>>>,
}

/// An entry that is used: it is not removed while this lives.
#[derive(Clone, Debug)]
pub(crate) struct InUse(#[expect(dead_code, reason = "its life is what counts")] Arc<()>);

impl CodeStore {
    pub(super) fn new(state: &Path, engine: &Engine) -> Self {
        Self {
            entries: state.join(ENTRIES),
            marks: state.join(MARKS),
            engine: fingerprint(engine),
            bound: MAX_BYTES,
            used: Mutex::default(),
        }
    }

    /// The entry of `content`, if it is there.
    pub(super) fn find(&self, content: Generation) -> Option<InUse> {
        let entry = self.marked(&self.mark(content))?;
        let file = std::fs::File::options().append(true).open(self.entries.join(&entry)).ok()?;
        // Were it not noted, the entry might go before its time.
        let _ = file.set_modified(SystemTime::now());
        Some(self.using(entry))
    }

    /// A directory for a child to leave its code in; `None` when there is no place for one.
    pub(super) fn place(&self) -> Option<Place> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.marks.join(format!("{NEW}{}-{number}", std::process::id()));
        private_directory(&path).ok()?;
        Some(Place(path))
    }

    /// Moves what a child left in `place` into the cache, as that of `content`.
    ///
    /// # Errors
    /// When it is not there or cannot be moved.
    pub(super) fn adopt(&self, content: Generation, place: &Place) -> io::Result<InUse> {
        let made = files(&place.0)?;
        let made = made.into_iter().find(|file| file.path.extension().is_none());
        let made = made.ok_or(io::ErrorKind::NotFound)?.path;
        let target = self.entries.join(&made);
        std::fs::create_dir_all(target.parent().unwrap_or(&self.entries))?;
        std::fs::rename(place.0.join(&made), target)?;
        let mark = self.mark(content);
        let partial = place.0.join("mark");
        std::fs::write(&partial, made.as_os_str().as_encoded_bytes())?;
        std::fs::rename(partial, mark)?;
        let in_use = self.using(made);
        // What cannot be removed now is tried again with the next one.
        let _ = self.clean();
        Ok(in_use)
    }

    /// Removes what is above the bound, and what children left that were ended.
    fn clean(&self) -> io::Result<()> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, user| user.strong_count() > 0);
        let is_used = |path: &Path| used.contains_key(path);
        let gone = surplus(files(&self.entries)?, is_used, self.bound);
        drop(used);
        for path in &gone {
            let path = self.entries.join(path);
            // Whatever is still there is found again.
            let _ = std::fs::remove_file(path.with_extension("stats"));
            let _ = std::fs::remove_file(path);
        }
        self.clean_marks(!gone.is_empty())
    }

    fn clean_marks(&self, entries_went: bool) -> io::Result<()> {
        for file in std::fs::read_dir(&self.marks)? {
            let file = file?;
            let path = file.path();
            if file.file_name().to_string_lossy().starts_with(NEW) {
                let age = file.metadata().and_then(|it| it.modified()).map(|time| time.elapsed());
                if age.is_ok_and(|age| age.is_ok_and(|age| age > ABANDONED)) {
                    let _ = std::fs::remove_dir_all(path);
                }
            } else if entries_went && !self.marked(&path).is_some_and(|entry| self.has(&entry)) {
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }

    fn has(&self, entry: &Path) -> bool {
        self.entries.join(entry).exists()
    }

    fn mark(&self, content: Generation) -> PathBuf {
        self.marks.join(format!("{content}-{}", self.engine))
    }

    /// The entry that a mark names.
    fn marked(&self, mark: &Path) -> Option<PathBuf> {
        let entry = PathBuf::from(std::fs::read_to_string(mark).ok()?);
        let inside = entry.components().all(|part| matches!(part, Component::Normal(_)));
        (inside && !entry.as_os_str().is_empty()).then_some(entry)
    }

    fn using(&self, entry: PathBuf) -> InUse {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(user) = used.get(&entry).and_then(Weak::upgrade) {
            return InUse(user);
        }
        let user = Arc::new(());
        used.insert(entry, Arc::downgrade(&user));
        InUse(user)
    }
}

/// A directory for one child. Gone with what is in it when dropped.
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // If it cannot be removed, it goes with the abandoned ones.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Of all that decides compiled code besides the bytes, as wasmtime sees it.
fn fingerprint(engine: &Engine) -> String {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sha = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    Generation::of_digest(sha.0.finalize().into()).short()
}

/// A file of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CacheFile {
    /// Below the cache's directory.
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// All files below `directory`.
fn files(directory: &Path) -> io::Result<Vec<CacheFile>> {
    let mut all = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(below) = todo.pop() {
        for entry in std::fs::read_dir(directory.join(&below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            // One that went away meanwhile is not there.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() && path.components().count() < MAX_DEPTH {
                todo.push(path);
            } else if metadata.is_file() {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                all.push(CacheFile { path, size: metadata.len(), used });
            }
        }
    }
    Ok(all)
}

/// Which entries have to go when all may have `bound` bytes: those that were not used for longest,
/// down to most of it, so that not every new entry costs an old one.
fn surplus(mut all: Vec<CacheFile>, is_used: impl Fn(&Path) -> bool, bound: u64) -> Vec<PathBuf> {
    let mut total: u64 = all.iter().map(|file| file.size).sum();
    if total <= bound {
        return Vec::new();
    }
    all.retain(|file| file.path.extension().is_none() && !is_used(&file.path));
    all.sort_by_key(|file| file.used);
    let mut gone = Vec::new();
    for file in all {
        if total <= bound / 10 * 7 {
            break;
        }
        total -= file.size;
        gone.push(file.path);
    }
    gone
}

/// Wasmtime's directory, which it arranges as it likes.
const ENTRIES: &str = "compiled";

/// Ours: wasmtime removes what it does not know from its own.
const MARKS: &str = "compiling";

/// How the directories of children begin.
const NEW: &str = "new-";

/// A child's directory that is this old has no child any more: none lives for half as long.
const ABANDONED: Duration = Duration::from_secs(600);

/// Bytes of compiled code that are kept. A plugin of 230 KB has about 1 MB, compressed a third.
const MAX_BYTES: u64 = 512 << 20;

/// Directories in directories; wasmtime has two.
const MAX_DEPTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{self, CodeSettings};

    fn store(state: &Path, bound: u64) -> CodeStore {
        let engine =
            engine::compiling(CodeSettings::default(), Some(kept(state).unwrap())).unwrap();
        CodeStore { bound, ..CodeStore::new(state, &engine) }
    }

    fn content(n: u8) -> Generation {
        Generation::of_digest([n; 32])
    }

    /// As a child leaves it.
    fn made(store: &CodeStore, n: u8) -> Place {
        let place = store.place().unwrap();
        let directory = place.path().join("modules/wasmtime-x");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("entry{n}")), [n; 100]).unwrap();
        std::fs::write(directory.join(format!("entry{n}.stats")), "1").unwrap();
        place
    }

    #[test]
    fn what_a_child_made_is_found_until_its_file_goes() {
        let state = tempfile::tempdir().unwrap();
        let store = store(state.path(), 1000);
        assert!(store.find(content(1)).is_none());
        store.adopt(content(1), &made(&store, 1)).unwrap();
        assert!(store.find(content(1)).is_some());
        assert!(store.find(content(2)).is_none());
        std::fs::remove_file(state.path().join("compiled/modules/wasmtime-x/entry1")).unwrap();
        assert!(store.find(content(1)).is_none());
    }

    #[test]
    fn a_child_that_left_nothing_is_no_entry_and_leaves_nothing() {
        let state = tempfile::tempdir().unwrap();
        let store = store(state.path(), 1000);
        let place = store.place().unwrap();
        assert!(store.adopt(content(1), &place).is_err());
        drop(place);
        assert_eq!(std::fs::read_dir(state.path().join(MARKS)).unwrap().count(), 0);
    }

    #[test]
    fn above_the_bound_the_oldest_goes_and_never_one_in_use() {
        let state = tempfile::tempdir().unwrap();
        let store = store(state.path(), 350);
        let first = store.adopt(content(1), &made(&store, 1)).unwrap();
        for n in 2..10 {
            store.adopt(content(n), &made(&store, n)).unwrap();
        }
        assert!(store.find(content(1)).is_some(), "in use");
        assert!(store.find(content(2)).is_none(), "the oldest that is not");
        assert!(store.find(content(9)).is_some(), "the newest");
        drop(first);
        let marks = std::fs::read_dir(state.path().join(MARKS)).unwrap().count();
        assert!(marks <= 4, "marks go with their entries: {marks}");
    }

    #[test]
    fn a_mark_never_leads_out_of_the_cache() {
        let state = tempfile::tempdir().unwrap();
        let store = store(state.path(), 1000);
        std::fs::write(state.path().join("outside"), "x").unwrap();
        for entry in ["../outside", "/etc/hostname", ""] {
            std::fs::write(store.mark(content(1)), entry).unwrap();
            assert!(store.find(content(1)).is_none(), "{entry}");
        }
    }

    #[test]
    fn the_cache_is_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let state = tempfile::tempdir().unwrap();
        kept(state.path()).unwrap();
        for directory in [ENTRIES, MARKS] {
            let mode = std::fs::metadata(state.path().join(directory)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o700);
        }
    }
}
