//! Looks at the folder and reads its files, which anyone who may write there chooses.
//!
//! It never blocks (a FIFO is opened without waiting and refused), never follows a symbolic link,
//! never reads more than the limit, and never returns bytes that changed while they were read.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::decide::{FileStamp, Look, Stamp};
use crate::manifest::{self, Grants, Manifest};
use crate::plugin::Rejection;

/// Which folder a path leads to.
pub(super) type FolderId = (u64, u64);

/// All files of `folder` whose names end in `.wasm`, sorted by name, each with its manifest's stamp,
/// and which folder that is.
/// Hidden ones are somebody's half-done work and do not count.
///
/// A name that is not UTF-8 is shown with replacement characters, which no service has in its name;
/// of several that look the same then, one is shown.
///
/// # Errors
/// When the folder cannot be read.
pub(super) fn list(folder: &Path) -> std::io::Result<(FolderId, Vec<Look>)> {
    let now = SystemTime::now();
    let id = folder_id(&std::fs::metadata(folder)?);
    let mut all = Vec::new();
    let mut manifests = HashMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let component = component_of(&name);
        if !is_plugin_file(&component) {
            continue;
        }
        // A file that went away between the two looks is not there.
        let Ok(metadata) = entry.metadata() else { continue };
        let age = metadata.modified().ok().and_then(|time| now.duration_since(time).ok());
        let (stamp, age) = (stamp(&metadata), age.unwrap_or_default());
        if component == name {
            let stamp = Stamp { component: stamp, manifest: None };
            all.push(Look { name, stamp, age });
        } else {
            manifests.insert(component, (stamp, age));
        }
    }
    for look in &mut all {
        if let Some((stamp, age)) = manifests.remove(&look.name) {
            look.stamp.manifest = Some(stamp);
            look.age = look.age.min(age);
        }
    }
    all.sort_by(|a, b| {
        a.name.cmp(&b.name).then(a.stamp.component.file.cmp(&b.stamp.component.file))
    });
    all.dedup_by(|a, b| a.name == b.name);
    Ok((id, all))
}

/// Whether a file with this name is a plugin's.
pub(super) fn is_plugin_file(name: &str) -> bool {
    name.ends_with(".wasm") && !name.starts_with('.')
}

/// The component's file whose manifest `name` is; `name` itself when it is none.
pub(super) fn component_of(name: &str) -> String {
    name.strip_suffix(".toml").map_or_else(|| name.to_owned(), |stem| format!("{stem}.wasm"))
}

/// The name without its end, from which the service has its own.
pub(crate) fn stem(name: &str) -> &str {
    name.strip_suffix(".wasm").unwrap_or(name)
}

/// What a read gave.
pub(super) enum Content {
    /// The whole file, unchanged from before the read to after it.
    Whole(Vec<u8>, FileStamp),
    /// Somebody writes to it: later.
    Changing,
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// Why this file is not read at all.
pub(super) fn read(path: &Path, limit: u64) -> Result<Content, Rejection> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Content::Changing),
        // A socket cannot be opened at all.
        Err(error) => match std::fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                return Err(Rejection::NotRegular(kind(&metadata)));
            }
            _ => return Err(unreadable(&error)),
        },
    };
    let before = file.metadata().map_err(|error| unreadable(&error))?;
    if !before.is_file() {
        return Err(Rejection::NotRegular(kind(&before)));
    }
    check_owner(path, &before)?;
    if before.len() > limit {
        return Err(Rejection::TooLarge { size: before.len(), limit });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or_default());
    (&file).take(limit + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    let after = file.metadata().map_err(|error| unreadable(&error))?;
    let whole = stamp(&before) == stamp(&after) && bytes.len() as u64 == after.len();
    Ok(if whole { Content::Whole(bytes, stamp(&after)) } else { Content::Changing })
}

/// The manifest beside the plugin `path`; without one the manifest that says nothing.
///
/// # Errors
/// Why it cannot be read, also when it is being written, or what is wrong with it.
pub(crate) fn manifest(path: &Path) -> Result<Manifest, Rejection> {
    match manifest_file(path)? {
        Some(beside) => Ok(beside.manifest),
        None => Err(unreadable_manifest(path, "it changed while it was read; try again")),
    }
}

fn unreadable_manifest(path: &Path, reason: impl Into<String>) -> Rejection {
    let path = path.with_extension("toml");
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Rejection::ManifestFile { file, reason: reason.into() }
}

/// A manifest, and what it was read from.
#[derive(Default)]
pub(super) struct ManifestFile {
    pub(super) manifest: Manifest,
    /// Empty when there is none.
    pub(super) text: String,
    pub(super) stamp: Option<FileStamp>,
}

/// The same, with what tells one version from the next; `None` while it is being written.
///
/// # Errors
/// Why it cannot be read, or what is wrong with it.
pub(super) fn manifest_file(path: &Path) -> Result<Option<ManifestFile>, Rejection> {
    let path = path.with_extension("toml");
    let unreadable = |reason: String| unreadable_manifest(&path, reason);
    let (bytes, stamp) = match read(&path, manifest::MAX_TEXT as u64) {
        Ok(Content::Whole(bytes, stamp)) => (bytes, stamp),
        Ok(Content::Changing) if path.exists() => return Ok(None),
        Ok(Content::Changing) => return Ok(Some(ManifestFile::default())),
        Err(Rejection::TooLarge { size, limit }) => {
            return Err(unreadable(format!("it has {size} bytes, the limit is {limit}")));
        }
        Err(rejection) => return Err(unreadable(rejection.to_string())),
    };
    let text = String::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
    let manifest = parse(&path, &text)?;
    let folder = folder_of(&path);
    if manifest.grants != Grants::default() && (is_open_to_all(&path) || is_open_to_all(&folder)) {
        return Err(unreadable(
            "it grants something, and every user of this machine may change it; take that right \
             away from it and its folder (chmod o-w), or leave [grants] out"
                .into(),
        ));
    }
    Ok(Some(ManifestFile { manifest, text, stamp: Some(stamp) }))
}

/// The manifest with this text of the plugin, or beside the plugin, `path`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(path: &Path, text: &str) -> Result<Manifest, Rejection> {
    Manifest::parse(text, &folder_of(path)).map_err(Rejection::Manifest)
}

/// Relative directories are relative to the manifest, wherever the host was started.
fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new(""));
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Whether every user of the machine may change what is there.
#[cfg(unix)]
pub(crate) fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o002 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_open_to_all(_: &Path) -> bool {
    false
}

#[cfg(unix)]
fn open(path: &Path) -> std::io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> std::io::Result<File> {
    if std::fs::symlink_metadata(path)?.is_symlink() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    OpenOptions::new().read(true).open(path)
}

/// Takes no file of somebody who could not put any other file here: where a folder is open to all,
/// only those of this user, of root and of the folder's owner count.
#[cfg(unix)]
fn check_owner(path: &Path, file: &Metadata) -> Result<(), Rejection> {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    let folder = path.parent().and_then(|folder| std::fs::metadata(place(folder)).ok());
    let trusted = [Some(me), Some(0), folder.map(|folder| folder.uid())];
    match trusted.contains(&Some(file.uid())) {
        true => Ok(()),
        false => Err(Rejection::Stranger { owner: file.uid() }),
    }
}

#[cfg(not(unix))]
fn check_owner(_: &Path, _: &Metadata) -> Result<(), Rejection> {
    Ok(())
}

/// The folder of a file that was named without one is the one that the process is in.
fn place(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn unreadable(error: &std::io::Error) -> Rejection {
    Rejection::Unreadable(error.to_string())
}

fn kind(metadata: &Metadata) -> &'static str {
    if metadata.is_symlink() {
        "a symbolic link"
    } else if metadata.is_dir() {
        "a directory"
    } else {
        "a FIFO, a socket or a device"
    }
}

#[cfg(unix)]
fn folder_id(metadata: &Metadata) -> FolderId {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere there is nothing to tell folders apart by: the watch stays as it is.
#[cfg(not(unix))]
fn folder_id(_: &Metadata) -> FolderId {
    (0, 0)
}

#[cfg(unix)]
fn stamp(metadata: &Metadata) -> FileStamp {
    use std::os::unix::fs::MetadataExt;
    FileStamp {
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        file: metadata.ino(),
    }
}

#[cfg(not(unix))]
fn stamp(metadata: &Metadata) -> FileStamp {
    let modified = metadata.modified().ok();
    let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let since = since.unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let modified = (seconds, i64::from(since.subsec_nanos()));
    FileStamp { size: metadata.len(), modified, changed: modified, file: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_and_other_endings_are_nobodys_plugins() {
        assert!(is_plugin_file("calc.wasm"));
        for name in [".calc.wasm", "calc.wasm.tmp", "calc.toml", "calc.cwasm", "wasm"] {
            assert!(!is_plugin_file(name), "{name}");
        }
    }

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, [7; 100]).unwrap();
        assert!(matches!(read(&path, 100), Ok(Content::Whole(bytes, _)) if bytes == [7; 100]));
        let error = read(&path, 99).err();
        assert_eq!(error, Some(Rejection::TooLarge { size: 100, limit: 99 }));
        let error = read(folder.path(), 99).err();
        assert_eq!(error, Some(Rejection::NotRegular("a directory")));
        assert!(matches!(read(&folder.path().join("b.wasm"), 99), Ok(Content::Changing)));
    }

    #[cfg(unix)]
    #[test]
    fn a_manifest_that_everybody_may_write_grants_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (plugin, path) = (folder.path().join("a.wasm"), folder.path().join("a.toml"));
        let chmod = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        std::fs::write(&path, "grants.network = [\"10.0.0.1\"]").unwrap();
        for (file, dir, held) in
            [(0o644, 0o755, true), (0o646, 0o755, false), (0o644, 0o1777, false)]
        {
            chmod(&path, file);
            chmod(folder.path(), dir);
            assert_eq!(manifest(&plugin).is_ok(), held, "{file:o} in {dir:o}");
        }
        std::fs::write(&path, "limits.memory = \"1 MiB\"").unwrap();
        assert!(manifest(&plugin).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_and_a_fifo_are_refused_without_waiting_for_anyone() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link.wasm");
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        assert_eq!(read(&link, 99).err(), Some(Rejection::NotRegular("a symbolic link")));
        let fifo = folder.path().join("fifo.wasm");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let socket = folder.path().join("socket.wasm");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let reason = "a FIFO, a socket or a device";
        for path in [fifo, socket] {
            assert_eq!(read(&path, 99).err(), Some(Rejection::NotRegular(reason)));
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_look_the_same_are_one_and_the_same_one_each_time() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        for name in [b"\xfe.wasm", b"\xff.wasm"] {
            let name = std::ffi::OsStr::from_bytes(name);
            std::fs::write(folder.path().join(name), [7; 3]).unwrap();
        }
        let looks = || {
            let (_, looks) = list(folder.path()).unwrap();
            looks.into_iter().map(|look| (look.name, look.stamp)).collect::<Vec<_>>()
        };
        assert_eq!(looks().len(), 1);
        assert_eq!(looks(), looks());
    }
}
