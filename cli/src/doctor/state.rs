//! The private folder: its rights, the room beside it, what the cache takes, and the clock.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jackfield_transport::{StateDir, StateDirError, chain};
use jackfield_wire::units::show_size;

use super::finding::Finding;
use crate::args::Common;

pub(super) fn look(common: &Common) -> Vec<Finding> {
    match StateDir::resolve(common.state.as_deref()) {
        Ok(state) => vec![
            Finding::ok(ABOUT, format!("{} is this user's alone", state.path().display())),
            room(state.path()),
            cache(state.path()),
            clock(state.path(), SystemTime::now()),
        ],
        Err(error) => vec![refused(&error)],
    }
}

fn refused(error: &StateDirError) -> Finding {
    let finding = Finding::fail(ABOUT, chain(error));
    match error {
        StateDirError::Nowhere => {
            finding.mend("export JACKFIELD_STATE=$HOME/.local/state/jackfield")
        }
        StateDirError::NotPrivate { path, .. } => {
            finding.mend(format!("chmod 700 {}", path.display()))
        }
        StateDirError::NotOwned { path, user, .. } => {
            finding.mend(format!("sudo chown -R {user} {}", path.display()))
        }
        StateDirError::Failed { path, .. } => finding
            .mend(format!("ls -ld {}", path.display()))
            .mend("or choose another one by --state DIR or JACKFIELD_STATE"),
    }
}

fn room(state: &Path) -> Finding {
    let shown = state.display();
    match rustix::fs::statvfs(state) {
        Err(error) => Finding::warn("disk", format!("the room beside {shown} is unknown: {error}")),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let what = format!("{} free beside {shown}", show_size(free / MIB * MIB));
            match free {
                _ if free < TOO_LITTLE => {
                    Finding::fail("disk", what).mend(format!("df -h {shown}"))
                }
                _ if free < LITTLE => Finding::warn("disk", what).mend(format!("df -h {shown}")),
                _ => Finding::ok("disk", what),
            }
        }
    }
}

fn cache(state: &Path) -> Finding {
    let mut bytes = 0;
    for name in ["compiled", "compiling"] {
        bytes += size(&state.join(name), 0);
    }
    let what = format!("compiled code takes {}", show_size(bytes / MIB * MIB));
    if bytes <= CACHE + CACHE / 2 {
        return Finding::ok("cache", what);
    }
    Finding::warn("cache", format!("{what}; running hosts keep it below {}", show_size(CACHE)))
        .mend(format!("with every host stopped: rm -r {}/compiled", state.display()))
}

/// Bytes of a folder. What cannot be read counts nothing.
fn size(folder: &Path, depth: usize) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of_entry = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() && depth < DEPTH => size(&entry.path(), depth + 1),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(of_entry).sum()
}

/// Certificates alone need it: deadlines travel as time left, and leases run on other clocks. What
/// another machine's clock says, no message tells.
fn clock(state: &Path, now: SystemTime) -> Finding {
    let newest = |name: &str| fs::metadata(state.join(name)).and_then(|meta| meta.modified()).ok();
    let files = ["", "authority", "authority/authority.pem", "compiled", "rollback"];
    let newest = files.into_iter().filter_map(newest).max();
    let ahead = newest.and_then(|time| time.duration_since(now).ok()).unwrap_or_default();
    if ahead > TOLERANCE {
        let what = format!(
            "the clock was set back: a file in {} is {} s ahead of it; certificates of before \
             are not valid yet",
            state.display(),
            ahead.as_secs()
        );
        return Finding::fail("clock", what).mend("timedatectl set-ntp true");
    }
    match Path::new("/run/systemd/timesync/synchronized").exists() {
        true => Finding::ok("clock", "synchronised by systemd-timesyncd"),
        false => Finding::ok("clock", "not behind what was written before"),
    }
}

const ABOUT: &str = "state";

const MIB: u64 = 1 << 20;

/// Not enough for one compiled plugin of Python's size.
const TOO_LITTLE: u64 = 64 * MIB;

/// What the cache and the copies for rollbacks may take together.
const LITTLE: u64 = 1536 * MIB;

/// What hosts keep it below; see docs/host.md.
const CACHE: u64 = 512 * MIB;

/// Folders in folders of the cache.
const DEPTH: usize = 6;

/// Certificates begin this long before they are made.
const TOLERANCE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_that_others_may_enter_is_told_with_the_command() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let error = StateDir::resolve(Some(folder.path())).unwrap_err();
        let finding = refused(&error);
        assert_eq!(finding.level, Level::Fail);
        assert_eq!(finding.mend, [format!("chmod 700 {}", folder.path().display())]);
    }

    #[test]
    fn a_clock_that_was_set_back_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        assert_eq!(clock(folder.path(), now).level, Level::Ok);
        let back = clock(folder.path(), now - Duration::from_secs(3600));
        assert_eq!(back.level, Level::Fail);
        assert!(back.what.contains("set back"), "{back:?}");
    }

    #[test]
    fn a_cache_is_measured_through_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("compiled/modules/x");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("code"), vec![0; 3 << 20]).unwrap();
        assert_eq!(cache(folder.path()).what, "compiled code takes 3 MiB");
    }
}
