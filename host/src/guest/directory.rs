//! Opens a directory that a manifest grants, step by step, so that no symbolic link on its way leads
//! elsewhere: whoever may write somewhere above it could turn a link while it is looked at.
//!
//! On Linux the guest gets what was opened here. Elsewhere wasmtime opens the path once more, so
//! that whoever may write on its way has that moment to put a link there.

use std::path::{Path, PathBuf};

use crate::manifest::DirGrant;

/// An open directory.
pub(super) struct Directory {
    #[cfg(unix)]
    file: std::os::fd::OwnedFd,
    #[cfg(not(target_os = "linux"))]
    path: PathBuf,
}

impl Directory {
    /// Opens what is granted. Links in the path of the folder that a relative directory is in are
    /// followed: that path is the operator's.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(super) fn open(dir: &DirGrant) -> Result<Self, String> {
        let way = dir.host.strip_prefix(&dir.base).unwrap_or(&dir.host);
        Self::step_by_step(&dir.base, way)
    }

    /// A path that leads to it.
    pub(super) fn path(&self) -> PathBuf {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd as _;
            PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
        }
        #[cfg(not(target_os = "linux"))]
        self.path.clone()
    }

    #[cfg(unix)]
    fn step_by_step(base: &Path, way: &Path) -> Result<Self, String> {
        use rustix::fs::{Mode, OFlags, open, openat};
        let only = OFlags::DIRECTORY | OFlags::CLOEXEC | TO_PASS;
        let failed = |error: rustix::io::Errno| std::io::Error::from(error);
        let mut file = open(base, only, Mode::empty())
            .map_err(|error| in_words(&failed(error), None, base))?;
        let mut gone = base.to_owned();
        for step in way.components() {
            gone.push(step);
            file = openat(&file, step.as_os_str(), only | OFlags::NOFOLLOW, Mode::empty())
                .map_err(|error| in_words(&failed(error), kind(&file, step.as_os_str()), &gone))?;
        }
        Ok(Self {
            file,
            #[cfg(not(target_os = "linux"))]
            path: gone,
        })
    }

    #[cfg(not(unix))]
    fn step_by_step(base: &Path, way: &Path) -> Result<Self, String> {
        let mut gone = base.to_owned();
        for step in way.components() {
            gone.push(step);
            let found = std::fs::symlink_metadata(&gone);
            let found = found.map_err(|error| in_words(&error, None, &gone))?;
            if !found.is_dir() {
                let error = std::io::ErrorKind::NotADirectory.into();
                return Err(in_words(&error, Some(found.file_type().into()), &gone));
            }
        }
        Ok(Self { path: gone })
    }
}

/// What is where a directory should be.
enum Kind {
    Link,
    File,
}

#[cfg(unix)]
fn kind(folder: &std::os::fd::OwnedFd, name: &std::ffi::OsStr) -> Option<Kind> {
    use rustix::fs::{AtFlags, FileType, statat};
    let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Symlink => Some(Kind::Link),
        FileType::Directory => None,
        _ => Some(Kind::File),
    }
}

#[cfg(not(unix))]
impl From<std::fs::FileType> for Kind {
    fn from(found: std::fs::FileType) -> Self {
        if found.is_symlink() { Self::Link } else { Self::File }
    }
}

fn in_words(error: &std::io::Error, kind: Option<Kind>, at: &Path) -> String {
    match kind {
        Some(Kind::Link) => match std::fs::canonicalize(at) {
            Ok(to) => format!(
                "{} is a symbolic link, and whoever may write there could turn it; name {}, to \
                 which it leads",
                at.display(),
                to.display()
            ),
            Err(_) => format!("{} is a symbolic link that leads nowhere", at.display()),
        },
        Some(Kind::File) => {
            format!("{} is a file; name the directory that it is in", at.display())
        }
        None if error.kind() == std::io::ErrorKind::NotFound => {
            format!("{} is not there; make it, or name the directory that is meant", at.display())
        }
        None => format!("{}: {error}", at.display()),
    }
}

/// A directory that may be passed but not listed is open all the same.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const TO_PASS: rustix::fs::OFlags = rustix::fs::OFlags::PATH;

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android", target_os = "freebsd"))))]
const TO_PASS: rustix::fs::OFlags = rustix::fs::OFlags::empty();

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use std::os::unix::fs::symlink;

    fn open(folder: &Path, host: &str) -> Result<PathBuf, String> {
        let text = format!("grants.dirs = [{{ host = {host:?}, guest = \"/x\" }}]");
        let grants = Manifest::parse(&text, folder).expect("it holds").grants;
        let opened = Directory::open(&grants.dirs[0])?;
        std::fs::canonicalize(opened.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_link_anywhere_on_the_way_is_refused_and_what_it_leads_to_is_named() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/data")).unwrap();
        symlink(root.join("real"), root.join("link")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        let real = root.join("real/data");
        assert_eq!(open(&root, "real/data"), Ok(real.clone()));
        assert_eq!(open(&root, real.to_str().unwrap()), Ok(real.clone()));
        let in_between = root.join("link/data");
        for host in ["link", "link/data", in_between.to_str().unwrap()] {
            let error = open(&root, host).unwrap_err();
            assert!(error.contains("link is a symbolic link"), "{host}: {error}");
            assert!(error.contains(root.join("real").to_str().unwrap()), "{host}: {error}");
        }
        assert!(open(&root, "dangling").unwrap_err().contains("leads nowhere"));
        // The folder of the manifest is the operator's word.
        assert_eq!(open(&root.join("link"), "data"), Ok(real.clone()));
        assert_eq!(open(&root.join("real/data"), "."), Ok(real));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_opened_stays_whatever_is_put_in_its_place() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("data")).unwrap();
        let text = "grants.dirs = [{ host = \"data\", guest = \"/x\" }]";
        let grants = Manifest::parse(text, &root).expect("it holds").grants;
        let opened = Directory::open(&grants.dirs[0]).expect("it is there");
        std::fs::rename(root.join("data"), root.join("moved")).unwrap();
        symlink("/etc", root.join("data")).unwrap();
        assert_eq!(std::fs::canonicalize(opened.path()).unwrap(), root.join("moved"));
    }
}
