//! The file: what it refuses, what it survives.

use std::fs;
use std::path::PathBuf;

use jackfield_wire::registry::Instance;
use rusqlite::Connection;
use tempfile::TempDir;

use super::file::File;
use super::repair::repair;
use super::{SqliteStore, schema};
use crate::core::fixture::{Bench, Keeper, instance};
use crate::core::{Change, Stored};
use crate::store::{NotKept, Store as _, StoreError};

struct Place {
    path: PathBuf,
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { path: dir.path().join("registry.sqlite"), dir }
    }

    fn open(&self) -> Result<(File, Stored), StoreError> {
        File::open(&self.path, 7)
    }

    fn refused(&self) -> StoreError {
        let before = fs::read(&self.path).unwrap();
        let error = self.open().map(|(_, stored)| stored).expect_err("it must be refused");
        assert_eq!(fs::read(&self.path).unwrap(), before, "a refused file was changed");
        assert!(error.to_string().contains(self.path.to_str().unwrap()), "{error}");
        error
    }

    /// Something of everything: instances, one that changed, removals.
    fn fill(&self, hosts: usize) -> Stored {
        let mut bench = Bench::beside(Box::new(Direct { path: self.path.clone(), file: None }));
        for n in 0..hosts {
            let host = format!("h{n}");
            bench.register(&host, vec![instance("calc", &host), instance("text", &host)]);
            if n % 3 == 0 {
                bench.lose(&host);
            }
            if n % 3 == 1 {
                bench.deregister(&host, &[crate::core::fixture::id("calc", &host)]);
                bench.lose(&host);
            }
        }
        bench.stored()
    }
}

struct Direct {
    path: PathBuf,
    file: Option<File>,
}

impl Keeper for Direct {
    fn keep(&mut self, change: &Change) {
        self.file.as_mut().expect("open").keep(change).unwrap();
    }

    fn reopen(&mut self) -> Stored {
        self.file = None;
        let (file, stored) = File::open(&self.path, 7).unwrap();
        self.file = Some(file);
        stored
    }
}

/// A registration of `n` instances, each of a kilobyte.
fn registration(n: usize) -> Change {
    let mut bench = Bench::new();
    let metadata = [("text".to_owned(), "x".repeat(1000))];
    let fat = |n| Instance { metadata: metadata.clone().into(), ..instance(&format!("s{n}"), "a") };
    let holder = bench.holder("a");
    let instances = (0..n).map(fat).collect();
    let plan =
        bench.core.plan_register(bench.now, &holder, instances, &Default::default()).unwrap();
    bench.core.change(&plan).expect("it is new")
}

#[test]
fn a_new_file_gets_the_epoch_and_keeps_it() {
    let place = Place::new();
    let (file, stored) = place.open().unwrap();
    assert_eq!(stored, Stored { epoch: 7, ..Stored::default() });
    drop(file);
    let (_, stored) = File::open(&place.path, 8).unwrap();
    assert_eq!(stored.epoch, 7);
}

#[test]
fn an_empty_file_is_version_0_and_becomes_the_newest() {
    let place = Place::new();
    fs::write(&place.path, "").unwrap();
    drop(place.open().unwrap());
    let version = |connection: &Connection| -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    assert_eq!(version(&Connection::open(&place.path).unwrap()), schema::VERSION);
    assert!(place.open().is_ok());
}

#[test]
fn a_file_that_version_1_wrote_opens_with_all_that_was_in_it() {
    let place = Place::new();
    let connection = Connection::open(&place.path).unwrap();
    connection.execute_batch(include_str!("version-1.sql")).unwrap();
    drop(connection);
    let (_, stored) = place.open().unwrap();
    assert_eq!(stored, Place::new().fill(4));
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let place = Place::new();
    drop(place.open().unwrap());
    let connection = Connection::open(&place.path).unwrap();
    connection.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(connection);
    let error = place.refused();
    assert!(matches!(error, StoreError::Newer { found: 3, known: 2, .. }), "{error}");
}

#[test]
fn another_programs_file_is_refused_and_left_alone() {
    let place = Place::new();
    let connection = Connection::open(&place.path).unwrap();
    connection.execute_batch("CREATE TABLE mail (body TEXT)").unwrap();
    drop(connection);
    let error = place.refused();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

#[test]
fn a_file_in_use_is_refused_until_it_is_closed() {
    let place = Place::new();
    let first = place.open().unwrap();
    let error = place.open().map(|(_, stored)| stored).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(first);
    place.open().unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let place = Place::new();
    let path = place.dir.path().join("none").join("registry.sqlite");
    let error = File::open(&path, 7).map(|(_, stored)| stored).unwrap_err();
    assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("none/registry.sqlite"), "{error}");
}

#[test]
fn what_is_not_sqlite_is_refused_with_the_command_that_repairs_it() {
    let place = Place::new();
    fs::write(&place.path, "once upon a time ".repeat(1000)).unwrap();
    let error = place.refused();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let command = format!("`jackfield registry repair {}`", place.path.display());
    assert!(error.to_string().contains(&command), "{error}");
    let repaired = repair(&place.path, 8).unwrap();
    assert_eq!((repaired.instances, repaired.lost), (0, 1), "nothing is lost in silence");
    let aside = repaired.aside.unwrap().join("registry.sqlite");
    assert_eq!(fs::read(aside).unwrap().len(), 17_000);
    assert_eq!(place.open().unwrap().1, Stored { epoch: 8, ..Stored::default() });
}

#[test]
fn a_repair_leaves_a_sound_file_alone_and_a_file_in_use() {
    let place = Place::new();
    let stored = place.fill(4);
    let repaired = repair(&place.path, 8).unwrap();
    assert_eq!((repaired.instances, repaired.aside), (stored.records.len(), None));
    let open = place.open().unwrap();
    assert_eq!(open.1, stored);
    assert!(matches!(repair(&place.path, 8), Err(StoreError::InUse { .. })));
    let missing = place.dir.path().join("none");
    assert!(matches!(repair(&missing, 8), Err(StoreError::Unusable { .. })));
    assert!(!missing.exists());
}

#[test]
fn a_repair_saves_what_is_sound_and_nothing_else() {
    let place = Place::new();
    let stored = place.fill(60);
    let whole = fs::read(&place.path).unwrap();
    let (mut repairs, mut saved) = (0, 0);
    // Prime, so that flips fall on all kinds of places; the same ones every time.
    for at in (0..whole.len()).step_by(307) {
        let place = Place::new();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&place.path, bytes).unwrap();
        if !matches!(place.open(), Err(StoreError::Damaged { .. })) {
            continue;
        }
        let repaired = repair(&place.path, 8).unwrap();
        let (_, found) = place.open().expect("repaired");
        assert_eq!(found.records.len(), repaired.instances);
        assert!((found.epoch, found.authoritative) == (8, false), "watchers must begin anew");
        assert!(found.records.iter().all(|record| stored.records.contains(record)), "made up");
        let is_whole = found.records.len() == stored.records.len();
        assert!(is_whole || repaired.lost > 0, "lost in silence after a bit at {at}");
        repairs += 1;
        saved += found.records.len();
    }
    assert!(repairs > 40, "only {repairs} were damaged");
    let all = repairs * stored.records.len();
    assert!(saved * 10 > all * 7, "{saved} of {all} were saved");
}

#[test]
fn a_flipped_bit_never_shows_another_set() {
    let place = Place::new();
    let stored = place.fill(30);
    let whole = fs::read(&place.path).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(41) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let place = Place::new();
        fs::write(&place.path, bytes).unwrap();
        match place.open() {
            Ok((_, found)) => assert!(found == stored, "a bit at {at} shows another set"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100, "only {refused} were noticed");
}

#[test]
fn a_full_disk_refuses_changes_and_recovers_by_itself() {
    let place = Place::new();
    let (mut file, _) = place.open().unwrap();
    file.limit_pages(20);
    let refused = file.keep(&registration(64)).unwrap_err();
    assert!(matches!(&refused, NotKept::Full(why) if why.contains("full")), "{refused:?}");
    let small = registration(1);
    file.keep(&small).unwrap();
    file.limit_pages(10_000);
    let large = registration(64);
    file.keep(&large).unwrap();
    drop(file);
    let (_, stored) = place.open().unwrap();
    assert_eq!((stored.records.len(), stored.revision), (64, large.revision));
}

#[tokio::test]
async fn a_closed_store_can_be_opened_at_once() {
    let place = Place::new();
    for n in 1..20 {
        let (mut store, stored) = SqliteStore::open(&place.path, 7).unwrap();
        assert_eq!(stored.records.len(), n - 1);
        store.keep(registration(n)).await.unwrap();
        store.close().await;
    }
}
