//! The file itself: opened, checked and locked once, then written change by change. Blocks.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::rows::{self, Head, Unread};
use super::schema::{self, Kind};
use crate::core::{Change, Step, Stored};
use crate::store::{NotKept, StoreError};

/// An open store file, locked against every other process.
#[derive(Debug)]
pub(super) struct File {
    pub(super) connection: Connection,
    epoch: u64,
}

impl File {
    /// Opens `path`, or makes it with `epoch`; says what it holds.
    pub(super) fn open(path: &Path, epoch: u64) -> Result<(Self, Stored), StoreError> {
        make_private(path).map_err(|error| unusable(path, error))?;
        let unread = |error| refusal(path, error);
        let mut connection = lock(path).map_err(unread)?;
        match schema::kind(&connection).map_err(|error| unread(error.into()))? {
            Kind::Foreign => return Err(StoreError::Foreign { path: path.to_owned() }),
            Kind::Registry(found) if !(0..=schema::VERSION).contains(&found) => {
                let (path, known) = (path.to_owned(), schema::VERSION);
                return Err(StoreError::Newer { path, found, known });
            }
            Kind::Registry(version) => prepare(&mut connection, version).map_err(unread)?,
        }
        let stored = load(&connection, epoch).map_err(unread)?;
        Ok((Self { connection, epoch: stored.epoch }, stored))
    }

    /// Keeps a change in one transaction, which is on the disk when this returns.
    pub(super) fn keep(&mut self, change: &Change) -> Result<(), NotKept> {
        self.write(change).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => NotKept::Full(error.to_string()),
            _ => NotKept::Failed(error.to_string()),
        })
    }

    fn write(&mut self, change: &Change) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (revision, step) in change.numbered() {
            match step {
                Step::Put(record) => rows::put(&transaction, revision, record)?,
                Step::Remove(id) => rows::remove(&transaction, revision, id)?,
                Step::Order(id, Some(order)) => {
                    rows::put_order(&transaction, revision, id, order)?;
                }
                Step::Order(id, None) => rows::remove_order(&transaction, id)?,
                Step::Set(key, settings) => rows::set(&transaction, revision, key, settings)?,
            }
        }
        if change.steps.iter().any(Step::removes) {
            rows::forget(&transaction, change.floor)?;
        }
        let Change { revision, floor, authoritative, .. } = *change;
        Head { epoch: self.epoch, revision, floor, authoritative }.write(&transaction)?;
        transaction.commit()
    }

    /// Lets the file grow to so many pages and no further; for tests of a full disk.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        self.connection.pragma_update(None, "max_page_count", pages).expect("a number is taken");
    }
}

/// What an instance says of itself is for the registry's peers, not for everyone on the machine.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).open(path).map(drop)
}

/// Takes the file for this process until the connection ends.
///
/// Exclusive before the first access: then the index of the write-ahead log is in memory, and no
/// third file is needed.
pub(super) fn lock(path: &Path) -> Result<Connection, Unread> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_PATIENCE)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    Ok(connection)
}

fn prepare(connection: &mut Connection, version: i64) -> Result<(), Unread> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Unread::Damaged(format!("its journal mode stays {mode}")));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain fsync may stay in the drive; elsewhere this does nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Unread::Damaged(verdict));
    }
    if version < schema::VERSION {
        schema::migrate(connection, version)?;
    }
    Ok(())
}

/// What there is. A file that was just made gets its head.
fn load(connection: &Connection, epoch: u64) -> Result<Stored, Unread> {
    if let Some(head) = Head::read(connection)? {
        return rows::read_all(connection, head);
    }
    let instances: i64 =
        connection.query_row("SELECT count(*) FROM instance", [], |row| row.get(0))?;
    if instances > 0 {
        return Err(Unread::Damaged("the registry's own row is missing".into()));
    }
    Head { epoch, revision: 0, floor: 0, authoritative: false }.write(connection)?;
    Ok(Stored { epoch, ..Stored::default() })
}

fn refusal(path: &Path, error: Unread) -> StoreError {
    let path = PathBuf::from(path);
    let error = match error {
        Unread::Damaged(what) => return StoreError::Damaged { path, what },
        Unread::Sqlite(error) => error,
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { path },
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::DiskFull
            | ErrorCode::OutOfMemory
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure,
        ) => unusable(&path, error),
        // A row of a wrong type is damage too.
        _ => StoreError::Damaged { path, what: error.to_string() },
    }
}

pub(super) fn unusable(path: &Path, error: impl std::error::Error) -> StoreError {
    StoreError::Unusable { path: path.to_owned(), what: error.to_string() }
}

/// A registry that is just ending lets go within this. Longer would only delay the bad news.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of the write-ahead log that stay for reuse after a burst. SQLite folds it into the file
/// every 4 MB; without a limit one large burst would take its room for ever.
const WAL_KEPT: i64 = 16 << 20;
