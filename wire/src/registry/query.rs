//! What is there now: queries and lists.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::instance::Instance;
use super::settings::ServiceEntry;
use crate::name::{InstanceId, Namespace, ServiceName};

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
    /// Of this namespace. When absent, of all; a service that is named is then the default one's.
    #[n(3)]
    pub namespace: Option<Namespace>,
    /// The state that the asker has: with `wait_ms`, the answer waits until something of what is
    /// listed changed after it.
    #[n(4)]
    pub since: Option<Revision>,
    /// How long to wait for that at most, in milliseconds; then the answer says that nothing
    /// changed. For those that cannot watch. A registry waits a minute at the longest.
    #[n(5)]
    pub wait_ms: Option<u32>,
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
    /// This namespace. When absent, all; a service that is named is then the default one's.
    #[n(2)]
    pub namespace: Option<Namespace>,
}

/// A state of the registry. Numbers of different epochs cannot be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Revision {
    /// Which life of the registry's store counted it.
    #[n(0)]
    pub epoch: u64,
    /// Grows by one with every change.
    #[n(1)]
    pub number: u64,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
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
    /// The settings of the services asked for; with the first part only.
    #[n(3)]
    #[cbor(default)]
    pub services: Vec<ServiceEntry>,
    /// The registry has been up long enough to know everyone: what is not listed is gone.
    #[n(4)]
    #[cbor(default)]
    pub authoritative: bool,
    /// Nothing of what was asked for changed since the state that the asker has: the rest is empty.
    #[n(5)]
    #[cbor(default)]
    pub unchanged: bool,
}
