//! What an event does, before it is done: the store keeps the lasting part first, then the core
//! applies the whole. A plan that the store refuses is dropped and has changed nothing.

use std::num::NonZeroU64;
use std::sync::Arc;

use jackfield_transport::PeerId;
use jackfield_wire::registry::{Health, Instance, Kind, Override, Packed, ServiceSettings};
use jackfield_wire::{InstanceId, ServiceKey};

use super::Counts;
use super::doubt::{Doubt, Ended, Probe};
use super::moment::Moment;

/// The lease of one connection. Never used twice in the life of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LeaseId(pub(crate) NonZeroU64);

impl LeaseId {
    /// The lease of the `n`th connection, counted from 0.
    pub(crate) fn nth(n: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(n))
    }
}

/// A front end of a registry: the one that holds an instance's connection decides when it expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Front(pub(crate) u64);

impl Front {
    /// The registry that has its store for itself.
    pub(crate) const ONLY: Self = Self(0);
}

/// What lasts of an instance: what the store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// As its host says.
    pub(crate) packed: Packed,
    /// What decisions need of it.
    pub(super) facts: Facts,
    pub(super) by: Arc<By>,
}

/// What all instances of one host have in common, and share.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct By {
    /// Who registered them, and alone may change them.
    pub(crate) owner: PeerId,
    /// Who hears their heartbeats.
    pub(crate) keeper: Front,
}

impl Record {
    pub(crate) fn new(instance: &Instance, owner: PeerId) -> Self {
        Self::of(instance, Arc::new(By { owner, keeper: Front::ONLY }))
    }

    pub(super) fn of(instance: &Instance, by: Arc<By>) -> Self {
        Self { packed: Packed::of(instance), facts: Facts::of(instance), by }
    }

    /// What a store held under `id`; `None` for what no registry can have written.
    pub(crate) fn stored(id: &str, instance: &Instance, owner: PeerId) -> Option<Self> {
        let its_own = InstanceId::of(&instance.key(), &instance.host);
        let sound = instance.id == its_own && its_own.as_str() == id;
        sound.then(|| Self::new(instance, owner))
    }

    /// The same, in the hands of `keeper`.
    pub(crate) fn kept_by(self, keeper: Front) -> Self {
        let by = Arc::new(By { owner: self.by.owner.clone(), keeper });
        Self { by, ..self }
    }

    pub(crate) fn by(&self) -> &By {
        &self.by
    }

    pub(crate) fn id(&self) -> InstanceId {
        self.packed.instance_id()
    }

    pub(crate) fn instance(&self) -> Instance {
        self.packed.unpack()
    }

    /// Length of the encoded instance.
    pub(crate) fn bytes(&self) -> usize {
        self.packed.as_bytes().len()
    }
}

/// What decisions need of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) health: Health,
    pub(super) kind: Kind,
    pub(super) check_healthy: bool,
    pub(super) available: bool,
}

impl Facts {
    pub(super) fn of(instance: &Instance) -> Self {
        let Instance { health, kind, check_healthy, .. } = *instance;
        Self { health, kind, check_healthy, available: instance.is_available() }
    }
}

/// One instance's change; each makes one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is new, or different.
    Put(Record),
    /// It is gone.
    Remove(InstanceId),
    /// What an operator says of an instance, whether that is there or not; `None` when nothing any
    /// more. A `Put` follows for one that is there.
    Order(InstanceId, Option<Override>),
    /// The settings of a service; empty when there are none any more, which is a removal.
    Set(ServiceKey, ServiceSettings),
}

impl Step {
    /// Whether something was there before it and is not after it: its revision is kept as a
    /// [`Removal`](super::Removal).
    pub(crate) fn removes(&self) -> bool {
        match self {
            Self::Remove(_) => true,
            Self::Set(_, settings) => settings.is_empty(),
            Self::Put(_) | Self::Order(..) => false,
        }
    }
}

/// What the store has to keep of one event, or of several together: all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The revision after the last step; each step before it has the one before.
    pub(crate) revision: u64,
    /// Removals up to this revision need not be remembered any more.
    pub(crate) floor: u64,
    /// Whether the registry knows everyone: what is not in the set is gone.
    pub(crate) authoritative: bool,
    /// In order; empty when only the rest changed.
    pub(crate) steps: Vec<Step>,
}

impl Change {
    /// The steps, each with its revision.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u64, &Step)> {
        let count = u64::try_from(self.steps.len()).expect("a change is far smaller than 2^64");
        (self.revision + 1 - count..).zip(&self.steps)
    }
}

/// Who holds an instance, and until when. In memory only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Liveness {
    /// The connection that keeps it alive, while there is one.
    pub(crate) lease: Option<LeaseId>,
    /// When it is removed; `None` for one that heartbeats do not decide about.
    pub(crate) expires: Option<Moment>,
    /// When its host last said that it lives; `None` until it did so to this process.
    pub(crate) heard: Option<Moment>,
}

/// All that an event does, or several that have nothing to do with each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) liveness: Vec<(InstanceId, Liveness)>,
    pub(super) doubts: Vec<(InstanceId, Option<Doubt>)>,
    /// What the shell has to look at once this is applied.
    pub(super) probes: Vec<Probe>,
    /// What expires by it.
    pub(super) ended: Vec<Ended>,
    /// Connections that are gone.
    pub(super) lost: Vec<LeaseId>,
    /// The registry knows everyone from now on.
    pub(super) authority: bool,
    /// Instances that are new.
    pub(super) added: usize,
    pub(super) counts: Counts,
}

impl Plan {
    /// Takes in a plan made beside this one. The two must not touch the same instance.
    pub(crate) fn join(&mut self, other: Self) {
        self.steps.extend(other.steps);
        self.liveness.extend(other.liveness);
        self.doubts.extend(other.doubts);
        self.probes.extend(other.probes);
        self.ended.extend(other.ended);
        self.lost.extend(other.lost);
        self.authority |= other.authority;
        self.added += other.added;
        self.counts.add(other.counts);
    }

    /// What has to be looked at.
    pub(crate) fn take_probes(&mut self) -> Vec<Probe> {
        std::mem::take(&mut self.probes)
    }

    /// How many changes of instances it has.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn put(&mut self, record: Record) {
        self.steps.push(Step::Put(record));
    }

    pub(super) fn remove(&mut self, id: InstanceId) {
        self.steps.push(Step::Remove(id));
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.steps.iter().filter_map(|step| match step {
            Step::Put(record) => Some(record),
            _ => None,
        })
    }

    pub(super) fn hold(&mut self, id: InstanceId, liveness: Liveness) {
        self.liveness.push((id, liveness));
    }
}
