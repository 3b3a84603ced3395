//! What hosts and clients say to the registry, and what it says back.
//!
//! Every exchange is one stream. The peer sends one [`Request`] as a `Message` frame and ends its
//! side. The registry sends one [`Reply`] and ends its side; for [`Request::Watch`] it sends
//! [`Reply::Event`]s until one of the two goes away.

mod digest;
mod event;
mod instance;
mod operate;
mod packed;
mod query;
mod settings;

use minicbor::{Decode, Encode};

use crate::name::InstanceId;
use crate::status::Status;

pub use digest::Digest;
pub use event::{Delta, DeltaOf, Snapshot, SnapshotOf, WatchEvent, WatchEventOf};
pub use instance::{Health, Instance, Kind, MethodSummary, Override};
pub use operate::{Edit, InstancePatch, ServicePatch};
pub use packed::Packed;
pub use query::{ListQuery, Listing, Revision, WatchQuery};
pub use settings::{RetryFactor, RetryFactorError, ServiceEntry, ServiceSettings};

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
    /// An operator's order about an instance.
    #[n(5)]
    SetInstance(#[n(0)] InstancePatch),
    /// An operator's order about a service.
    #[n(6)]
    SetService(#[n(0)] ServicePatch),
}

/// What the registry answers.
pub type Reply = ReplyOf<Instance>;

/// What the registry answers; a watch's instances in some form.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ReplyOf<I> {
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
    Event(#[n(0)] WatchEventOf<I>),
    /// To anything: why not.
    #[n(5)]
    Refused(#[n(0)] Refusal),
    /// To `SetInstance`: what holds now.
    #[n(6)]
    InstanceSet(#[n(0)] Override),
    /// To `SetService`: what holds now.
    #[n(7)]
    ServiceSet(#[n(0)] ServiceSettings),
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
    use crate::{Namespace, ServiceName, from_cbor, to_cbor};
    use proptest::prelude::*;

    fn instance() -> Instance {
        let new = Instance::new(ServiceName::new("calc").unwrap(), "host-1", "127.0.0.1:4433");
        Instance {
            version: Some("0.1.0".into()),
            health: Health::Suspect,
            methods: vec![MethodSummary { name: "add".into(), wit: "add: func()".into() }],
            metadata: [("owner".into(), "a".into())].into(),
            kind: Kind::Endpoint,
            zone: Some("eu-1a".into()),
            operator: Some(Override { weight: Some(3), ..Override::default() }),
            ..new.in_namespace(Namespace::new("staging").unwrap())
        }
    }

    #[test]
    fn requests_and_replies_survive_the_wire() {
        let revision = Revision { epoch: u64::MAX, number: 7 };
        let request = Request::Register(vec![instance()]);
        assert_eq!(from_cbor::<Request>(&to_cbor(&request)).unwrap(), request);
        let (instances, digest) = (vec![instance()], Some(instance().digest()));
        let snapshot = Snapshot { revision, instances, last: true, digest, ..Snapshot::default() };
        for event in [WatchEvent::Snapshot(snapshot), WatchEvent::Idle(revision, digest)] {
            let reply = Reply::Event(event);
            assert_eq!(from_cbor::<Reply>(&to_cbor(&reply)).unwrap(), reply);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_message_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = from_cbor::<Request>(&bytes);
            let _ = from_cbor::<Reply>(&bytes);
        }
    }
}
