//! An instance as its encoded bytes: a fifth of the memory of its fields, and ready to be sent.

use std::sync::Arc;

use minicbor::encode::{Error, Write};
use minicbor::{Decoder, Encode, Encoder};

use super::digest::Digest;
use super::instance::Instance;
use crate::name::InstanceId;
use crate::{from_cbor, to_cbor};

/// An instance, encoded. Cheap to clone: all clones share the bytes. It encodes to exactly what the
/// instance does, so a message may hold either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Arc<[u8]>);

impl Packed {
    /// `instance`, encoded.
    pub fn of(instance: &Instance) -> Self {
        Self(to_cbor(instance).into())
    }

    /// The instance that it is.
    ///
    /// # Cost
    /// Decodes everything: about a microsecond, and more with every method.
    pub fn unpack(&self) -> Instance {
        from_cbor(&self.0).expect("it was encoded from an instance")
    }

    /// Its id's text.
    pub fn id(&self) -> &str {
        let mut decoder = Decoder::new(&self.0);
        let first = decoder.array().and_then(|_| decoder.str());
        first.expect("an instance begins with its id")
    }

    /// Its id.
    pub fn instance_id(&self) -> InstanceId {
        let mut decoder = Decoder::new(&self.0);
        let first = decoder.array().and_then(|_| decoder.decode());
        first.expect("an instance begins with its id")
    }

    /// What is sent and kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its share of a set's digest, as [`Instance::digest`] says it of one without the age of a
    /// heartbeat.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl<C> Encode<C> for Packed {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), Error<W::Error>> {
        e.writer_mut().write_all(&self.0).map_err(Error::write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServiceName;
    use crate::registry::{Reply, ReplyOf, Snapshot, SnapshotOf, WatchEvent, WatchEventOf};

    fn instance() -> Instance {
        let new = Instance::new(ServiceName::new("calc").unwrap(), "host-1", "127.0.0.1:4433");
        Instance { metadata: [("owner".into(), "x".repeat(300))].into(), ..new }
    }

    #[test]
    fn a_packed_instance_is_the_instance() {
        let packed = Packed::of(&instance());
        assert_eq!(packed.unpack(), instance());
        assert_eq!(packed.id(), "calc@host-1");
        assert_eq!(packed.instance_id(), instance().id);
        assert_eq!(packed.digest(), instance().digest());
    }

    #[test]
    fn a_message_with_packed_instances_is_the_message_with_instances() {
        let whole = Snapshot { instances: vec![instance(); 3], last: true, ..Snapshot::default() };
        let whole = to_cbor(&Reply::Event(WatchEvent::Snapshot(whole)));
        let instances = vec![Packed::of(&instance()); 3];
        let packed = SnapshotOf { instances, last: true, ..SnapshotOf::default() };
        assert_eq!(to_cbor(&ReplyOf::Event(WatchEventOf::Snapshot(packed))), whole);
    }
}
