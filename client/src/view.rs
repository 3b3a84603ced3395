//! Registry events → what the client holds. Pure: no clock, socket or task.
//!
//! An instance is held until a registry that may say so says it is gone: by name in a delta, or by
//! leaving it out of a set that is authoritative. A registry that has just started knows few; what
//! it does not name is kept, unconfirmed, until it is authoritative. A registry that is away
//! changes nothing.

mod doubt;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use jackfield_wire::registry::{
    Delta, Instance, Listing, Revision, ServiceEntry, Snapshot as Part, WatchEvent,
};
use jackfield_wire::{InstanceId, ServiceKey, ServiceName};

use crate::disk::Kept;
use crate::snapshot::{Endpoint, Origin, Snapshot};
use crate::stats::Stats;

pub(crate) use self::doubt::size_of;
use self::doubt::{check, size};
use self::told::Told;

/// What the client holds of the registry's set.
#[derive(Debug)]
pub(crate) struct View {
    held: BTreeMap<InstanceId, Held>,
    settings: BTreeMap<ServiceKey, ServiceEntry>,
    /// What the registry named, held or left out, by its digests.
    told: Told,
    /// Where the watch stands; `None` until a whole set came from a registry.
    base: Option<Revision>,
    origin: Origin,
    /// Parts of a set that is not whole yet.
    parts: Option<Vec<Instance>>,
    parts_settings: Vec<ServiceEntry>,
    /// Of the parts, and of what is held; see [`size_of`].
    parts_size: usize,
    held_size: usize,
    max_instances: usize,
    max_size: usize,
}

#[derive(Debug)]
struct Held {
    endpoint: Endpoint,
    size: usize,
    /// The registry of the current set named it.
    confirmed: bool,
}

/// Whether an event gives readers something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The held set, its revision or its origin is another one.
    Changed,
    /// Nothing to publish.
    Nothing,
}

/// An event that cannot be right. The watch starts anew, without resuming.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ViewError {
    #[error("a change came before any set")]
    NoBase,
    #[error("the watch stood at {base:?} and the event says {event:?}: something is missing")]
    Gap { base: Revision, event: Revision },
    #[error("the registry's digest is not that of the set it sent: a change was lost or doubled")]
    Digest,
    #[error("the set has more than {0} instances")]
    TooMany(usize),
    #[error("the set takes more than {0} bytes")]
    TooLarge(usize),
    #[error("the set has settings of more than {0} services")]
    TooManySettings(usize),
    #[error("the settings of service {0} name a picker in more than {MAX_PICKER} bytes")]
    LongPicker(ServiceName),
}

impl View {
    /// A view that holds nothing, and never more than `max_instances`.
    pub(crate) fn new(max_instances: usize) -> Self {
        Self {
            held: BTreeMap::new(),
            settings: BTreeMap::new(),
            told: Told::default(),
            base: None,
            origin: Origin::Nothing,
            parts: None,
            parts_settings: Vec::new(),
            parts_size: 0,
            held_size: 0,
            max_instances,
            max_size: MAX_SIZE,
        }
    }

    /// Takes the last good set from disk, if nothing better is held; beneath what a registry said
    /// that does not know everyone.
    pub(crate) fn restore(&mut self, kept: Kept) -> Change {
        let mut changed = match self.origin {
            Origin::Nothing => {
                self.origin = Origin::Disk;
                true
            }
            Origin::Gathering => false,
            Origin::Disk | Origin::Registry => return Change::Nothing,
        };
        let room = self.max_instances.saturating_sub(self.held.len());
        let mut missing = kept.instances;
        missing.retain(|instance| !self.held.contains_key(&instance.id));
        for instance in missing.into_iter().take(room) {
            changed |= self.hold(instance, Confirmed::No);
        }
        let room = self.max_instances.saturating_sub(self.settings.len());
        for entry in kept.settings.into_iter().take(room) {
            self.settings.entry(entry.key()).or_insert(entry);
        }
        if changed { Change::Changed } else { Change::Nothing }
    }

    /// Where what is held comes from.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Where the watch stands.
    pub(crate) fn stands_at(&self) -> Option<Revision> {
        self.base
    }

    /// Where a new watch may go on. From a set without everyone none goes on: that could not tell
    /// that its registry knows everyone.
    pub(crate) fn resume(&self) -> Option<Revision> {
        self.base.filter(|_| self.origin == Origin::Registry)
    }

    /// A new watch begins: parts of an unfinished set are of no use.
    pub(crate) fn begin(&mut self) {
        (self.parts, self.parts_size) = (None, 0);
        self.parts_settings.clear();
    }

    /// Whether a set has begun that is not whole yet.
    pub(crate) fn is_partial(&self) -> bool {
        self.parts.is_some()
    }

    /// After an event that cannot be right: the next watch brings a whole set.
    pub(crate) fn distrust(&mut self) {
        self.begin();
        self.base = None;
    }

    /// Applies what a watch brought.
    pub(crate) fn apply(&mut self, event: WatchEvent) -> Result<Change, ViewError> {
        match event {
            WatchEvent::Snapshot(part) => self.apply_part(part),
            WatchEvent::Delta(delta) => self.apply_delta(delta),
            WatchEvent::Idle(event, digest) => match self.base.ok_or(ViewError::NoBase)? {
                base if base != event => Err(ViewError::Gap { base, event }),
                _ => self.told.compare(digest).map(|()| Change::Nothing),
            },
        }
    }

    /// Applies a complete list: it removes only when it continues an authoritative state, because
    /// a list does not say itself whether its registry knows everyone.
    pub(crate) fn refresh(&mut self, listing: Listing) -> Result<Change, ViewError> {
        self.check_len(listing.instances.len())?;
        self.check_size(size_of(&listing.instances))?;
        let continues = self.base.is_some_and(|base| {
            base.epoch == listing.revision.epoch && base.number <= listing.revision.number
        });
        if continues {
            self.unconfirm();
        } else if self.base.is_some_and(|base| base.epoch == listing.revision.epoch) {
            return Ok(Change::Nothing); // Older than what the watch brought.
        }
        let mut changed = false;
        for instance in listing.instances {
            changed |= self.hold(instance, Confirmed::Yes);
        }
        if continues && self.origin == Origin::Registry {
            changed |= self.drop_unconfirmed();
        }
        if matches!(self.origin, Origin::Nothing | Origin::Disk) {
            self.origin = Origin::Gathering;
            changed = true;
        }
        Ok(if changed { Change::Changed } else { Change::Nothing })
    }

    /// What readers get.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let endpoints = self.held.values().map(|held| held.endpoint.clone());
        let settings = self.settings.values();
        Snapshot::new(endpoints, self.base, self.origin)
            .with_settings(settings.map(|entry| (entry.service.clone(), entry.settings.clone())))
    }

    fn apply_part(&mut self, part: Part) -> Result<Change, ViewError> {
        let mut instances = self.parts.take().unwrap_or_default();
        let size = std::mem::take(&mut self.parts_size) + size_of(&part.instances);
        self.check_size(size)?;
        self.check_settings(self.parts_settings.len() + part.services.len(), &part.services)?;
        instances.extend(part.instances);
        self.parts_settings.extend(part.services);
        self.check_len(instances.len())?;
        if !part.last {
            (self.parts, self.parts_size) = (Some(instances), size);
            return Ok(Change::Nothing);
        }
        self.unconfirm();
        let services = std::mem::take(&mut self.parts_settings);
        self.settings = services.into_iter().map(|entry| (entry.key(), entry)).collect();
        self.told = Told::of(&instances, self.settings.values());
        for instance in instances {
            self.hold(instance, Confirmed::Yes);
        }
        self.settle(part.revision, part.authoritative);
        self.told.agree(part.digest);
        Ok(Change::Changed)
    }

    fn apply_delta(&mut self, delta: Delta) -> Result<Change, ViewError> {
        let base = self.base.ok_or(ViewError::NoBase)?;
        let event = delta.revision;
        if base.epoch != event.epoch || base.number > event.number {
            return Err(ViewError::Gap { base, event });
        }
        let new = delta.upserted.iter().filter(|i| !self.held.contains_key(&i.id)).count();
        self.check_len(self.held.len() + new)?;
        self.check_size(self.held_size + size_of(&delta.upserted))?;
        let is_new = |entry: &&ServiceEntry| {
            !entry.settings.is_empty() && !self.settings.contains_key(&entry.key())
        };
        let added = delta.services.iter().filter(is_new).count();
        self.check_settings(self.settings.len() + added, &delta.services)?;
        for id in &delta.removed {
            self.told.forget(id);
            self.let_go(id);
        }
        for instance in delta.upserted {
            self.told.instance(&instance);
            self.hold(instance, Confirmed::Yes);
        }
        for entry in delta.services {
            self.set(entry);
        }
        self.told.compare(delta.digest)?;
        self.settle(event, delta.authoritative || self.origin == Origin::Registry);
        Ok(Change::Changed)
    }

    fn set(&mut self, entry: ServiceEntry) {
        let key = entry.key();
        let old = self.settings.remove(&key);
        self.told.settings(old.as_ref(), &entry);
        if !entry.settings.is_empty() {
            self.settings.insert(key, entry);
        }
    }

    fn settle(&mut self, revision: Revision, authoritative: bool) {
        self.base = Some(revision);
        self.origin = if authoritative { Origin::Registry } else { Origin::Gathering };
        // Without the second condition, a registry that restarts with other instances each time
        // would fill the memory with those that it no longer names.
        if authoritative || self.held.len() > self.max_instances || self.held_size > self.max_size {
            self.drop_unconfirmed();
        }
    }

    /// Holds an instance and says whether that is something new. One that cannot be right is left
    /// out: the registry is not trusted to have checked it.
    fn hold(&mut self, mut instance: Instance, confirmed: Confirmed) -> bool {
        // Only lists tell it, and it is old as soon as it is told.
        instance.last_heartbeat_ms = None;
        let confirmed = confirmed == Confirmed::Yes;
        let address = match check(&instance) {
            Ok(address) => address,
            Err(flaw) => {
                let instance_id = instance.id.as_str().escape_default();
                let address = instance.address.escape_default();
                tracing::warn!(instance = %instance_id, %address, flaw, "left out");
                return self.let_go(&instance.id);
            }
        };
        if let Some(held) = self.held.get_mut(&instance.id) {
            held.confirmed |= confirmed;
            if *held.endpoint.instance == instance {
                return false;
            }
        }
        let stats = self.stats_of(&instance);
        self.let_go(&instance.id);
        let (id, size) = (instance.id.clone(), size(&instance));
        let endpoint = Endpoint::new(Arc::new(instance), address, stats);
        self.held.insert(id, Held { endpoint, size, confirmed });
        self.held_size += size;
        true
    }

    /// What was seen of it so far. One that has moved is another process, so it begins anew.
    fn stats_of(&self, instance: &Instance) -> Arc<Stats> {
        let held = self.held.get(&instance.id).map(|held| &held.endpoint);
        let same = held.filter(|endpoint| endpoint.instance.address == instance.address);
        same.map(|endpoint| endpoint.stats.clone()).unwrap_or_default()
    }

    fn let_go(&mut self, id: &InstanceId) -> bool {
        let gone = self.held.remove(id);
        self.held_size -= gone.as_ref().map_or(0, |held| held.size);
        gone.is_some()
    }

    fn unconfirm(&mut self) {
        self.held.values_mut().for_each(|held| held.confirmed = false);
    }

    fn drop_unconfirmed(&mut self) -> bool {
        let before = self.held.len();
        self.held.retain(|_, held| held.confirmed);
        self.held_size = self.held.values().map(|held| held.size).sum();
        before != self.held.len()
    }

    fn check_len(&self, len: usize) -> Result<(), ViewError> {
        if len > self.max_instances {
            return Err(ViewError::TooMany(self.max_instances));
        }
        Ok(())
    }

    /// Whether settings may be held that are `count` with these.
    fn check_settings(&self, count: usize, entries: &[ServiceEntry]) -> Result<(), ViewError> {
        if count > self.max_instances {
            return Err(ViewError::TooManySettings(self.max_instances));
        }
        let is_long = |entry: &&ServiceEntry| {
            entry.settings.picker.as_ref().is_some_and(|name| name.len() > MAX_PICKER)
        };
        let long = entries.iter().find(is_long);
        long.map_or(Ok(()), |entry| Err(ViewError::LongPicker(entry.service.clone())))
    }

    pub(crate) fn check_size(&self, size: usize) -> Result<(), ViewError> {
        if size > self.max_size {
            return Err(ViewError::TooLarge(self.max_size));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Confirmed {
    Yes,
    No,
}

/// What a registry that lies can make a client hold: 100,000 instances of 2.6 KiB, which is a dozen
/// methods each.
const MAX_SIZE: usize = 256 << 20;

/// Longer than any picker's name; the rest of a service's settings are numbers, so that with this
/// their number bounds what they take.
const MAX_PICKER: usize = 256;

#[cfg(test)]
mod tests;
