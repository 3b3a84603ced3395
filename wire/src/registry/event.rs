//! The steps of a watch.

use minicbor::{Decode, Encode};

use super::digest::Digest;
use super::instance::Instance;
use super::query::Revision;
use super::settings::ServiceEntry;
use crate::name::InstanceId;

/// One step of a watch.
pub type WatchEvent = WatchEventOf<Instance>;
/// A part of the full set.
pub type Snapshot = SnapshotOf<Instance>;
/// What changed.
pub type Delta = DeltaOf<Instance>;

/// One step of a watch, of instances in some form.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum WatchEventOf<I> {
    /// A part of the full set. Parts follow each other; the set is whole with the last.
    #[n(0)]
    Snapshot(#[n(0)] SnapshotOf<I>),
    /// What changed since the event before.
    #[n(1)]
    Delta(#[n(0)] DeltaOf<I>),
    /// Nothing changed since the event before, whose revision this repeats: the registry is there.
    /// With the digest of what the watcher must hold.
    #[n(2)]
    Idle(#[n(0)] Revision, #[n(1)] Option<Digest>),
}

/// A part of the full set.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SnapshotOf<I> {
    /// The state that it shows.
    #[n(0)]
    pub revision: Revision,
    /// Instances of this part.
    #[n(1)]
    pub instances: Vec<I>,
    /// No further part follows.
    #[n(2)]
    pub last: bool,
    /// The registry has been up long enough to know everyone: what is not in the set is gone.
    /// Until then a watcher keeps what it had.
    #[n(3)]
    pub authoritative: bool,
    /// Settings of services; with the first part only.
    #[n(4)]
    #[cbor(default)]
    pub services: Vec<ServiceEntry>,
    /// Of the whole set; with the last part.
    #[n(5)]
    pub digest: Option<Digest>,
}

/// What changed: the latest state of each instance, however often it changed. No instance is both
/// upserted and removed. A change too large for a frame comes as several of these; the revision of
/// each is safe to resume from. All lists may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DeltaOf<I> {
    /// The state after the change; in all but the last of several, a state before it.
    #[n(0)]
    pub revision: Revision,
    /// New, or different from before.
    #[n(1)]
    pub upserted: Vec<I>,
    /// Gone.
    #[n(2)]
    pub removed: Vec<InstanceId>,
    /// As in [`SnapshotOf`]; turns true once.
    #[n(3)]
    pub authoritative: bool,
    /// Settings that are new, different, or empty because there are none any more.
    #[n(4)]
    #[cbor(default)]
    pub services: Vec<ServiceEntry>,
    /// Of the whole set after this; absent in all but the last of several.
    #[n(5)]
    pub digest: Option<Digest>,
}

impl<I> Default for SnapshotOf<I> {
    fn default() -> Self {
        Self {
            revision: Revision::default(),
            instances: Vec::new(),
            last: false,
            authoritative: false,
            services: Vec::new(),
            digest: None,
        }
    }
}

impl<I> Default for DeltaOf<I> {
    fn default() -> Self {
        Self {
            revision: Revision::default(),
            upserted: Vec::new(),
            removed: Vec::new(),
            authoritative: false,
            services: Vec::new(),
            digest: None,
        }
    }
}
