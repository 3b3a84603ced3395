//! The last good set on disk: what a client starts with when no registry answers.
//!
//! The file is a cache. Losing it costs nothing but that start, so it is replaced by a rename but
//! not synced, and a file that cannot be read is passed over with a warning.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jackfield_wire::registry::{Instance, ServiceEntry, ServiceSettings};
use jackfield_wire::{Namespace, ServiceName};
use serde::{Deserialize, Serialize};

use crate::place::Place;
use crate::snapshot::Snapshot;

/// The file of one client configuration.
#[derive(Clone, Debug)]
pub(crate) struct LastGood {
    path: PathBuf,
    registries: Vec<String>,
    namespace: Namespace,
}

/// What is written. Sets of other registries are not used: they may be another network.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<T> {
    format: u32,
    registries: Vec<String>,
    #[serde(default)]
    namespace: Namespace,
    instances: Vec<T>,
    #[serde(default)]
    settings: BTreeMap<ServiceName, ServiceSettings>,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) instances: Vec<Instance>,
    pub(crate) settings: Vec<ServiceEntry>,
}

impl LastGood {
    pub(crate) fn new(path: PathBuf, registries: &[Place], namespace: &Namespace) -> Self {
        let mut registries: Vec<_> = registries.iter().map(Place::to_string).collect();
        registries.sort_unstable();
        Self { path, registries, namespace: namespace.clone() }
    }

    /// The set, when there is one for these registries. Blocks on the disk.
    pub(crate) fn load(&self) -> Option<Kept> {
        match read(&self.path) {
            Ok(content) if !self.is_own(&content) => None,
            Ok(content) => Some(self.kept(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%path, %error, "the last good set cannot be read; going without");
                None
            }
        }
    }

    fn kept(&self, content: Content<Instance>) -> Kept {
        let entry = |(service, settings)| ServiceEntry {
            namespace: self.namespace.clone(),
            service,
            settings,
        };
        let settings = content.settings.into_iter().map(entry).collect();
        Kept { instances: content.instances, settings }
    }

    fn is_own(&self, content: &Content<Instance>) -> bool {
        content.format == FORMAT
            && content.registries == self.registries
            && content.namespace == self.namespace
    }

    /// Replaces the set. Blocks on the disk.
    pub(crate) fn save(&self, snapshot: &Snapshot) {
        if let Err(error) = self.write(snapshot) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "the last good set cannot be written");
        }
    }

    fn write(&self, snapshot: &Snapshot) -> io::Result<()> {
        let instances: Vec<&Instance> = snapshot.instances().map(Arc::as_ref).collect();
        let (registries, namespace) = (self.registries.clone(), self.namespace.clone());
        let settings = snapshot.all_settings();
        let settings = settings.map(|(name, set)| (name.clone(), set.clone())).collect();
        let content = Content { format: FORMAT, registries, namespace, instances, settings };
        let bytes = serde_json::to_vec(&content)?;
        let mut name = self.path.clone().into_os_string();
        let count = WRITES.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}.{count}.new", std::process::id()));
        let temporary = PathBuf::from(name);
        let written = create_private(&temporary)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            _ = fs::remove_file(&temporary); // The first error is the one to tell.
        }
        written
    }
}

fn read(path: &Path) -> io::Result<Content<Instance>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_FILE) {
        return Err(io::Error::other(format!("it is over {MAX_FILE} bytes")));
    }
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

/// Tells apart what two clients of one process write at the same time.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// Grows when the content's meaning changes; a file of another format is passed over.
const FORMAT: u32 = 1;

/// The longest file that is read: 100,000 instances of 600 bytes fit, a mistaken path to
/// something huge does not fill the memory.
const MAX_FILE: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::endpoint;
    use crate::snapshot::Origin;

    fn places(texts: &[&str]) -> Vec<Place> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn last_good(path: PathBuf, registries: &[Place]) -> LastGood {
        LastGood::new(path, registries, &Namespace::default())
    }

    #[test]
    fn a_set_reads_back_for_the_same_registries_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.json");
        let both = last_good(path.clone(), &places(&["a:1", "b:2"]));
        assert!(both.load().is_none());
        let endpoints = [endpoint("calc", 0), endpoint("text", 1)].into_iter();
        let calc = ServiceName::new("calc").unwrap();
        let settings = ServiceSettings { timeout_ms: Some(2000), ..ServiceSettings::default() };
        let snapshot = Snapshot::new(endpoints, None, Origin::Registry)
            .with_settings([(calc.clone(), settings.clone())].into_iter());
        both.save(&snapshot);
        let instances = snapshot.instances().map(|i| (**i).clone()).collect();
        let namespace = Namespace::default();
        let settings = vec![ServiceEntry { namespace, service: calc, settings }];
        let expected = Kept { instances, settings };
        let reordered = last_good(path.clone(), &places(&["b:2", "a:1"]));
        assert_eq!(reordered.load().unwrap(), expected);
        assert!(last_good(path, &places(&["a:1"])).load().is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_broken_file_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.json");
        for content in ["", "{", "[]", r#"{"format":1,"registries":[],"instances":[{}]}"#] {
            fs::write(&path, content).unwrap();
            assert!(last_good(path.clone(), &[]).load().is_none(), "{content}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_only_warned_of() {
        let last_good = last_good("/nonexistent/set.json".into(), &[]);
        last_good.save(&Snapshot::default());
    }
}
