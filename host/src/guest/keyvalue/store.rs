//! Named stores in the host's memory: shared by all calls of all plugins that were granted them,
//! kept over reloads, gone with the host. Each is bounded, and so is their number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::GrantError;

/// The stores of one host. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Stores {
    /// Never held across an await.
    all: Arc<Mutex<BTreeMap<String, Arc<Store>>>>,
}

impl Stores {
    /// The store called `name`; an empty one when it is new.
    pub(crate) fn open(&self, name: &str) -> Result<Arc<Store>, GrantError> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = all.get(name) {
            return Ok(Arc::clone(store));
        }
        if all.len() >= MAX_STORES {
            return Err(GrantError::Stores { name: name.to_owned(), limit: MAX_STORES });
        }
        let store = Arc::<Store>::default();
        all.insert(name.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

/// One store.
#[derive(Default)]
pub(crate) struct Store {
    /// Never held across an await.
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    map: BTreeMap<String, Vec<u8>>,
    /// Bytes of all keys and values, and what each costs besides.
    bytes: usize,
}

/// A key and its value.
type Entry = (String, Vec<u8>);

/// A store takes no more, or cannot answer as it was asked. The guest is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("a key has at most {MAX_KEY} bytes")]
    Key,
    #[error("the store is full: it holds at most {MAX_BYTES} bytes; delete something first")]
    Store,
    #[error("the answer would have more than {MAX_BYTES} bytes; ask for fewer keys at once")]
    Answer,
    #[error("the value is no decimal number, or would be larger than 64 bits hold")]
    Number,
}

impl Store {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.entries().map.get(key).cloned()
    }

    pub(super) fn exists(&self, key: &str) -> bool {
        self.entries().map.contains_key(key)
    }

    pub(super) fn set(&self, key: String, value: Vec<u8>) -> Result<(), Full> {
        self.entries().set(key, value)
    }

    pub(super) fn delete(&self, key: &str) {
        let mut entries = self.entries();
        if let Some(value) = entries.map.remove(key) {
            entries.bytes -= cost(key, &value);
        }
    }

    /// Adds to the decimal number at `key`, which is 0 when there is none.
    pub(super) fn increment(&self, key: String, delta: u64) -> Result<u64, Full> {
        let mut entries = self.entries();
        let before = match entries.map.get(&key) {
            None => 0,
            Some(value) => {
                let text = std::str::from_utf8(value).map_err(|_| Full::Number)?;
                text.parse::<u64>().map_err(|_| Full::Number)?
            }
        };
        let after = before.checked_add(delta).ok_or(Full::Number)?;
        entries.set(key, after.to_string().into_bytes())?;
        Ok(after)
    }

    /// The keys from the `cursor`th on, some at a time, and the cursor of the rest. Keys that come
    /// and go meanwhile may be missed or told twice.
    pub(super) fn keys(&self, cursor: u64) -> (Vec<String>, Option<u64>) {
        let entries = self.entries();
        let from = usize::try_from(cursor).unwrap_or(usize::MAX).min(entries.map.len());
        let keys: Vec<_> = entries.map.keys().skip(from).take(PAGE).cloned().collect();
        let next = from + keys.len();
        (keys, (next < entries.map.len()).then_some(next as u64))
    }

    pub(super) fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Entry>>, Full> {
        let entries = self.entries();
        let mut room = MAX_BYTES;
        let find = |key: String| {
            let Some(value) = entries.map.get(&key) else { return Ok(None) };
            room = room.checked_sub(cost(&key, value)).ok_or(Full::Answer)?;
            Ok(Some((key, value.clone())))
        };
        keys.into_iter().map(find).collect()
    }
}

impl Entries {
    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), Full> {
        if key.len() > MAX_KEY {
            return Err(Full::Key);
        }
        let before = self.map.get(&key).map_or(0, |before| cost(&key, before));
        let bytes = self.bytes - before + cost(&key, &value);
        if bytes > MAX_BYTES {
            return Err(Full::Store);
        }
        self.bytes = bytes;
        self.map.insert(key, value);
        Ok(())
    }
}

fn cost(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + ENTRY
}

/// Stores of one host: a manifest that is changed over and over again with new names would fill
/// its memory otherwise.
const MAX_STORES: usize = 64;

/// Bytes of one store.
const MAX_BYTES: usize = 16 << 20;

/// Bytes of one key.
const MAX_KEY: usize = 1 << 10;

/// What an entry takes besides its bytes: two small allocations and a place in the map.
const ENTRY: usize = 96;

/// Keys listed at once.
const PAGE: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_that_name_the_same_store_share_it() {
        let stores = Stores::default();
        stores.open("a").unwrap().set("k".into(), b"v".to_vec()).unwrap();
        assert_eq!(stores.clone().open("a").unwrap().get("k"), Some(b"v".to_vec()));
        assert_eq!(stores.open("b").unwrap().get("k"), None);
    }

    #[test]
    fn there_are_only_so_many_stores() {
        let stores = Stores::default();
        for n in 0..MAX_STORES {
            stores.open(&n.to_string()).unwrap();
        }
        assert!(stores.open("one-more").is_err());
        stores.open("0").unwrap();
    }

    #[test]
    fn a_store_holds_its_limit_and_what_is_deleted_makes_room() {
        let store = Store::default();
        let half = vec![0; MAX_BYTES / 2];
        store.set("a".into(), half.clone()).unwrap();
        assert_eq!(store.set("b".into(), half.clone()), Err(Full::Store));
        store.set("a".into(), half.clone()).unwrap();
        store.delete("a");
        store.set("b".into(), half).unwrap();
        store.delete("b");
        assert_eq!(store.entries().bytes, 0);
        assert_eq!(store.set("k".repeat(MAX_KEY + 1), vec![]), Err(Full::Key));
    }

    #[test]
    fn asking_for_one_key_many_times_does_not_take_the_hosts_memory() {
        let store = Store::default();
        store.set("a".into(), vec![0; 1 << 20]).unwrap();
        assert_eq!(store.get_many(vec!["a".into(); 100]), Err(Full::Answer));
        assert_eq!(store.get_many(vec!["x".into(), "a".into()]).unwrap()[0], None);
    }

    #[test]
    fn keys_come_a_page_at_a_time() {
        let store = Store::default();
        for n in 0..=PAGE {
            store.set(format!("{n:05}"), vec![]).unwrap();
        }
        let (keys, cursor) = store.keys(0);
        assert_eq!((keys.len(), cursor), (PAGE, Some(PAGE as u64)));
        let (keys, cursor) = store.keys(PAGE as u64);
        assert_eq!((keys, cursor), (vec![format!("{PAGE:05}")], None));
        assert_eq!(store.keys(u64::MAX), (vec![], None));
    }

    #[test]
    fn a_number_is_counted_up_and_never_over() {
        let store = Store::default();
        assert_eq!(store.increment("n".into(), 2), Ok(2));
        assert_eq!(store.increment("n".into(), 3), Ok(5));
        assert_eq!(store.increment("n".into(), u64::MAX), Err(Full::Number));
        assert_eq!(store.get("n"), Some(b"5".to_vec()));
        store.set("t".into(), b"text".to_vec()).unwrap();
        assert_eq!(store.increment("t".into(), 1), Err(Full::Number));
    }
}
