//! One service at one address, as peers see it.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::call::Generation;
use crate::name::{InstanceId, Namespace, ServiceKey, ServiceName};

/// One service at one address, as the peers of a registry see it: what its host says, with what an
/// operator says instead.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Instance {
    /// Unique in the registry.
    #[n(0)]
    pub id: InstanceId,
    /// What it serves.
    #[n(1)]
    pub service: ServiceName,
    /// Where: `127.0.0.1:4433`, `[::1]:4433`; a literal address and a port. Of an
    /// [outside endpoint](Kind::Endpoint) also a host's name and a port.
    #[n(2)]
    pub address: String,
    /// Which host: the name in its certificate. An outside endpoint has the name of whoever
    /// registered it, and behind a `:` its own, where one registers several.
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
    /// Whether its host and the operators let it serve.
    #[n(9)]
    pub enabled: bool,
    /// What can be called, for a wasm host.
    #[n(10)]
    pub methods: Vec<MethodSummary>,
    /// Free text by key; opaque to the registry.
    #[n(11)]
    pub metadata: BTreeMap<String, String>,
    /// What speaks at the address.
    #[n(12)]
    #[cbor(default)]
    #[serde(default)]
    pub kind: Kind,
    /// Where the service's name counts.
    #[n(13)]
    #[cbor(default)]
    #[serde(default)]
    pub namespace: Namespace,
    /// Which part of the network it is in: `eu-1a`, `rack-7`.
    #[n(14)]
    #[serde(default)]
    pub zone: Option<String>,
    /// What an operator says of it; already part of the fields above.
    #[n(15)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Override>,
    /// Milliseconds since its last heartbeat when this was sent. Only lists tell it.
    #[n(16)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_ms: Option<u32>,
}

impl Instance {
    /// `service` at `address` on `host`, in the default namespace, healthy, without anything that
    /// need not be said.
    pub fn new(service: ServiceName, host: &str, address: impl Into<String>) -> Self {
        Self {
            id: InstanceId::new(&service, host),
            service,
            address: address.into(),
            host: host.into(),
            version: None,
            generation: None,
            weight: 1,
            check_healthy: true,
            health: Health::Healthy,
            enabled: true,
            methods: Vec::new(),
            metadata: BTreeMap::new(),
            kind: Kind::Plugin,
            namespace: Namespace::default(),
            zone: None,
            operator: None,
            last_heartbeat_ms: None,
        }
    }

    /// The same in another namespace, with the id that it has there.
    pub fn in_namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self.id = InstanceId::of(&self.key(), &self.host);
        self
    }

    /// Its service in its namespace.
    pub fn key(&self) -> ServiceKey {
        ServiceKey { namespace: self.namespace.clone(), service: self.service.clone() }
    }

    /// Whether calls may be sent to it.
    pub fn is_available(&self) -> bool {
        self.enabled
            && match self.health {
                Health::Healthy => true,
                Health::Suspect => !self.check_healthy,
                Health::Draining => false,
            }
    }

    /// An operator's remark.
    pub fn note(&self) -> Option<&str> {
        self.operator.as_ref()?.note.as_deref()
    }

    /// Its share of a set's digest. The age of its heartbeat has none: it always changes.
    pub fn digest(&self) -> Digest {
        match self.last_heartbeat_ms {
            None => Digest::of(&crate::to_cbor(self)),
            Some(_) => Self { last_heartbeat_ms: None, ..self.clone() }.digest(),
        }
    }
}

/// What speaks at an instance's address.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A wasm host: it answers calls.
    #[n(0)]
    #[default]
    Plugin,
    /// Anything else, such as a model server: clients choose among such endpoints, and speak with
    /// them in their own way.
    #[n(1)]
    Endpoint,
}

/// What an operator says of an instance. It outlives the instance's registrations, and wins over
/// what its host says; it cannot bring in what the host keeps out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// It is out of service.
    #[n(0)]
    #[cbor(default)]
    #[serde(default)]
    pub disabled: bool,
    /// It finishes what it has and gets nothing new.
    #[n(1)]
    #[cbor(default)]
    #[serde(default)]
    pub drain: bool,
    /// Its share of calls.
    #[n(2)]
    pub weight: Option<u32>,
    /// For people.
    #[n(3)]
    pub note: Option<String>,
}

impl Override {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `said`, with this on top of it.
    pub fn over(&self, said: &Instance) -> Instance {
        let mut shown = said.clone();
        shown.enabled &= !self.disabled;
        shown.weight = self.weight.unwrap_or(said.weight);
        if self.drain {
            shown.health = Health::Draining;
        }
        shown.operator = Some(self.clone());
        shown
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
    /// Its connection was lost and the lease still runs; or so many went at once that it is kept
    /// until somebody has looked whether it is there.
    #[n(1)]
    Suspect,
    /// It said goodbye, or an operator did, and finishes what it has.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{from_cbor, to_cbor};

    fn instance() -> Instance {
        Instance::new(ServiceName::new("calc").unwrap(), "host-1", "127.0.0.1:4433")
    }

    #[test]
    fn only_an_enabled_and_healthy_instance_is_available() {
        let suspect = Instance { health: Health::Suspect, ..instance() };
        assert!(!suspect.is_available());
        assert!(Instance { check_healthy: false, ..suspect }.is_available());
        assert!(instance().is_available());
        assert!(!Instance { enabled: false, ..instance() }.is_available());
    }

    #[test]
    fn an_instance_of_a_peer_that_knows_fewer_fields_is_read() {
        #[derive(Encode)]
        struct Before(
            #[n(0)] InstanceId,
            #[n(1)] ServiceName,
            #[n(2)] String,
            #[n(3)] String,
            #[n(4)] Option<String>,
            #[n(5)] Option<Generation>,
            #[n(6)] u32,
            #[n(7)] bool,
            #[n(8)] Health,
            #[n(9)] bool,
            #[n(10)] Vec<MethodSummary>,
            #[n(11)] BTreeMap<String, String>,
        );
        let Instance { id, service, address, host, .. } = instance();
        let (methods, metadata) = (Vec::new(), BTreeMap::new());
        let before = Before(
            id,
            service,
            address,
            host,
            None,
            None,
            1,
            true,
            Health::Healthy,
            true,
            methods,
            metadata,
        );
        assert_eq!(from_cbor::<Instance>(&to_cbor(&before)).unwrap(), instance());
    }

    #[test]
    fn what_an_operator_says_wins_and_the_rest_stays() {
        let order = Override {
            disabled: true,
            drain: true,
            weight: Some(5),
            note: Some("disk is failing".into()),
        };
        let shown = order.over(&instance());
        assert_eq!((shown.enabled, shown.weight, shown.health), (false, 5, Health::Draining));
        assert_eq!(shown.note(), Some("disk is failing"));
        assert_eq!(shown.address, instance().address);
        let note = Override { note: Some("new".into()), ..Override::default() };
        assert!(note.over(&instance()).is_available());
        let refused = Instance { enabled: false, ..instance() };
        assert!(!note.over(&refused).is_available());
    }

    #[test]
    fn a_digest_leaves_the_age_of_the_heartbeat_out() {
        let listed = Instance { last_heartbeat_ms: Some(7), ..instance() };
        assert_eq!(listed.digest(), instance().digest());
        let other = Instance { weight: 2, ..instance() };
        assert_ne!(other.digest(), instance().digest());
    }
}
