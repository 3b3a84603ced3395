//! A damaged file's sound rows, in a new file of the same name. Blocks.
//!
//! The damaged one is copied aside first and is not touched before the new one is whole. The new one
//! is another life of the registry: what was lost may have changed anything, so watchers get the
//! whole set, and it is not the last word until hosts had a TTL to come back.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::file::{File, lock, unusable};
use super::rows::{Head, sealed};
use crate::store::StoreError;

/// What a repair has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Instances that are in the new file.
    pub instances: usize,
    /// What operators said of instances and services, in the new file.
    pub orders: usize,
    /// Rows that could not be read, at least: where a whole page is gone nobody can count them.
    pub lost: usize,
    /// The folder with the damaged file; `None` when nothing was wrong and nothing was done.
    pub aside: Option<PathBuf>,
}

/// Makes a file that can be opened of one that cannot.
pub(crate) fn repair(path: &Path, epoch: u64) -> Result<Repaired, StoreError> {
    if !path.is_file() {
        return Err(unusable(path, io::Error::from(io::ErrorKind::NotFound)));
    }
    match File::open(path, epoch) {
        Ok((_, stored)) => {
            let instances = stored.records.len();
            let orders = stored.orders.len() + stored.settings.len();
            return Ok(Repaired { instances, orders, ..Repaired::default() });
        }
        Err(StoreError::Damaged { .. }) => {}
        Err(other) => return Err(other),
    }
    let system = |error| unusable(path, error);
    let aside = copy_aside(path).map_err(system)?;
    let salvage = Salvage::of(path);
    let new = beside(path, ".repaired");
    remove_all(&new).map_err(system)?;
    salvage.write(&new, epoch)?;
    put_in_place(&new, path).map_err(system)?;
    let Salvage { tables, lost } = salvage;
    let [instances, orders, settings] = tables.map(|rows| rows.len());
    Ok(Repaired { instances, orders: orders + settings, lost, aside: Some(aside) })
}

/// Rows whose seals hold, by table.
struct Salvage {
    tables: [Vec<Vec<Value>>; TABLES.len()],
    lost: usize,
}

impl Salvage {
    /// What can be read; nothing of a file that is none of SQLite's any more.
    fn of(path: &Path) -> Self {
        let mut salvage = Self { tables: Default::default(), lost: 0 };
        let Ok(connection) = lock(path) else {
            salvage.lost += 1;
            return salvage;
        };
        for (n, (table, columns)) in TABLES.iter().enumerate() {
            salvage.walk(&connection, n, table, columns);
        }
        salvage
    }

    /// Row after row in the order of the table's own tree, which needs no index; past a place that
    /// cannot be read with growing steps.
    fn walk(&mut self, connection: &Connection, n: usize, table: &str, columns: &str) {
        let text = format!(
            "SELECT rowid, {columns} FROM {table} NOT INDEXED WHERE rowid > ?1 ORDER BY rowid"
        );
        let (mut after, mut step) = (0_i64, 1_i64);
        // Doubling passes over any number there is.
        for _ in 0..MOST_GAPS {
            let Ok(mut query) = connection.prepare(&text) else {
                // Files of older versions have the first table alone; without it the list of tables
                // is gone, and whatever was in them.
                self.lost += usize::from(n == 0);
                return;
            };
            let Ok(mut rows) = query.query([after]) else { return };
            loop {
                match rows.next() {
                    Ok(None) => return,
                    Ok(Some(row)) => {
                        let Ok(rowid) = row.get::<_, i64>(0) else { break };
                        (after, step) = (rowid, 1);
                        match sealed(row, 1..row.as_ref().column_count()) {
                            Some(values) => self.tables[n].push(values),
                            None => self.lost += 1,
                        }
                    }
                    Err(_) => break,
                }
            }
            self.lost += 1;
            after = after.saturating_add(step);
            step = step.saturating_mul(2);
        }
    }

    fn write(&self, new: &Path, epoch: u64) -> Result<(), StoreError> {
        let (file, _) = File::open(new, epoch)?;
        self.insert(&file.connection, epoch).map_err(|error| unusable(new, error))
    }

    fn insert(&self, connection: &Connection, epoch: u64) -> rusqlite::Result<()> {
        let transaction = connection.unchecked_transaction()?;
        let mut revision = 0;
        for ((table, columns), rows) in TABLES.iter().zip(&self.tables) {
            let places = vec!["?"; columns.split(',').count()].join(", ");
            // A row may be found twice where pages are mixed up: any of them is one that was written.
            let text = format!("INSERT OR REPLACE INTO {table} ({columns}) VALUES ({places})");
            let mut insert = transaction.prepare(&text)?;
            for row in rows {
                if let Some(Value::Integer(changed)) = row.get(CHANGED) {
                    revision = revision.max(changed.cast_unsigned());
                }
                insert.execute(params_from_iter(row))?;
            }
        }
        Head { epoch, revision, floor: revision, authoritative: false }.write(&transaction)?;
        transaction.commit()
    }
}

/// Copies a file, and its write-ahead log, into a new folder beside it.
fn copy_aside(path: &Path) -> io::Result<PathBuf> {
    let mut numbers = 1_u32..;
    let aside = loop {
        let aside = match numbers.next() {
            None | Some(1) => beside(path, ".damaged"),
            Some(n) => beside(path, &format!(".damaged-{n}")),
        };
        match fs::DirBuilder::new().mode(0o700).create(&aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => break made.map(|()| aside)?,
        }
    };
    for part in [path.to_owned(), beside(path, "-wal")].into_iter().filter(|part| part.is_file()) {
        let copy = aside.join(part.file_name().unwrap_or_default());
        fs::copy(&part, &copy)?;
        fs::File::open(&copy)?.sync_all()?;
    }
    Ok(aside)
}

/// The log of the old file goes first: it would be applied to the new one.
fn put_in_place(new: &Path, path: &Path) -> io::Result<()> {
    for part in ["-wal", "-shm"].map(|suffix| beside(path, suffix)) {
        remove(&part)?;
    }
    fs::rename(new, path)?;
    match path.parent() {
        Some(folder) if folder != Path::new("") => fs::File::open(folder)?.sync_all(),
        _ => fs::File::open(".")?.sync_all(),
    }
}

/// What a repair that was cut off may have left.
fn remove_all(new: &Path) -> io::Result<()> {
    remove(new)?;
    ["-wal", "-shm"].iter().try_for_each(|suffix| remove(&beside(new, suffix)))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Tables of sealed rows; the seal is the last column, the revision of the change the second. What
/// was removed is not of use in another life.
const TABLES: [(&str, &str); 3] = [
    ("instance", "id, changed, owner, body, seal"),
    ("instance_order", "subject, changed, body, seal"),
    ("service_settings", "subject, changed, body, seal"),
];
const CHANGED: usize = 1;
/// Places in one table that cannot be read: enough for any file in which something is left.
const MOST_GAPS: usize = 4096;
