//! Why a store cannot be opened.

use std::path::{Path, PathBuf};

/// A store that a registry cannot start with. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open. Stop that one, or use another file.
    #[error(
        "{} is in use by another process, most likely another registry: stop that one, or give this \
         one a file of its own", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged. [`repair`](crate::repair) saves what is sound of it; hosts register the rest
    /// again by themselves.
    #[error(
        "{} is damaged ({what}): repair it by `jackfield registry repair {}` and start again; hosts \
         register again by themselves what is lost", path.display(), quoted(path)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong.
        what: String,
    },
    /// A newer Jackfield wrote it. Use that one, or another file.
    #[error(
        "{} has version {found} and this registry reads up to version {known}: use the newer \
         jackfield that wrote it, or give another file", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that can be read.
        known: i64,
    },
    /// Another program's. Give another file.
    #[error(
        "{} is a SQLite file, but not a registry's: give another file", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// No member of the etcd cluster answers as it must. Start it, or name its members rightly.
    #[error(
        "the etcd cluster at {members} cannot be used ({what}): it must run, have a leader, and be \
         named by the addresses where its members take clients, such as etcd:10.0.0.1:2379"
    )]
    Unreachable {
        /// As configured.
        members: String,
        /// What went wrong with the last member that was tried.
        what: String,
    },
    /// What the cluster holds cannot be gone on with.
    #[error(
        "what the etcd cluster at {members} holds under {prefix} cannot be read ({what}): use a \
         jackfield as new as the one that wrote it, or remove it by `etcdctl del --prefix {prefix}`; \
         hosts register again by themselves"
    )]
    Strange {
        /// As configured.
        members: String,
        /// As configured.
        prefix: String,
        /// The first thing that is wrong.
        what: String,
    },
    /// The file system refused, or there is no room.
    #[error(
        "{} cannot be opened ({what}): its folder must exist, be writable and have room",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
}

/// A word for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
