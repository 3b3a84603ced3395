//! What hosts and clients say to the registry, and what it says back.
//!
//! Every exchange is one stream. The peer sends one [`Request`] as a `Message` frame and ends its
//! side. The registry sends one [`Reply`] and ends its side; for [`Request::Watch`] it sends
//! [`Reply::Event`]s until one of the two goes away.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::call::Generation;
use crate::name::{InstanceId, ServiceName};
use crate::status::Status;

/// One service at one address, as the peers of a registry see it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Instance {
    /// Unique in the registry.
    #[n(0)]
    pub id: InstanceId,
    /// What it serves.
    #[n(1)]
    pub service: ServiceName,
    /// Where: `127.0.0.1:4433`, `[::1]:4433`; a literal address and a port.
    #[n(2)]
    pub address: String,
    /// Which host: the name in its certificate.
    #[n(3)]
    pub host: String,
    /// The service's version, where it has one.
    #[n(4)]
    pub version: Option<String>,
    /// The plugin's generation, for a wasm host.
    #[n(5)]
    pub generation: Option<Generation>,
    /// Share of calls for weighted pickers; default 1.
    #[n(6)]
    pub weight: u32,
    /// Whether heartbeats decide about its health. When not, it is never suspect and does not
    /// expire: only its owner's deregistration removes it.
    #[n(7)]
    pub check_healthy: bool,
    /// Whether it is believed to answer.
    #[n(8)]
    pub health: Health,
    /// Whether an operator lets it serve.
    #[n(9)]
    pub enabled: bool,
    /// What can be called, for a wasm host.
    #[n(10)]
    pub methods: Vec<MethodSummary>,
    /// Free text by key; opaque to the registry.
    #[n(11)]
    pub metadata: BTreeMap<String, String>,
}

impl Instance {
    /// Whether calls may be sent to it.
    pub fn is_available(&self) -> bool {
        self.enabled
            && match self.health {
                Health::Healthy => true,
                Health::Suspect => !self.check_healthy,
                Health::Draining => false,
            }
    }
}

/// Whether an instance is believed to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Its lease is held.
    #[n(0)]
    Healthy,
    /// Its connection was lost; the lease still runs.
    #[n(1)]
    Suspect,
    /// It said goodbye, and finishes what it has.
    #[n(2)]
    Draining,
}

impl Health {
    /// The word that people see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Draining => "draining",
        }
    }
}

/// A method's name and signature.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct MethodSummary {
    /// The name to call it by.
    #[n(0)]
    pub name: String,
    /// WIT text: `add: func(a: f64, b: f64) -> f64`.
    #[n(1)]
    pub wit: String,
}

/// What a peer asks of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Take or replace these instances under the lease of this connection.
    #[n(0)]
    Register(#[n(0)] Vec<Instance>),
    /// The lease of this connection lives, and holds these instances.
    #[n(1)]
    Heartbeat(#[n(0)] Vec<InstanceId>),
    /// These go: unhealthy at once, then removed.
    #[n(2)]
    Deregister(#[n(0)] Vec<InstanceId>),
    /// What is there now.
    #[n(3)]
    List(#[n(0)] ListQuery),
    /// What is there now, and every change from then on.
    #[n(4)]
    Watch(#[n(0)] WatchQuery),
}

/// Which instances to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ListQuery {
    /// Of this service; of all when absent.
    #[n(0)]
    pub service: Option<ServiceName>,
    /// Also those that may not be called now.
    #[n(1)]
    pub all: bool,
    /// Those after this id, in the order of ids: for the next part of a long list.
    #[n(2)]
    pub after: Option<InstanceId>,
}

/// What to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct WatchQuery {
    /// This service; all when absent.
    #[n(0)]
    pub service: Option<ServiceName>,
    /// The last revision that the watcher has, to go on from there.
    #[n(1)]
    pub resume: Option<Revision>,
}

/// A state of the registry. Numbers of different epochs cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Revision {
    /// Which life of the registry's store counted it.
    #[n(0)]
    pub epoch: u64,
    /// Grows by one with every change.
    #[n(1)]
    pub number: u64,
}

/// What the registry answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// To `Register`.
    #[n(0)]
    Registered(#[n(0)] LeaseTerms),
    /// To `Heartbeat`: those that the registry does not hold, to be registered again.
    #[n(1)]
    Alive(#[n(0)] Vec<InstanceId>),
    /// To `Deregister`: how many it held.
    #[n(2)]
    Deregistered(#[n(0)] u32),
    /// To `List`.
    #[n(3)]
    Listed(#[n(0)] Listing),
    /// To `Watch`.
    #[n(4)]
    Event(#[n(0)] WatchEvent),
    /// To anything: why not.
    #[n(5)]
    Refused(#[n(0)] Refusal),
}

/// How long a lease lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LeaseTerms {
    /// Time from a heartbeat to the end of the lease, in milliseconds.
    #[n(0)]
    pub ttl_ms: u32,
    /// Time between heartbeats, in milliseconds.
    #[n(1)]
    pub heartbeat_ms: u32,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Listing {
    /// The state that was listed.
    #[n(0)]
    pub revision: Revision,
    /// In the order of ids.
    #[n(1)]
    pub instances: Vec<Instance>,
    /// There is more: ask again after the last id.
    #[n(2)]
    pub more: bool,
}

/// One step of a watch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum WatchEvent {
    /// A part of the full set. Parts follow each other; the set is whole with the last.
    #[n(0)]
    Snapshot(#[n(0)] Snapshot),
    /// What changed since the event before.
    #[n(1)]
    Delta(#[n(0)] Delta),
    /// Nothing changed since the event before, whose revision this repeats: the registry is there.
    #[n(2)]
    Idle(#[n(0)] Revision),
}

/// A part of the full set.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Snapshot {
    /// The state that it shows.
    #[n(0)]
    pub revision: Revision,
    /// Instances of this part.
    #[n(1)]
    pub instances: Vec<Instance>,
    /// No further part follows.
    #[n(2)]
    pub last: bool,
    /// The registry has been up long enough to know everyone: what is not in the set is gone.
    /// Until then a watcher keeps what it had.
    #[n(3)]
    pub authoritative: bool,
}

/// What changed: the latest state of each instance, however often it changed. No instance is both
/// upserted and removed. A change too large for a frame comes as several of these; the revision of
/// each is safe to resume from. Both lists may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Delta {
    /// The state after the change; in all but the last of several, a state before it.
    #[n(0)]
    pub revision: Revision,
    /// New, or different from before.
    #[n(1)]
    pub upserted: Vec<Instance>,
    /// Gone.
    #[n(2)]
    pub removed: Vec<InstanceId>,
    /// As in [`Snapshot`]; turns true once.
    #[n(3)]
    pub authoritative: bool,
}

/// Why the registry did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Encode, Decode)]
#[error("{status}: {message}")]
pub struct Refusal {
    /// The kind of refusal; never `ok`.
    #[n(0)]
    pub status: Status,
    /// For people.
    #[n(1)]
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{from_cbor, to_cbor};
    use proptest::prelude::*;

    pub(super) fn instance() -> Instance {
        let service = ServiceName::new("calc").unwrap();
        Instance {
            id: InstanceId::new(&service, "host-1"),
            service,
            address: "127.0.0.1:4433".into(),
            host: "host-1".into(),
            version: Some("0.1.0".into()),
            generation: None,
            weight: 1,
            check_healthy: true,
            health: Health::Suspect,
            enabled: true,
            methods: vec![MethodSummary { name: "add".into(), wit: "add: func()".into() }],
            metadata: BTreeMap::from([("zone".into(), "a".into())]),
        }
    }

    #[test]
    fn requests_and_replies_survive_the_wire() {
        let revision = Revision { epoch: u64::MAX, number: 7 };
        let request = Request::Register(vec![instance()]);
        assert_eq!(from_cbor::<Request>(&to_cbor(&request)).unwrap(), request);
        let snapshot =
            Snapshot { revision, instances: vec![instance()], last: true, authoritative: false };
        let reply = Reply::Event(WatchEvent::Snapshot(snapshot));
        assert_eq!(from_cbor::<Reply>(&to_cbor(&reply)).unwrap(), reply);
    }

    #[test]
    fn only_an_enabled_and_healthy_instance_is_available() {
        let suspect = instance();
        assert!(!suspect.is_available());
        let unchecked = Instance { check_healthy: false, ..instance() };
        assert!(unchecked.is_available());
        let healthy = Instance { health: Health::Healthy, ..instance() };
        assert!(healthy.is_available());
        assert!(!Instance { enabled: false, ..healthy }.is_available());
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_message_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = from_cbor::<Request>(&bytes);
            let _ = from_cbor::<Reply>(&bytes);
        }
    }
}
