//! Rows as values, and back. What comes back is held against its seal and its type: a file is input
//! like any other.

use std::collections::BTreeSet;
use std::ops::Range;

use jackfield_transport::PeerId;
use jackfield_wire::registry::{Instance, Override, ServiceSettings};
use jackfield_wire::{InstanceId, ServiceKey, from_cbor, to_cbor};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

use crate::core::{Record, Removal, Stored, Subject};

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
    let id = |text: &str| match Subject::parse(text) {
        Some(Subject::Instance(id)) => Some(id),
        _ => None,
    };
    let key = |text: &str| text.parse().ok();
    let orders = read_said(connection, revision, Said::Orders, (id, |body| from_cbor(body)))?;
    let settings = read_said(connection, revision, Said::Settings, (key, |body| from_cbor(body)))?;
    let others = BTreeSet::new();
    Ok(Stored {
        epoch,
        revision,
        floor,
        authoritative,
        records,
        removals,
        orders,
        settings,
        others,
    })
}

pub(super) fn put(connection: &Connection, revision: u64, record: &Record) -> rusqlite::Result<()> {
    let mut write = connection.prepare_cached(
        "INSERT INTO instance (id, changed, owner, body, seal) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET changed = ?2, owner = ?3, body = ?4, seal = ?5",
    )?;
    let (id, owner) = (record.packed.id(), record.by().owner.to_string());
    let body = record.packed.as_bytes();
    let seal = seal(&[id.as_bytes(), &revision.to_le_bytes(), owner.as_bytes(), body]);
    write.execute(params![id, revision.cast_signed(), owner, body, seal])?;
    Ok(())
}

pub(super) fn remove(
    connection: &Connection,
    revision: u64,
    id: &InstanceId,
) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM instance WHERE id = ?1")?.execute([id.as_str()])?;
    remember_removal(connection, revision, id.as_str())
}

fn remember_removal(connection: &Connection, revision: u64, text: &str) -> rusqlite::Result<()> {
    let mut write = connection
        .prepare_cached("INSERT INTO removal (revision, id, seal) VALUES (?1, ?2, ?3)")?;
    let seal = seal(&[&revision.to_le_bytes(), text.as_bytes()]);
    write.execute(params![revision.cast_signed(), text, seal])?;
    Ok(())
}

pub(super) fn put_order(
    connection: &Connection,
    revision: u64,
    id: &InstanceId,
    order: &Override,
) -> rusqlite::Result<()> {
    Said::Orders.put(connection, revision, id.as_str(), &to_cbor(order))
}

pub(super) fn remove_order(connection: &Connection, id: &InstanceId) -> rusqlite::Result<()> {
    Said::Orders.remove(connection, id.as_str())
}

pub(super) fn set(
    connection: &Connection,
    revision: u64,
    key: &ServiceKey,
    settings: &ServiceSettings,
) -> rusqlite::Result<()> {
    let text = key.text();
    if !settings.is_empty() {
        return Said::Settings.put(connection, revision, &text, &to_cbor(settings));
    }
    Said::Settings.remove(connection, &text)?;
    remember_removal(connection, revision, &text)
}

/// What operators said: two tables of one shape.
#[derive(Clone, Copy)]
enum Said {
    Orders,
    Settings,
}

impl Said {
    fn put(
        self,
        connection: &Connection,
        revision: u64,
        subject: &str,
        body: &[u8],
    ) -> rusqlite::Result<()> {
        let table = self.table();
        let mut write = connection.prepare_cached(&format!(
            "INSERT OR REPLACE INTO {table} (subject, changed, body, seal) VALUES (?1, ?2, ?3, ?4)"
        ))?;
        let seal = seal(&[subject.as_bytes(), &revision.to_le_bytes(), body]);
        write.execute(params![subject, revision.cast_signed(), body, seal])?;
        Ok(())
    }

    fn remove(self, connection: &Connection, subject: &str) -> rusqlite::Result<()> {
        let table = self.table();
        let delete = format!("DELETE FROM {table} WHERE subject = ?1");
        connection.prepare_cached(&delete)?.execute([subject])?;
        Ok(())
    }

    fn table(self) -> &'static str {
        match self {
            Self::Orders => "instance_order",
            Self::Settings => "service_settings",
        }
    }
}

fn read_said<S, B>(
    connection: &Connection,
    latest: u64,
    said: Said,
    (parse, decode): (
        impl Fn(&str) -> Option<S>,
        impl Fn(&[u8]) -> Result<B, jackfield_wire::DecodeError>,
    ),
) -> Result<Vec<(u64, S, B)>, Unread> {
    let table = said.table();
    let mut query = connection
        .prepare(&format!("SELECT subject, changed, body, seal FROM {table} ORDER BY subject"))?;
    let mut rows = query.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let (text, body): (String, Vec<u8>) = (row.get(0)?, row.get(2)?);
        let changed = row.get::<_, i64>(1)?.cast_unsigned();
        let bad = || format!("the row of {text:?} in {table}");
        let sealed = seal(&[text.as_bytes(), &changed.to_le_bytes(), &body]);
        check(sealed == row.get::<_, i64>(3)? && changed <= latest, bad)?;
        let subject = parse(&text).ok_or_else(|| Unread::Damaged(bad()))?;
        let body = decode(&body).map_err(|_| Unread::Damaged(bad()))?;
        all.push((changed, subject, body));
    }
    Ok(all)
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
    let owner: PeerId = owner.parse().map_err(|_| Unread::Damaged(bad()))?;
    let record = Record::stored(&id, &instance, owner).ok_or_else(|| Unread::Damaged(bad()))?;
    Ok((changed, record))
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
    let subject = Subject::parse(&id).ok_or_else(|| Unread::Damaged(bad()))?;
    Ok(Removal { revision, subject })
}

fn check(good: bool, what: impl FnOnce() -> String) -> Result<(), Unread> {
    if good { Ok(()) } else { Err(Unread::Damaged(what())) }
}

/// The values of these columns, when the last of them is the seal of the others.
pub(super) fn sealed(row: &Row<'_>, columns: Range<usize>) -> Option<Vec<Value>> {
    let values: Vec<Value> = columns.map(|n| row.get(n)).collect::<Result<_, _>>().ok()?;
    let (Value::Integer(found), rest) = values.split_last()? else { return None };
    let part = |value: &Value| match value {
        Value::Integer(number) => Some(number.to_le_bytes().to_vec()),
        Value::Text(text) => Some(text.clone().into_bytes()),
        Value::Blob(bytes) => Some(bytes.clone()),
        Value::Null | Value::Real(_) => None,
    };
    let parts: Vec<Vec<u8>> = rest.iter().map(part).collect::<Option<_>>()?;
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    (seal(&parts) == *found).then_some(values)
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
