//! Keys and values as etcd holds them. What comes back is input like any other.

use std::sync::Arc;

use jackfield_transport::PeerId;
use jackfield_wire::registry::{Instance, Override, ServiceSettings};
use jackfield_wire::{InstanceId, ServiceKey, from_cbor, to_cbor};
use prost::Message;

use super::proto::{DeleteRangeRequest, KeyValue, Op, PutRequest, RequestOp};
use crate::core::{By, Front, Record, Step, Subject};

/// The keys of one registry in a cluster: everything lies under one root. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    root: Arc<str>,
}

/// The one key about the whole: every change writes it, and is refused when it is not as expected.
const HEAD: &str = "head";
const INSTANCE: &str = "instance/";
const REMOVAL: &str = "removal/";
const ORDER: &str = "order/";
const SETTINGS: &str = "settings/";
const FRONT: &str = "front/";

/// Why there is no value: what, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unread(pub(super) String);

/// A key and its value, understood.
#[derive(Debug)]
pub(super) enum Row {
    Head(Head),
    Instance {
        changed: u64,
        record: Record,
    },
    Order {
        changed: u64,
        id: InstanceId,
        order: Override,
    },
    Settings {
        changed: u64,
        key: ServiceKey,
        settings: ServiceSettings,
    },
    /// A step that took something away.
    Removal {
        revision: u64,
        step: Step,
    },
    Front(Front),
    /// Of a newer version, which says in the head whether this one may go on.
    Other,
}

/// About the whole.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Head {
    /// Of keys and values.
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(fixed64, tag = "2")]
    pub(super) epoch: u64,
    #[prost(uint64, tag = "3")]
    pub(super) revision: u64,
    #[prost(uint64, tag = "4")]
    pub(super) floor: u64,
    #[prost(bool, tag = "5")]
    pub(super) authoritative: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Held {
    #[prost(uint64, tag = "1")]
    changed: u64,
    #[prost(fixed64, tag = "2")]
    keeper: u64,
    #[prost(string, tag = "3")]
    owner: String,
    #[prost(bytes = "vec", tag = "4")]
    body: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Gone {
    /// An id or a service's key, as CBOR text.
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    /// [`INSTANCE_GONE`], [`ORDER_GONE`] or [`SETTINGS_GONE`].
    #[prost(uint32, tag = "2")]
    what: u32,
}

/// What an operator said: an order or settings.
#[derive(Clone, PartialEq, Message)]
struct Said {
    #[prost(uint64, tag = "1")]
    changed: u64,
    #[prost(bytes = "vec", tag = "2")]
    body: Vec<u8>,
}

impl Keys {
    pub(super) fn under(root: &str) -> Self {
        Self { root: root.into() }
    }

    pub(super) fn root(&self) -> &[u8] {
        self.root.as_bytes()
    }

    pub(super) fn head(&self) -> Vec<u8> {
        self.key(HEAD)
    }

    pub(super) fn front(&self, front: Front) -> Vec<u8> {
        self.key(&format!("{FRONT}{:016x}", front.0))
    }

    /// The front end whose key this is.
    pub(super) fn front_of(&self, key: &[u8]) -> Option<Front> {
        let front = self.name_of(key)?.strip_prefix(FRONT)?;
        u64::from_str_radix(front, 16).ok().map(Front)
    }

    /// What writes a step, the `revision`th.
    pub(super) fn write(&self, revision: u64, step: &Step) -> Vec<RequestOp> {
        match step {
            Step::Put(record) => {
                let body = record.packed.as_bytes().to_vec();
                let By { owner, keeper } = record.by();
                let (owner, keeper) = (owner.to_string(), keeper.0);
                let held = Held { changed: revision, keeper, owner, body };
                let key = self.key(&format!("{INSTANCE}{}", record.packed.id()));
                vec![put(key, held.encode_to_vec(), 0)]
            }
            Step::Remove(id) => {
                self.remove(revision, &format!("{INSTANCE}{id}"), id.as_str(), INSTANCE_GONE)
            }
            Step::Order(id, Some(order)) => {
                self.say(revision, &format!("{ORDER}{id}"), to_cbor(order))
            }
            Step::Order(id, None) => {
                self.remove(revision, &format!("{ORDER}{id}"), id.as_str(), ORDER_GONE)
            }
            Step::Set(key, settings) if settings.is_empty() => {
                self.remove(revision, &format!("{SETTINGS}{key}"), &key.text(), SETTINGS_GONE)
            }
            Step::Set(key, settings) => {
                self.say(revision, &format!("{SETTINGS}{key}"), to_cbor(settings))
            }
        }
    }

    /// Forgets what was removed up to `floor`.
    pub(super) fn forget(&self, floor: u64) -> RequestOp {
        delete(self.removal(0), self.removal(floor.saturating_add(1)))
    }

    pub(super) fn write_head(&self, head: Head) -> RequestOp {
        put(self.head(), head.encode_to_vec(), 0)
    }

    fn say(&self, revision: u64, key: &str, body: Vec<u8>) -> Vec<RequestOp> {
        let said = Said { changed: revision, body };
        vec![put(self.key(key), said.encode_to_vec(), 0)]
    }

    /// A deletion has no value to say which revision it made: the removal's key says it.
    fn remove(&self, revision: u64, key: &str, text: &str, what: u32) -> Vec<RequestOp> {
        let gone = Gone { id: to_cbor(&text), what };
        vec![
            delete(self.key(key), Vec::new()),
            put(self.removal(revision), gone.encode_to_vec(), 0),
        ]
    }

    /// In the order of revisions.
    fn removal(&self, revision: u64) -> Vec<u8> {
        self.key(&format!("{REMOVAL}{revision:016x}"))
    }

    fn key(&self, name: &str) -> Vec<u8> {
        format!("{}{name}", self.root).into_bytes()
    }

    fn name_of<'a>(&self, key: &'a [u8]) -> Option<&'a str> {
        std::str::from_utf8(key).ok()?.strip_prefix(&*self.root)
    }
}

impl Row {
    pub(super) fn read(keys: &Keys, kv: &KeyValue) -> Result<Self, Unread> {
        let bad = || Unread(format!("the key {:?}", String::from_utf8_lossy(&kv.key)));
        let key = keys.name_of(&kv.key).ok_or_else(bad)?;
        if key == HEAD {
            return Head::decode(&*kv.value).map(Self::Head).map_err(|_| bad());
        }
        if let Some(id) = key.strip_prefix(INSTANCE) {
            return read_instance(id, &kv.value).ok_or_else(bad);
        }
        if let Some(id) = key.strip_prefix(ORDER) {
            return read_order(id, &kv.value).ok_or_else(bad);
        }
        if let Some(service) = key.strip_prefix(SETTINGS) {
            return read_settings(service, &kv.value).ok_or_else(bad);
        }
        if let Some(revision) = key.strip_prefix(REMOVAL) {
            return read_removal(revision, &kv.value).ok_or_else(bad);
        }
        match key.strip_prefix(FRONT) {
            Some(front) => {
                u64::from_str_radix(front, 16).map(|n| Self::Front(Front(n))).map_err(|_| bad())
            }
            None => Ok(Self::Other),
        }
    }
}

fn read_instance(id: &str, value: &[u8]) -> Option<Row> {
    let Held { changed, keeper, owner, body } = Held::decode(value).ok()?;
    let instance: Instance = from_cbor(&body).ok()?;
    let owner: PeerId = owner.parse().ok()?;
    let record = Record::stored(id, &instance, owner)?.kept_by(Front(keeper));
    Some(Row::Instance { changed, record })
}

fn read_removal(revision: &str, value: &[u8]) -> Option<Row> {
    let revision = u64::from_str_radix(revision, 16).ok()?;
    let Gone { id, what } = Gone::decode(value).ok()?;
    let text: String = from_cbor(&id).ok()?;
    let step = match (what, Subject::parse(&text)?) {
        (INSTANCE_GONE, Subject::Instance(id)) => Step::Remove(id),
        (ORDER_GONE, Subject::Instance(id)) => Step::Order(id, None),
        (SETTINGS_GONE, Subject::Settings(key)) => Step::Set(*key, ServiceSettings::default()),
        _ => return None,
    };
    Some(Row::Removal { revision, step })
}

fn read_order(id: &str, value: &[u8]) -> Option<Row> {
    let Said { changed, body } = Said::decode(value).ok()?;
    let Subject::Instance(id) = Subject::parse(id)? else { return None };
    Some(Row::Order { changed, id, order: from_cbor(&body).ok()? })
}

fn read_settings(key: &str, value: &[u8]) -> Option<Row> {
    let Said { changed, body } = Said::decode(value).ok()?;
    let key = key.parse().ok()?;
    Some(Row::Settings { changed, key, settings: from_cbor(&body).ok()? })
}

pub(super) fn put(key: Vec<u8>, value: Vec<u8>, lease: i64) -> RequestOp {
    RequestOp { request: Some(Op::Put(PutRequest { key, value, lease })) }
}

fn delete(key: Vec<u8>, range_end: Vec<u8>) -> RequestOp {
    RequestOp { request: Some(Op::Delete(DeleteRangeRequest { key, range_end })) }
}

/// The end of a range of everything that begins with `prefix`.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// What a removal is of.
const INSTANCE_GONE: u32 = 0;
const ORDER_GONE: u32 = 1;
const SETTINGS_GONE: u32 = 2;
/// The newest version of keys and values that is understood.
pub(super) const VERSION: u32 = 1;
