//! The private directory in which a user's Jackfield processes find each other.
//!
//! It holds the private authority and caches. Whoever can write into it can impersonate every role
//! on this machine, so a directory that others could have touched is refused, never repaired.

use std::{
    env,
    ffi::OsString,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

/// A directory that belongs to this user alone (mode 0700).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// The directory named by `explicit`, else by `$JACKFIELD_STATE`, else
    /// `$XDG_STATE_HOME/jackfield`, else `~/.local/state/jackfield`; made when it is missing.
    ///
    /// # Errors
    /// When no place is known, it cannot be made, or it is not private to this user.
    pub fn resolve(explicit: Option<&Path>) -> Result<Self, StateDirError> {
        let path = choose(explicit, |name| env::var_os(name))?;
        let path = std::path::absolute(&path).map_err(|source| failed(&path, source))?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|source| failed(&path, source))?;
        check_private(&path)?;
        Ok(Self(path))
    }

    /// Where it is; absolute.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// No private directory to keep state in.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Neither an argument nor the environment names a place.
    #[error("no place for the state directory: set JACKFIELD_STATE or HOME")]
    Nowhere,
    /// The file system refused; the source says why.
    #[error("state directory {} cannot be used", path.display())]
    Failed {
        /// The directory.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Somebody else owns it.
    #[error(
        "state directory {} belongs to user {owner}, not to user {user}: choose another one by JACKFIELD_STATE",
        path.display()
    )]
    NotOwned {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// Group or others may enter it.
    #[error(
        "state directory {} is open to others (mode {mode:03o}): if nobody else wrote to it, run chmod 700 {}",
        path.display(),
        path.display()
    )]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

fn choose(
    explicit: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, StateDirError> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    explicit
        .map(Path::to_path_buf)
        .or_else(|| set("JACKFIELD_STATE"))
        // The XDG specification has relative paths ignored.
        .or_else(|| set("XDG_STATE_HOME").filter(|p| p.is_absolute()).map(|p| p.join("jackfield")))
        .or_else(|| set("HOME").map(|home| home.join(".local/state/jackfield")))
        .ok_or(StateDirError::Nowhere)
}

fn check_private(path: &Path) -> Result<(), StateDirError> {
    let meta = fs::metadata(path).map_err(|source| failed(path, source))?;
    if !meta.is_dir() {
        return Err(failed(path, io::ErrorKind::NotADirectory.into()));
    }
    let (owner, user) = (meta.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(StateDirError::NotOwned { path: path.into(), owner, user });
    }
    let mode = meta.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(StateDirError::NotPrivate { path: path.into(), mode });
    }
    Ok(())
}

fn failed(path: &Path, source: io::Error) -> StateDirError {
    StateDirError::Failed { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn chosen(explicit: Option<&str>, vars: &[(&str, &str)]) -> Option<PathBuf> {
        let variable = |name: &str| {
            let found = vars.iter().find(|(key, _)| *key == name)?;
            Some(OsString::from(found.1))
        };
        choose(explicit.map(Path::new), variable).ok()
    }

    #[test]
    fn an_argument_goes_before_the_environment_and_that_before_home() {
        let all = [("JACKFIELD_STATE", "/j"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(chosen(Some("/a"), &all), Some("/a".into()));
        assert_eq!(chosen(None, &all), Some("/j".into()));
        assert_eq!(chosen(None, &all[1..]), Some("/x/jackfield".into()));
        assert_eq!(chosen(None, &all[2..]), Some("/h/.local/state/jackfield".into()));
        assert_eq!(chosen(None, &[]), None);
    }

    #[test]
    fn an_empty_or_relative_variable_counts_as_absent() {
        let vars = [("JACKFIELD_STATE", ""), ("XDG_STATE_HOME", "x"), ("HOME", "/h")];
        assert_eq!(chosen(None, &vars), Some("/h/.local/state/jackfield".into()));
    }

    #[test]
    fn a_new_directory_is_private() {
        let parent = tempfile::tempdir().unwrap();
        let state = StateDir::resolve(Some(&parent.path().join("a/b"))).unwrap();
        assert_eq!(fs::metadata(state.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let error = StateDir::resolve(Some(dir.path())).unwrap_err().to_string();
        assert!(error.contains("mode 750") && error.contains("chmod 700"), "{error}");
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = StateDir::resolve(Some(file.path())).unwrap_err();
        assert!(matches!(error, StateDirError::Failed { .. }), "{error}");
    }
}
