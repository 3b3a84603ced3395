//! What a host keeps so that a rollback survives its restart: the versions that it may return to,
//! as they were read, and which content is refused for which of them.
//!
//! It lies in the private state folder, in a directory for each host and plugin folder. A version's
//! file has its generation for a name, a hash of all that is in it, and is held against that before
//! anything is made of it. Files come by rename: none is ever half there. A version stays for as
//! long as the catalog or a rollback has a use for it, a rollback until other content of its file
//! serves or the file is gone. What cannot be kept is said in the log and is no reason not to serve.

use std::collections::{BTreeMap, HashSet};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use jackfield_wire::Generation;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, Left};
use crate::plugin;
use crate::reload;

/// The kept versions of one host and folder. Its work blocks: it is for threads that serve nobody.
pub(crate) struct Kept {
    /// None when it could not be made: nothing is kept then.
    directory: Option<PathBuf>,
    /// Longest file of a version.
    longest: u64,
    /// Held while files are written: what is kept follows the catalog in its order. Never held
    /// across an await.
    known: Mutex<Known>,
}

/// What is there.
#[derive(Default)]
struct Known {
    /// By the name of the file in the plugin folder.
    rollbacks: BTreeMap<String, KeptRollback>,
    /// Versions, and the bytes of their files.
    versions: usize,
    bytes: u64,
}

/// A rollback, by which a file's content is refused and the version before it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptRollback {
    /// The file's name in the plugin folder.
    file: String,
    /// The generation of the content that is refused.
    pub(crate) refused: Generation,
    /// What it did, when nobody ordered the rollback.
    pub(crate) because: Option<String>,
    /// The generation that serves instead.
    pub(crate) serves: Generation,
}

/// A version as it was read.
pub(crate) struct KeptVersion {
    pub(crate) manifest: String,
    pub(crate) component: Vec<u8>,
}

impl Kept {
    /// What the host `host` over `folder` kept in `state`. `longest` is how long a component may be.
    pub(crate) fn open(state: &Path, host: &str, folder: &Path, longest: u64) -> Self {
        let all = state.join(DIRECTORY);
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let of_whom = [host.as_bytes(), b"\0", folder.as_os_str().as_encoded_bytes()].concat();
        let directory = all.join(plugin::generation(&of_whom).to_string());
        let opened = make(&directory).and_then(|()| {
            forget_hosts(&all, &directory)?;
            Known::read(&directory)
        });
        let (directory, known) = match opened {
            Ok(known) => (Some(directory), known),
            Err(error) => {
                tracing::warn!(
                    directory = %directory.display(),
                    "a rollback will not survive a restart of this host: {error}"
                );
                (None, Known::default())
            }
        };
        let longest = longest.saturating_add(MAX_HEADER);
        Self { directory, longest, known: Mutex::new(known) }
    }

    /// Keeps nothing: for a plugin that is loaded once, and always as its file has it.
    pub(crate) fn nothing() -> Self {
        Self { directory: None, longest: 0, known: Mutex::default() }
    }

    /// The rollback of `file`, if there is one of just this content.
    pub(crate) fn rollback(&self, file: &str, content: Generation) -> Option<KeptRollback> {
        self.lock().rollbacks.get(file).filter(|kept| kept.refused == content).cloned()
    }

    /// The version `generation`.
    ///
    /// # Errors
    /// When it is not there, or is not what was kept.
    pub(crate) fn version(&self, generation: Generation) -> io::Result<KeptVersion> {
        let path = self.path_of(generation).ok_or(io::ErrorKind::NotFound)?;
        let bytes = reload::read_once(&path, self.longest)
            .map_err(|rejection| io::Error::other(rejection.to_string()))?;
        let spoilt = || io::Error::new(io::ErrorKind::InvalidData, "it is not what was kept");
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(spoilt)?;
        let manifest: String = serde_json::from_slice(&bytes[..end]).map_err(|_| spoilt())?;
        let component = bytes[end + 1..].to_vec();
        match plugin::generation_under(&manifest, &component) == generation {
            true => Ok(KeptVersion { manifest, component }),
            false => Err(spoilt()),
        }
    }

    /// Keeps a version that is about to serve, for the time when another has taken its place.
    pub(crate) fn keep(&self, generation: Generation, manifest: &str, component: &[u8]) {
        let Some(path) = self.path_of(generation) else { return };
        if let Err(error) = self.lock().write_version(&path, manifest, component) {
            let generation = generation.short();
            tracing::warn!(generation, "a rollback to it will not survive a restart: {error}");
        }
    }

    /// Notes which rollbacks there are now, and forgets those that are over.
    pub(crate) fn follow(&self, catalog: &Catalog) {
        let Some(directory) = &self.directory else { return };
        let rollbacks = &mut self.lock().rollbacks;
        // Taken behind the lock, so that no older state is written over a newer one.
        let now = catalog.now();
        for (file, serves, left) in now.versions() {
            let wanted = left.map(|Left { generation, because }| KeptRollback {
                file: file.to_owned(),
                refused: *generation,
                because: because.clone(),
                serves,
            });
            if rollbacks.get(file) == wanted.as_ref() {
                continue;
            }
            match wanted {
                None => forget(directory, rollbacks, file),
                Some(rollback) => {
                    if let Err(error) = self.write_rollback(directory, &rollback) {
                        tracing::warn!(file, "its rollback will not survive a restart: {error}");
                    }
                    // Also what could not be written, or each change would try and say so again.
                    rollbacks.insert(file.to_owned(), rollback);
                }
            }
        }
    }

    fn write_rollback(&self, directory: &Path, rollback: &KeptRollback) -> io::Result<()> {
        let version = self.path_of(rollback.serves).filter(|path| path.exists());
        version.ok_or_else(|| io::Error::other("there is no copy of the version to serve"))?;
        let json = serde_json::to_vec(rollback).map_err(io::Error::other)?;
        replace(&record(directory, &rollback.file), &[&json], Durable::Yes)
    }

    /// Forgets the rollbacks of files for which `is_gone` says so.
    pub(crate) fn forget_files(&self, is_gone: impl Fn(&str) -> bool) {
        let Some(directory) = &self.directory else { return };
        let rollbacks = &mut self.lock().rollbacks;
        let gone: Vec<_> = rollbacks.keys().filter(|file| is_gone(file)).cloned().collect();
        for file in gone {
            forget(directory, rollbacks, &file);
        }
    }

    /// Removes the versions that neither the catalog nor a rollback has a use for. Only while
    /// nothing loads: what loads is kept before it is in the catalog.
    pub(crate) fn tidy(&self, catalog: &Catalog) {
        let Some(directory) = &self.directory else { return };
        let mut known = self.lock();
        let now = catalog.now();
        let recorded = known.rollbacks.values().map(|rollback| rollback.serves);
        let used: HashSet<_> = now.generations().chain(recorded).map(|it| it.to_string()).collect();
        let Ok(files) = std::fs::read_dir(directory) else { return };
        (known.versions, known.bytes) = (0, 0);
        for file in files.flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(RECORD) {
                continue;
            }
            let length = file.metadata().map_or(0, |metadata| metadata.len());
            if used.contains(&*name) || std::fs::remove_file(file.path()).is_err() {
                known.versions += 1;
                known.bytes += length;
            }
        }
    }

    fn path_of(&self, generation: Generation) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join(generation.to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what the catalog's changes call for, until `stop`, and then what is new since.
pub(crate) async fn follow(kept: Arc<Kept>, catalog: Arc<Catalog>, stop: CancellationToken) {
    let mut changes = catalog.changes();
    loop {
        let last = stop.run_until_cancelled(changes.changed()).await.is_none();
        let (kept, catalog) = (Arc::clone(&kept), Arc::clone(&catalog));
        // It ends early only when the runtime does.
        let _ = tokio::task::spawn_blocking(move || kept.follow(&catalog)).await;
        if last {
            return;
        }
    }
}

impl Known {
    fn read(directory: &Path) -> io::Result<Self> {
        let mut known = Self::default();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            if name.starts_with(DRAFT) {
                // Somebody was killed while writing it.
                let _ = std::fs::remove_file(&path);
            } else if name.ends_with(RECORD) {
                known.read_rollback(&path);
            } else {
                known.versions += 1;
                known.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        Ok(known)
    }

    fn read_rollback(&mut self, path: &Path) {
        let bytes = reload::read_once(path, MAX_HEADER).map_err(|error| error.to_string());
        let read = |bytes: Vec<u8>| -> Result<KeptRollback, _> {
            serde_json::from_slice(&bytes).map_err(|error| error.to_string())
        };
        match bytes.and_then(read) {
            Ok(rollback) => drop(self.rollbacks.insert(rollback.file.clone(), rollback)),
            Err(error) => {
                tracing::warn!(file = %path.display(), "a rollback is forgotten: {error}");
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn write_version(&mut self, path: &Path, manifest: &str, component: &[u8]) -> io::Result<()> {
        if path.exists() {
            return Ok(());
        }
        let header = serde_json::to_vec(manifest)?;
        let bytes = self.bytes + header.len() as u64 + 1 + component.len() as u64;
        if self.versions >= MAX_VERSIONS || bytes > MAX_BYTES {
            return Err(io::Error::other("there is no room for its copy in the state folder"));
        }
        replace(path, &[&header, b"\n", component], Durable::No)?;
        (self.versions, self.bytes) = (self.versions + 1, bytes);
        Ok(())
    }
}

fn forget(directory: &Path, rollbacks: &mut BTreeMap<String, KeptRollback>, file: &str) {
    if rollbacks.remove(file).is_some() {
        let path = record(directory, file);
        let removed = std::fs::remove_file(&path);
        if let Err(error) = removed.or_else(absent) {
            tracing::warn!(file = %path.display(), "cannot forget a rollback: {error}");
        }
    }
}

/// What could not be written is not there.
fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Where the rollback of `file` is noted: by a hash, because anything may be in a file's name.
fn record(directory: &Path, file: &str) -> PathBuf {
    directory.join(format!("{}{RECORD}", plugin::generation(file.as_bytes())))
}

/// Whether a file has to outlive a power failure.
#[derive(PartialEq)]
enum Durable {
    Yes,
    No,
}

/// Writes a file for this user alone, and puts it in its place whole.
fn replace(path: &Path, parts: &[&[u8]], durable: Durable) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!("{DRAFT}{}-{name}", std::process::id()));
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        for part in parts {
            file.write_all(part)?;
        }
        if durable == Durable::Yes {
            file.sync_all()?;
        }
        std::fs::rename(&draft, path)
    };
    write().inspect_err(|_| {
        // A full disk has more need of it.
        let _ = std::fs::remove_file(&draft);
    })
}

/// Makes a directory for this user alone.
fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Forgets the hosts that kept nothing new for longest: names and folders of a day come and go.
fn forget_hosts(all: &Path, but: &Path) -> io::Result<()> {
    let mut hosts = Vec::new();
    for host in std::fs::read_dir(all)? {
        let host = host?;
        let modified = host.metadata().and_then(|it| it.modified());
        hosts.push((modified.unwrap_or(SystemTime::UNIX_EPOCH), host.path()));
    }
    hosts.retain(|(_, path)| path != but);
    hosts.sort();
    let surplus = hosts.len().saturating_sub(MAX_HOSTS - 1);
    for (_, path) in hosts.drain(..surplus) {
        // What cannot be removed is tried again at the next start.
        let _ = std::fs::remove_dir_all(path);
    }
    Ok(())
}

/// In the state folder.
const DIRECTORY: &str = "rollback";

/// How the names of files end that note a rollback; all others are versions.
const RECORD: &str = ".json";

/// How the names of files begin that are being written.
const DRAFT: &str = ".new-";

/// Bytes of a manifest or of a rollback as JSON: six times the longest manifest at most.
const MAX_HEADER: u64 = 1 << 20;

/// Two versions of each of a thousand plugins, and some that are not tidied away yet.
const MAX_VERSIONS: usize = 3000;

/// Bytes that one host keeps: a hundred plugins of megabytes, twice. A copy beyond it is not made.
const MAX_BYTES: u64 = 1 << 30;

/// Hosts that are remembered: each start of one without a name of its own may be another.
const MAX_HOSTS: usize = 32;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn open(state: &Path) -> Kept {
        Kept::open(state, "host", Path::new("/"), 1000)
    }

    #[test]
    fn a_version_is_read_as_it_was_kept_or_not_at_all() {
        let state = tempfile::tempdir().unwrap();
        let kept = open(state.path());
        let manifest = "version = \"1.2.0\"\n";
        let generation = plugin::generation_under(manifest, b"bytes\nand more");
        kept.keep(generation, manifest, b"bytes\nand more");
        let read = kept.version(generation).unwrap();
        assert_eq!((&*read.manifest, &*read.component), (manifest, &b"bytes\nand more"[..]));
        let path = kept.path_of(generation).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let folder = path.parent().unwrap().metadata().unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
        let good = std::fs::read(&path).unwrap();
        for bad in [&good[..good.len() - 1], b"", b"\n", b"\"\"\nbytes"] {
            std::fs::write(&path, bad).unwrap();
            assert!(kept.version(generation).is_err(), "{bad:?}");
        }
        assert!(kept.version(plugin::generation(b"other")).is_err());
    }

    #[test]
    fn rollbacks_that_cannot_be_read_are_forgotten_and_so_are_those_of_files_that_are_gone() {
        let state = tempfile::tempdir().unwrap();
        let directory = open(state.path()).directory.unwrap();
        let (one, two) = (plugin::generation(b"one"), plugin::generation(b"two"));
        for file in ["a.wasm", "b.wasm"] {
            let (file, because) = (file.to_owned(), Some("it trapped".to_owned()));
            let rollback = KeptRollback { file, refused: two, because, serves: one };
            let json = serde_json::to_vec(&rollback).unwrap();
            replace(&record(&directory, &rollback.file), &[&json], Durable::Yes).unwrap();
        }
        std::fs::write(directory.join("0.json"), "{").unwrap();
        std::fs::write(directory.join(".new-1-x"), "half").unwrap();
        let kept = open(state.path());
        assert!(kept.rollback("a.wasm", two).is_some_and(|kept| kept.serves == one));
        assert_eq!(kept.rollback("a.wasm", one), None, "other content is not refused");
        kept.forget_files(|file| file == "b.wasm");
        let kept = open(state.path());
        assert_eq!(kept.rollback("b.wasm", two), None);
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn the_hosts_that_are_remembered_are_bounded() {
        let state = tempfile::tempdir().unwrap();
        for number in 0..MAX_HOSTS + 9 {
            Kept::open(state.path(), &number.to_string(), Path::new("/"), 1000);
        }
        let left = std::fs::read_dir(state.path().join(DIRECTORY)).unwrap().count();
        assert_eq!(left, MAX_HOSTS);
    }

    #[test]
    fn without_a_place_nothing_is_kept_and_nothing_fails() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let kept = open(file.path());
        let generation = plugin::generation(b"x");
        kept.keep(generation, "", b"x");
        assert!(kept.version(generation).is_err());
    }
}
