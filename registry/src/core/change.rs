//! What an event does, before it is done: the store keeps the lasting part first, then the core
//! applies the whole. A plan that the store refuses is dropped and has changed nothing.

use std::sync::Arc;

use jackfield_transport::PeerId;
use jackfield_wire::registry::Instance;
use jackfield_wire::{InstanceId, to_cbor};

use super::Counts;
use super::moment::Moment;

/// The lease of one connection. Never used twice in the life of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LeaseId(pub(crate) u64);

/// What lasts of an instance: what the store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// As peers see it.
    pub(crate) instance: Arc<Instance>,
    /// Who registered it, and alone may change it.
    pub(crate) owner: PeerId,
    bytes: usize,
}

impl Record {
    pub(crate) fn new(instance: Instance, owner: PeerId) -> Self {
        let bytes = to_cbor(&instance).len();
        Self { instance: Arc::new(instance), owner, bytes }
    }

    /// Length of the encoded instance.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// One instance's change; each makes one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is new, or different.
    Put(Record),
    /// It is gone.
    Remove(InstanceId),
}

/// What the store has to keep of one event: all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The revision after the last step; each step before it has the one before.
    pub(crate) revision: u64,
    /// In order; never empty when a store sees it.
    pub(crate) steps: Vec<Step>,
}

/// Who holds an instance, and until when. In memory only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Liveness {
    /// The connection that keeps it alive, while there is one.
    pub(crate) lease: Option<LeaseId>,
    /// When it is removed; `None` for one that heartbeats do not decide about.
    pub(crate) expires: Option<Moment>,
}

/// All that one event does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) liveness: Vec<(InstanceId, Liveness)>,
    pub(super) ended: Option<LeaseId>,
    pub(super) counts: Counts,
}

impl Plan {
    pub(super) fn put(&mut self, record: Record) {
        self.steps.push(Step::Put(record));
    }

    pub(super) fn remove(&mut self, id: InstanceId) {
        self.steps.push(Step::Remove(id));
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.steps.iter().filter_map(|step| match step {
            Step::Put(record) => Some(record),
            Step::Remove(_) => None,
        })
    }

    pub(super) fn hold(&mut self, id: InstanceId, liveness: Liveness) {
        self.liveness.push((id, liveness));
    }
}
