//! Rows as values, and back. What comes back is held against its seal and its type: a file is input
//! like any other.

use jackfield_transport::PeerId;
use jackfield_wire::registry::Instance;
use jackfield_wire::{InstanceId, ServiceKey, from_cbor, to_cbor};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

use crate::core::{Record, Removal, Stored};

/// Why there is no value.
#[derive(Debug)]
pub(super) enum Unread {
    /// SQLite could not read the row.
    Sqlite(rusqlite::Error),
    /// The row is not what was written.
    Damaged(String),
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The one row about the whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) epoch: u64,
    pub(super) revision: u64,
    pub(super) floor: u64,
    pub(super) authoritative: bool,
}

impl Head {
    pub(super) fn write(self, connection: &Connection) -> rusqlite::Result<()> {
        let mut write = connection.prepare_cached(
            "INSERT OR REPLACE INTO registry (one, epoch, revision, floor, authoritative, seal)
             VALUES (1, ?1, ?2, ?3, ?4, ?5)",
        )?;
        let numbers = [self.epoch, self.revision, self.floor, self.authoritative.into()];
        let [epoch, revision, floor, authoritative] = numbers.map(u64::cast_signed);
        write.execute(params![epoch, revision, floor, authoritative, self.seal()])?;
        Ok(())
    }

    /// `None` in a file that was just made.
    pub(super) fn read(connection: &Connection) -> Result<Option<Self>, Unread> {
        let query = "SELECT epoch, revision, floor, authoritative, seal FROM registry";
        let read = |row: &Row<'_>| {
            let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            let (epoch, revision, floor) = (number(0)?, number(1)?, number(2)?);
            Ok((Self { epoch, revision, floor, authoritative: row.get(3)? }, row.get::<_, i64>(4)?))
        };
        let Some((head, seal)) = connection.query_row(query, [], read).optional()? else {
            return Ok(None);
        };
        check(head.seal() == seal, || "the registry's own row".into())?;
        Ok(Some(head))
    }

    fn seal(self) -> i64 {
        let authoritative = [u8::from(self.authoritative)];
        let numbers = [self.epoch, self.revision, self.floor].map(u64::to_le_bytes);
        seal(&[&numbers.concat(), &authoritative])
    }
}

/// Everything that is kept.
pub(super) fn read_all(connection: &Connection, head: Head) -> Result<Stored, Unread> {
    let Head { epoch, revision, floor, authoritative } = head;
    let records = read_instances(connection, revision)?;
    let removals = read_removals(connection, revision)?;
    Ok(Stored { epoch, revision, floor, authoritative, records, removals, ..Stored::default() })
}

pub(super) fn put(connection: &Connection, revision: u64, record: &Record) -> rusqlite::Result<()> {
    let mut write = connection.prepare_cached(
        "INSERT INTO instance (id, changed, owner, body, seal) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET changed = ?2, owner = ?3, body = ?4, seal = ?5",
    )?;
    let (id, owner) = (record.instance.id.as_str(), record.owner.to_string());
    let body = to_cbor(&*record.instance);
    let seal = seal(&[id.as_bytes(), &revision.to_le_bytes(), owner.as_bytes(), &body]);
    write.execute(params![id, revision.cast_signed(), owner, body, seal])?;
    Ok(())
}

pub(super) fn remove(
    connection: &Connection,
    revision: u64,
    id: &InstanceId,
) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM instance WHERE id = ?1")?.execute([id.as_str()])?;
    let mut write = connection
        .prepare_cached("INSERT INTO removal (revision, id, seal) VALUES (?1, ?2, ?3)")?;
    let seal = seal(&[&revision.to_le_bytes(), id.as_str().as_bytes()]);
    write.execute(params![revision.cast_signed(), id.as_str(), seal])?;
    Ok(())
}

/// Forgets what was removed up to `floor`.
pub(super) fn forget(connection: &Connection, floor: u64) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM removal WHERE revision <= ?1")?;
    delete.execute([floor.cast_signed()])?;
    Ok(())
}

fn read_instances(connection: &Connection, latest: u64) -> Result<Vec<(u64, Record)>, Unread> {
    let mut query =
        connection.prepare("SELECT id, changed, owner, body, seal FROM instance ORDER BY id")?;
    let mut rows = query.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(read_instance(row, latest)?);
    }
    Ok(records)
}

fn read_instance(row: &Row<'_>, latest: u64) -> Result<(u64, Record), Unread> {
    let (id, owner, body): (String, String, Vec<u8>) = (row.get(0)?, row.get(2)?, row.get(3)?);
    let changed = row.get::<_, i64>(1)?.cast_unsigned();
    let sealed = seal(&[id.as_bytes(), &changed.to_le_bytes(), owner.as_bytes(), &body]);
    let bad = || format!("the row of instance {id:?}");
    check(sealed == row.get::<_, i64>(4)? && changed <= latest, bad)?;
    let instance: Instance = from_cbor(&body).map_err(|_| Unread::Damaged(bad()))?;
    check(instance.id.as_str() == id, bad)?;
    let owner: PeerId = owner.parse().map_err(|_| Unread::Damaged(bad()))?;
    Ok((changed, Record::new(instance, owner)))
}

fn read_removals(connection: &Connection, latest: u64) -> Result<Vec<Removal>, Unread> {
    let mut query =
        connection.prepare("SELECT revision, id, seal FROM removal ORDER BY revision")?;
    let mut rows = query.query([])?;
    let mut removals = Vec::new();
    while let Some(row) = rows.next()? {
        removals.push(read_removal(row, latest)?);
    }
    Ok(removals)
}

fn read_removal(row: &Row<'_>, latest: u64) -> Result<Removal, Unread> {
    let revision = row.get::<_, i64>(0)?.cast_unsigned();
    let id: String = row.get(1)?;
    let bad = || format!("the row of removal {revision}");
    let sealed = seal(&[&revision.to_le_bytes(), id.as_bytes()]);
    check(sealed == row.get::<_, i64>(2)? && revision <= latest, bad)?;
    let (key, host) = id.split_once('@').ok_or_else(|| Unread::Damaged(bad()))?;
    let key: ServiceKey = key.parse().map_err(|_| Unread::Damaged(bad()))?;
    Ok(Removal { revision, id: InstanceId::of(&key, host), key })
}

fn check(good: bool, what: impl FnOnce() -> String) -> Result<(), Unread> {
    if good { Ok(()) } else { Err(Unread::Damaged(what())) }
}

/// A checksum of these parts, each with its length. Against damage, not against forgers: whoever can
/// write the file can write a seal.
fn seal(parts: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let first = digest.first_chunk().expect("a digest has 32 bytes");
    i64::from_le_bytes(*first)
}
