//! Several front ends over one store: what the others did, and what becomes of what a dead one kept.
//!
//! All front ends go through the same revisions. An instance belongs to the front end that holds its
//! connection, its keeper: that one alone hears its heartbeats, and lets it expire. What a dead front
//! end kept lives on for a TTL, in which its hosts come to another; then every front end plans its
//! end, and the store takes the first of those plans.

use std::collections::BTreeSet;

use jackfield_wire::registry::Revision;

use super::change::{Change, Front, Liveness, Record, Step};
use super::fleet::{Held, Slot};
use super::moment::Moment;
use super::{Core, Scope, Stored};

impl Core {
    /// Another front end has made a change, the next after what is known here; or this one did, and
    /// did not hear that the store took it.
    pub(crate) fn hear(&mut self, now: Moment, change: Change) {
        for step in change.steps {
            match step {
                Step::Put(record) => self.hear_put(now, &record),
                Step::Remove(id) => self.remove(&id),
                Step::Order(id, order) => self.order(id, order),
                Step::Set(key, settings) => self.set(key, settings),
            }
        }
        self.hear_authority(now, change.authoritative);
        self.tidy();
    }

    /// What the store holds, after changes were missed. What hosts hold here by their connections
    /// stays theirs, unless another front end has it by now.
    pub(crate) fn restart_from(&mut self, now: Moment, stored: Stored) {
        let authoritative = self.is_authoritative(now);
        let fresh = Self::restore(self.rules.clone(), now, stored);
        let before = std::mem::replace(self, fresh);
        self.address = before.address;
        self.counts = before.counts;
        if authoritative {
            self.authoritative_at = now;
        }
        for mine in before.held.values().filter(|held| held.liveness.lease.is_some()) {
            let Some(slot) = self.held.find(mine.id()) else { continue };
            if self.held.at(slot).is_some_and(|held| held.keeper() == self.rules.keeper) {
                self.set_liveness(slot, mine.liveness);
            }
        }
    }

    /// Another front end is there; what it kept is its own again.
    pub(crate) fn front_came(&mut self, front: Front) {
        if front != self.rules.keeper && self.others.insert(front) {
            for slot in self.kept_by(front) {
                self.set_liveness(slot, Liveness::default());
            }
        }
    }

    /// Another front end is gone; what it kept has a TTL to come to another.
    pub(crate) fn front_went(&mut self, now: Moment, front: Front) {
        if self.others.remove(&front) {
            for slot in self.kept_by(front) {
                let expires = self.held.at(slot).and_then(|held| self.grace_of(now, held));
                self.set_liveness(slot, Liveness { expires, ..Liveness::default() });
            }
        }
    }

    /// Whether another front end has shown a revision that has not come here yet.
    pub(super) fn is_behind(&self, shown: Revision) -> bool {
        let now = self.revision();
        let shared = self.rules.keeper != Front::ONLY;
        shared && shown.epoch == now.epoch && shown.number > now.number
    }

    /// These are all the other front ends that live.
    pub(crate) fn fronts_are(&mut self, now: Moment, others: &BTreeSet<Front>) {
        for front in self.others.difference(others).copied().collect::<Vec<_>>() {
            self.front_went(now, front);
        }
        others.iter().for_each(|front| self.front_came(*front));
    }

    /// When what nobody's connection holds ends here; never, when another front end decides that.
    pub(super) fn grace_of(&self, now: Moment, held: &Held) -> Option<Moment> {
        if self.others.contains(&held.keeper()) {
            return None;
        }
        self.grace(now, held)
    }

    fn hear_put(&mut self, now: Moment, record: &Record) {
        let id = record.id();
        let before = self.held.get(&id).map(|held| held.liveness).filter(|old| old.lease.is_some());
        self.doubts.remove(&id);
        self.put(record);
        let Some(slot) = self.held.find(id.as_str()) else { return };
        let Some(held) = self.held.at(slot) else { return };
        let grace = self.grace_of(now, held);
        let liveness = match before {
            // Somebody else said something about an instance of ours.
            Some(before) if record.by().keeper == self.rules.keeper => Liveness {
                expires: if held.is_draining() { grace } else { before.expires },
                ..before
            },
            _ => Liveness { expires: grace, ..Liveness::default() },
        };
        self.set_liveness(slot, liveness);
    }

    fn hear_authority(&mut self, now: Moment, authoritative: bool) {
        if authoritative {
            self.authority_kept = true;
            self.authoritative_at = self.authoritative_at.min(now);
        }
    }

    fn kept_by(&self, front: Front) -> Vec<Slot> {
        let all = self.held.range(&Scope::All, None);
        all.filter(|(_, held)| held.keeper() == front).map(|(slot, _)| slot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fixture::{Bench, TTL, id, instance, peer, rules};
    use crate::core::{Plan, Rules};
    use jackfield_wire::InstanceId;
    use jackfield_wire::registry::{Health, Instance, WatchEvent};

    const ME: Front = Front(1);
    const OTHER: Front = Front(2);

    /// One of two front ends, which both live.
    fn front() -> Bench {
        let mut bench = Bench::new();
        let rules = Rules { keeper: ME, ..rules() };
        bench.core = Core::restore(rules, bench.now, Stored { epoch: 7, ..Stored::default() });
        bench.core.front_came(OTHER);
        bench
    }

    /// The next change, as the other front end makes it.
    fn by_other(bench: &mut Bench, steps: Vec<Step>) {
        let plan = Plan { steps, ..Plan::default() };
        let change = bench.core.change(&plan).unwrap();
        bench.kept.keep(&change);
        bench.core.hear(bench.now, change);
    }

    fn kept_by(front: Front, instance: Instance) -> Step {
        Step::Put(Record::new(&instance, peer("a")).kept_by(front))
    }

    fn elsewhere() -> Bench {
        let mut bench = front();
        by_other(&mut bench, vec![kept_by(OTHER, instance("calc", "a"))]);
        bench
    }

    fn calc() -> InstanceId {
        id("calc", "a")
    }

    #[test]
    fn what_a_living_front_end_keeps_does_not_expire_here() {
        let mut bench = elsewhere();
        bench.pass(TTL * 5);
        assert_eq!(bench.health(&calc()), Some(Health::Healthy));
        assert_eq!(bench.core.revision().number, 1);
    }

    #[test]
    fn what_a_dead_front_end_kept_has_a_ttl_to_come_here() {
        let mut bench = elsewhere();
        by_other(&mut bench, vec![kept_by(OTHER, instance("text", "a"))]);
        bench.core.front_went(bench.now, OTHER);
        bench.pass(TTL / 2);
        bench.register("a", vec![instance("calc", "a")]);
        bench.pass(TTL / 2);
        assert_eq!(bench.listed().into_keys().collect::<Vec<_>>(), [calc()]);
    }

    #[test]
    fn a_front_end_that_comes_back_in_time_has_what_it_kept() {
        let mut bench = elsewhere();
        bench.core.front_went(bench.now, OTHER);
        bench.pass(TTL / 2);
        bench.core.front_came(OTHER);
        bench.pass(TTL);
        assert_eq!(bench.health(&calc()), Some(Health::Healthy));
    }

    #[test]
    fn a_host_that_moved_is_not_hurt_by_the_end_of_its_old_connection() {
        let mut bench = front();
        bench.register("a", vec![instance("calc", "a")]);
        by_other(&mut bench, vec![kept_by(OTHER, instance("calc", "a"))]);
        bench.lose("a");
        bench.pass(TTL * 2);
        assert_eq!(bench.health(&calc()), Some(Health::Healthy));
    }

    #[test]
    fn a_heartbeat_takes_nothing_from_a_living_connection_elsewhere_but_all_from_a_broken_one() {
        let mut bench = elsewhere();
        assert!(bench.heartbeat("a", &[calc()]).is_empty());
        let suspect = Instance { health: Health::Suspect, ..instance("calc", "a") };
        by_other(&mut bench, vec![kept_by(OTHER, suspect)]);
        assert_eq!(bench.heartbeat("a", &[calc()]), [calc()]);
        bench.register("a", vec![instance("calc", "a")]);
        assert_eq!(bench.health(&calc()), Some(Health::Healthy));
    }

    #[test]
    fn a_change_by_another_of_what_is_held_here_leaves_it_held_here() {
        let mut bench = front();
        bench.register("a", vec![instance("calc", "a")]);
        let other = Instance { weight: 7, ..instance("calc", "a") };
        by_other(&mut bench, vec![kept_by(ME, other)]);
        bench.pass(TTL * 3 / 4);
        assert!(bench.heartbeat("a", &[calc()]).is_empty());
        bench.pass(TTL * 3 / 4);
        assert_eq!(bench.listed()[&calc()].weight, 7);
    }

    #[test]
    fn after_missed_changes_connections_hold_what_is_still_theirs() {
        let mut bench = front();
        bench.register("a", vec![instance("calc", "a"), instance("text", "a")]);
        let mut stored = bench.stored();
        stored.epoch = 8;
        for (_, record) in &mut stored.records {
            let lost = record.instance().service.as_str() == "text";
            *record = record.clone().kept_by(if lost { OTHER } else { ME });
        }
        stored.others.insert(OTHER);
        bench.core.restart_from(bench.now, stored);
        assert_eq!(bench.core.revision().epoch, 8);
        assert!(bench.heartbeat("a", &[calc(), id("text", "a")]).is_empty());
        bench.lose("a");
        assert_eq!(bench.health(&calc()), Some(Health::Suspect));
        assert_eq!(bench.health(&id("text", "a")), Some(Health::Healthy));
    }

    #[test]
    fn a_watcher_gets_the_whole_set_of_a_store_that_began_anew_whatever_its_revision() {
        for number in [0, 1, 2, 3] {
            let mut bench = front();
            bench.register("a", vec![instance("calc", "a"), instance("text", "a")]);
            let mut watcher = crate::core::Watcher::new(Default::default());
            bench.events(&mut watcher);
            let records = bench.stored().records.into_iter().take(1);
            let records = records.map(|(_, record)| (number.min(1), record)).collect();
            let stored = Stored { epoch: 8, revision: number, records, ..Stored::default() };
            bench.core.restart_from(bench.now, stored);
            let events = bench.events(&mut watcher);
            let [WatchEvent::Snapshot(set)] = &events[..] else { panic!("{number}: {events:?}") };
            assert!(set.last && set.revision == Revision { epoch: 8, number });
            assert_eq!(set.instances.len(), 1);
        }
    }

    #[test]
    fn a_watcher_that_knows_more_than_this_front_end_waits_for_it() {
        let mut bench = elsewhere();
        let resume = Some(Revision { number: 2, ..bench.core.revision() });
        let query = jackfield_wire::registry::WatchQuery { resume, ..Default::default() };
        let mut watcher = crate::core::Watcher::new(query);
        assert!(bench.events(&mut watcher).is_empty());
        assert_eq!(watcher.waits_for(&bench.core), Some(2));
        by_other(&mut bench, vec![kept_by(OTHER, instance("text", "a"))]);
        assert_eq!(bench.events(&mut watcher).len(), 1);
        assert_eq!(watcher.waits_for(&bench.core), None);
    }
}
