//! Everything that is held, in few bytes: an instance is its encoded form, shared with whoever sends
//! it, and a line of what decisions need.
//!
//! Instances have places, which are small numbers that the log and the leases keep in place of ids.
//! Those of a service lie together in the order of their ids. A place is used again once it is free:
//! whoever keeps one for longer than an instance lives must be able to tell.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use jackfield_transport::PeerId;
use jackfield_wire::registry::{Health, Instance, Packed};
use jackfield_wire::{InstanceId, ServiceKey};

use super::change::{By, Facts, Front, Liveness, Record};
use super::scope::Scope;

/// The place of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(u32);

impl Slot {
    pub(super) fn at(index: usize) -> Self {
        Self(u32::try_from(index).expect("instances are far fewer than 2^32"))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Everything that is held.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    slots: Vec<Option<Held>>,
    free: Vec<Slot>,
    /// By what their ids begin with, `SERVICE@`: so this is the order of ids. None is empty.
    services: BTreeMap<Box<str>, Vec<Slot>>,
    /// How those are shown that an operator says something of.
    overlaid: HashMap<Slot, Packed>,
}

/// One instance.
#[derive(Debug)]
pub(super) struct Held {
    /// As its host says.
    said: Packed,
    by: Arc<By>,
    /// The revision of its last change.
    pub(super) changed: u64,
    pub(super) liveness: Liveness,
    /// As its host says.
    pub(super) facts: Facts,
    /// Whether it may be called, as it is shown.
    pub(super) available: bool,
    overlaid: bool,
}

impl Held {
    pub(super) fn new(record: &Record, by: Arc<By>, changed: u64) -> Self {
        Self {
            said: record.packed.clone(),
            by,
            changed,
            liveness: Liveness::default(),
            facts: record.facts,
            available: record.facts.available,
            overlaid: false,
        }
    }

    pub(super) fn id(&self) -> &str {
        self.said.id()
    }

    pub(super) fn instance_id(&self) -> InstanceId {
        self.said.instance_id()
    }

    pub(super) fn key(&self) -> ServiceKey {
        self.instance_id().key().expect("what is held has an id of its service")
    }

    pub(super) fn said(&self) -> &Packed {
        &self.said
    }

    pub(super) fn owner(&self) -> &PeerId {
        &self.by.owner
    }

    pub(super) fn keeper(&self) -> Front {
        self.by.keeper
    }

    pub(super) fn is_draining(&self) -> bool {
        self.facts.health == Health::Draining
    }

    /// Whether this record is what is held already.
    pub(super) fn is(&self, record: &Record) -> bool {
        self.said == record.packed && self.by == record.by
    }

    pub(super) fn record(&self) -> Record {
        let (packed, facts, by) = (self.said.clone(), self.facts, Arc::clone(&self.by));
        Record { packed, facts, by }
    }

    /// The same in another health.
    pub(super) fn with_health(&self, health: Health) -> Record {
        let instance = Instance { health, ..self.said.unpack() };
        Record::of(&instance, Arc::clone(&self.by))
    }
}

impl Fleet {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Where the instance with this id is.
    pub(super) fn find(&self, id: &str) -> Option<Slot> {
        let members = self.services.get(service_of(id)?)?;
        self.search(members, id).ok().map(|place| members[place])
    }

    pub(super) fn get(&self, id: &InstanceId) -> Option<&Held> {
        self.at(self.find(id.as_str())?)
    }

    pub(super) fn get_mut(&mut self, id: &InstanceId) -> Option<&mut Held> {
        let slot = self.find(id.as_str())?;
        self.at_mut(slot)
    }

    pub(super) fn at(&self, slot: Slot) -> Option<&Held> {
        self.slots.get(slot.index())?.as_ref()
    }

    pub(super) fn at_mut(&mut self, slot: Slot) -> Option<&mut Held> {
        self.slots.get_mut(slot.index())?.as_mut()
    }

    /// Takes in what is not there yet.
    pub(super) fn insert(&mut self, held: Held) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| Slot::at(self.slots.len()));
        let service = service_of(held.id()).expect("what is held has an id of its service");
        let members = self.services.get(service).map_or(&[][..], Vec::as_slice);
        let place = self.search(members, held.id()).unwrap_or_else(|place| place);
        match self.services.get_mut(service) {
            Some(members) => members.insert(place, slot),
            None => drop(self.services.insert(service.into(), vec![slot])),
        }
        if slot.index() == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot.index()] = Some(held);
        slot
    }

    /// Puts `held` where another of the same id is.
    pub(super) fn replace(&mut self, slot: Slot, held: Held) {
        self.overlaid.remove(&slot);
        self.slots[slot.index()] = Some(held);
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let Some(held) = self.at(slot) else { return };
        let service = service_of(held.id()).expect("what is held has an id of its service");
        let service: Box<str> = service.into();
        let place = self.services.get(&service).map(|members| self.search(members, held.id()));
        if let (Some(members), Some(Ok(place))) = (self.services.get_mut(&service), place) {
            members.remove(place);
            if members.is_empty() {
                self.services.remove(&service);
            }
        }
        self.overlaid.remove(&slot);
        self.slots[slot.index()] = None;
        self.free.push(slot);
    }

    /// Shows what is there as `shown`.
    pub(super) fn overlay(&mut self, slot: Slot, shown: &Instance) {
        let Some(held) = self.at_mut(slot) else { return };
        held.available = shown.is_available();
        held.overlaid = true;
        self.overlaid.insert(slot, Packed::of(shown));
    }

    /// As peers see it.
    pub(super) fn shown<'a>(&'a self, slot: Slot, held: &'a Held) -> &'a Packed {
        let overlaid = if held.overlaid { self.overlaid.get(&slot) } else { None };
        overlaid.unwrap_or(&held.said)
    }

    /// All, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &Held> {
        self.slots.iter().flatten()
    }

    /// All, in no order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Held> {
        self.slots.iter_mut().flatten()
    }

    /// Those of a service.
    pub(super) fn of_service(&self, key: &ServiceKey) -> impl Iterator<Item = &Held> {
        let members = self.services.get(InstanceId::of(key, "").as_str());
        members.into_iter().flatten().filter_map(|slot| self.at(*slot))
    }

    /// Each service and those of it.
    pub(super) fn services(&self) -> impl Iterator<Item = impl Iterator<Item = &Held>> {
        self.services.values().map(|members| members.iter().filter_map(|slot| self.at(*slot)))
    }

    /// Those of a scope in the order of ids, from behind `after`.
    pub(super) fn range<'a>(
        &'a self,
        scope: &'a Scope,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (Slot, &'a Held)> {
        let prefix = scope.prefix().unwrap_or_default();
        let start = after.map_or("", |after| service_of(after).unwrap_or(after));
        let start = start.max(&prefix);
        let services = self.services.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        services
            .take_while(move |(service, _)| service.starts_with(&*prefix))
            .filter(|(service, _)| scope.covers_id(service))
            .flat_map(move |(_, members)| {
                let seen = |slot: &Slot| {
                    self.at(*slot).is_some_and(|held| after.is_some_and(|after| held.id() <= after))
                };
                &members[members.partition_point(seen)..]
            })
            .filter_map(|slot| Some((*slot, self.at(*slot)?)))
    }

    fn search(&self, members: &[Slot], id: &str) -> Result<usize, usize> {
        members.binary_search_by(|slot| self.at(*slot).map_or("", Held::id).cmp(id))
    }
}

/// What the ids of one service begin with, up to and with the `@`.
fn service_of(id: &str) -> Option<&str> {
    id.find('@').map(|at| &id[..=at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fixture::{instance, peer};
    use proptest::prelude::*;

    fn held(service: &str, host: &str) -> Held {
        let record = Record::new(&instance(service, host), peer("a"));
        Held::new(&record, Arc::clone(&record.by), 1)
    }

    #[test]
    fn an_instance_takes_a_line_of_memory_beside_its_bytes() {
        assert!(size_of::<Option<Held>>() <= 64, "{}", size_of::<Option<Held>>());
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_map(steps in proptest::collection::vec(("[a-c]-?[a-c]?", "[a-c]{1,2}", any::<bool>()), 1..80)) {
            let mut fleet = Fleet::default();
            let mut model = std::collections::BTreeSet::new();
            for (service, host, there) in steps {
                let Ok(name) = jackfield_wire::ServiceName::new(&*service) else { continue };
                let id = InstanceId::new(&name, &host);
                match (fleet.find(id.as_str()), there) {
                    (None, true) => _ = fleet.insert(held(&service, &host)),
                    (Some(slot), false) => fleet.remove(slot),
                    _ => {}
                }
                if there { model.insert(id) } else { model.remove(&id) };
                prop_assert_eq!(fleet.len(), model.len());
                let all: Vec<_> = fleet.range(&Scope::All, None).map(|(_, h)| h.instance_id()).collect();
                prop_assert!(all.iter().eq(&model));
                for after in &model {
                    let rest = fleet.range(&Scope::All, Some(after.as_str()));
                    let rest: Vec<_> = rest.map(|(_, held)| held.instance_id()).collect();
                    prop_assert!(rest.iter().eq(model.iter().filter(|id| *id > after)));
                }
            }
        }
    }
}
