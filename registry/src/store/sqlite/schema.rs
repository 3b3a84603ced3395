//! The tables, and the way from each version's to the next.
//!
//! A version that was released is never changed: a new one is added, and the test that opens files
//! of the versions before gets one more file.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// What kind of file it is.
pub(super) enum Kind {
    /// A registry's, of this version; 0 for one without anything in it.
    Registry(i64),
    /// Another program's.
    Foreign,
}

/// Looks without changing anything.
pub(super) fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (number("application_id")?, number("user_version")?, tables) {
        (APPLICATION, version, _) => Kind::Registry(version),
        (0, 0, 0) => Kind::Registry(0),
        _ => Kind::Foreign,
    })
}

/// Brings a file from `version` to [`VERSION`], or leaves it as it is.
pub(super) fn migrate(connection: &mut Connection, version: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(version).unwrap_or_default();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in MIGRATIONS.iter().skip(done) {
        step(&transaction)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// From an empty file. `seal` is a checksum of the row (see `rows`): SQLite notices damage to its
/// own structures, but not to what is in them.
fn first(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE registry (
           one INTEGER PRIMARY KEY CHECK (one = 1),
           epoch INTEGER NOT NULL,
           revision INTEGER NOT NULL,
           floor INTEGER NOT NULL,
           authoritative INTEGER NOT NULL,
           seal INTEGER NOT NULL
         ) STRICT;
         CREATE TABLE instance (
           id TEXT PRIMARY KEY NOT NULL,
           changed INTEGER NOT NULL,
           owner TEXT NOT NULL,
           body BLOB NOT NULL,
           seal INTEGER NOT NULL
         ) STRICT;
         CREATE TABLE removal (
           revision INTEGER PRIMARY KEY,
           id TEXT NOT NULL,
           seal INTEGER NOT NULL
         ) STRICT;",
    )
}

/// What operators say. `subject` is an instance's id or a service's key, and in `removal.id` now
/// either.
fn second(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE instance_order (
           subject TEXT PRIMARY KEY NOT NULL,
           changed INTEGER NOT NULL,
           body BLOB NOT NULL,
           seal INTEGER NOT NULL
         ) STRICT;
         CREATE TABLE service_settings (
           subject TEXT PRIMARY KEY NOT NULL,
           changed INTEGER NOT NULL,
           body BLOB NOT NULL,
           seal INTEGER NOT NULL
         ) STRICT;",
    )
}

/// The newest version.
pub(super) const VERSION: i64 = 2;
/// Step `n` leads from version `n` to the next.
const MIGRATIONS: [fn(&Transaction<'_>) -> rusqlite::Result<()>; 2] = [first, second];
/// `JFrg` in the file's header, for `file` and for us.
const APPLICATION: i64 = 0x4a46_7267;
