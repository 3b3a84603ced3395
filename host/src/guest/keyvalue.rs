//! `wasi:keyvalue`: the stores of this host that a plugin was granted, by the names that it was
//! granted them under.
//!
//! Its answers hold no more than a store does, however often a guest asks for the same key at once.

mod store;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource};

pub(crate) use store::{Full, Store, Stores};

use super::Guest;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package wasi:keyvalue@0.2.0-draft;
            interface store {
                variant error { no-such-store, access-denied, other(string) }
                record key-response { keys: list<string>, cursor: option<u64> }
                resource bucket {
                    get: func(key: string) -> result<option<list<u8>>, error>;
                    set: func(key: string, value: list<u8>) -> result<_, error>;
                    delete: func(key: string) -> result<_, error>;
                    exists: func(key: string) -> result<bool, error>;
                    list-keys: func(cursor: option<u64>) -> result<key-response, error>;
                }
                open: func(identifier: string) -> result<bucket, error>;
            }
            interface atomics {
                use store.{bucket, error};
                increment: func(bucket: borrow<bucket>, key: string, delta: u64)
                    -> result<u64, error>;
            }
            interface batch {
                use store.{bucket, error};
                get-many: func(bucket: borrow<bucket>, keys: list<string>)
                    -> result<list<option<tuple<string, list<u8>>>>, error>;
                set-many: func(bucket: borrow<bucket>, key-values: list<tuple<string, list<u8>>>)
                    -> result<_, error>;
                delete-many: func(bucket: borrow<bucket>, keys: list<string>) -> result<_, error>;
            }
            world imports { import store; import atomics; import batch; }
        ",
        imports: { default: trappable },
        with: { "wasi:keyvalue/store.bucket": super::Bucket },
        trappable_error_type: { "wasi:keyvalue/store.error" => super::Failed },
    });
}

use bindings::wasi::keyvalue;

/// A store that a guest has opened.
#[expect(unreachable_pub, reason = "what is generated exports it")]
pub struct Bucket(Arc<Store>);

/// Why an operation failed: what the guest is told, or the trap that ends it.
#[expect(unreachable_pub, reason = "what is generated exports it")]
pub enum Failed {
    Told(keyvalue::store::Error),
    Trap(wasmtime::Error),
}

impl From<Full> for Failed {
    fn from(full: Full) -> Self {
        Self::Told(keyvalue::store::Error::Other(full.to_string()))
    }
}

impl From<wasmtime::component::ResourceTableError> for Failed {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

/// Links the interfaces.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    keyvalue::store::add_to_linker::<_, HasKeyValue>(linker, view)?;
    keyvalue::atomics::add_to_linker::<_, HasKeyValue>(linker, view)?;
    keyvalue::batch::add_to_linker::<_, HasKeyValue>(linker, view)
}

struct HasKeyValue;

impl HasData for HasKeyValue {
    type Data<'a> = KeyValue<'a>;
}

struct KeyValue<'a>(&'a mut Guest);

fn view(guest: &mut Guest) -> KeyValue<'_> {
    KeyValue(guest)
}

impl KeyValue<'_> {
    fn store(&self, bucket: &Resource<Bucket>) -> Result<Arc<Store>, Failed> {
        Ok(Arc::clone(&self.0.table.get(bucket)?.0))
    }
}

impl keyvalue::store::Host for KeyValue<'_> {
    fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, Failed> {
        let Some(store) = self.0.capabilities().store(&identifier).cloned() else {
            return Err(Failed::Told(keyvalue::store::Error::NoSuchStore));
        };
        Ok(self.0.table.push(Bucket(store))?)
    }

    fn convert_error(&mut self, error: Failed) -> wasmtime::Result<keyvalue::store::Error> {
        match error {
            Failed::Told(error) => Ok(error),
            Failed::Trap(error) => Err(error),
        }
    }
}

impl keyvalue::store::HostBucket for KeyValue<'_> {
    fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Option<Vec<u8>>, Failed> {
        Ok(self.store(&bucket)?.get(&key))
    }

    fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Result<(), Failed> {
        Ok(self.store(&bucket)?.set(key, value)?)
    }

    fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), Failed> {
        self.store(&bucket)?.delete(&key);
        Ok(())
    }

    fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Failed> {
        Ok(self.store(&bucket)?.exists(&key))
    }

    fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<keyvalue::store::KeyResponse, Failed> {
        let (keys, cursor) = self.store(&bucket)?.keys(cursor.unwrap_or_default());
        Ok(keyvalue::store::KeyResponse { keys, cursor })
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.0.table.delete(bucket)?;
        Ok(())
    }
}

impl keyvalue::atomics::Host for KeyValue<'_> {
    fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> Result<u64, Failed> {
        Ok(self.store(&bucket)?.increment(key, delta)?)
    }
}

impl keyvalue::batch::Host for KeyValue<'_> {
    fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Failed> {
        Ok(self.store(&bucket)?.get_many(keys)?)
    }

    fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Failed> {
        let store = self.store(&bucket)?;
        for (key, value) in pairs {
            store.set(key, value)?;
        }
        Ok(())
    }

    fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Result<(), Failed> {
        let store = self.store(&bucket)?;
        keys.iter().for_each(|key| store.delete(key));
        Ok(())
    }
}
