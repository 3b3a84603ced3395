//! What operators order. It is kept apart from what hosts say: it outlives an instance, and holds
//! again when that comes back.

use jackfield_wire::registry::{InstancePatch, Override, ServicePatch, ServiceSettings};
use jackfield_wire::{InstanceId, ServiceKey};

use super::Core;
use super::admission;
use super::change::{Plan, Step};
use super::fleet::Held;
use super::refused::Refused;

/// An order about an instance, and the revision that brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ordered {
    pub(super) changed: u64,
    pub(super) order: Override,
}

/// Settings of a service, and the revision that brought them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) changed: u64,
    pub(super) settings: ServiceSettings,
}

impl Core {
    /// An operator's order about an instance that is there, or about which there are orders.
    /// Nothing may be planned beside it.
    pub(crate) fn plan_order(&self, patch: &InstancePatch) -> Result<(Plan, Override), Refused> {
        let id = &patch.id;
        admission::check_order(patch).map_err(Refused::FlawedOrder)?;
        let held = self.held.get(id);
        let before = self.orders.get(id).map(|ordered| &ordered.order);
        if held.is_none() && before.is_none() {
            return Err(Refused::NoSuchInstance { id: id.clone(), nearest: self.nearest(id) });
        }
        let after = patch.apply(before.cloned().unwrap_or_default());
        let mut plan = Plan::default();
        if before.cloned().unwrap_or_default() == after {
            return Ok((plan, after));
        }
        if before.is_none() && self.orders.len() >= self.rules.max_orders {
            plan.steps.push(Step::Order(self.oldest_orphan()?, None));
        }
        plan.steps.push(Step::Order(id.clone(), (!after.is_empty()).then(|| after.clone())));
        // Shown anew, with a revision that watchers see.
        plan.steps.extend(held.map(|held| Step::Put(held.record())));
        Ok((plan, after))
    }

    /// An operator's order about a service, which nobody needs to serve. Nothing may be planned
    /// beside it.
    pub(crate) fn plan_settings(
        &self,
        patch: &ServicePatch,
    ) -> Result<(Plan, ServiceSettings), Refused> {
        admission::check_settings(patch).map_err(Refused::FlawedOrder)?;
        let before = self.settings.get(&patch.key).map(|known| known.settings.clone());
        let after = patch.apply(before.clone().unwrap_or_default());
        let mut plan = Plan::default();
        if before.clone().unwrap_or_default() == after {
            return Ok((plan, after));
        }
        if before.is_none() && self.settings.len() >= MAX_SETTINGS {
            return Err(Refused::SettingsFull { limit: MAX_SETTINGS });
        }
        plan.steps.push(Step::Set(patch.key.clone(), after.clone()));
        Ok((plan, after))
    }

    pub(super) fn order(&mut self, id: InstanceId, order: Option<Override>) {
        let changed = self.log.skip();
        match order {
            Some(order) => _ = self.orders.insert(id, Ordered { changed, order }),
            None => _ = self.orders.remove(&id),
        }
    }

    pub(super) fn set(&mut self, key: ServiceKey, settings: ServiceSettings) {
        let subject = super::Subject::settings(key.clone());
        if let Some(old) = self.settings.remove(&key) {
            self.tallies.take_settings(&key, &old.settings);
            if settings.is_empty() {
                return self.log.removed(subject, old.changed);
            }
            let changed = self.log.set(subject, Some(old.changed));
            self.insert_settings(key, Settings { changed, settings });
        } else {
            let changed = self.log.set(subject, None);
            self.insert_settings(key, Settings { changed, settings });
        }
    }

    pub(super) fn insert_settings(&mut self, key: ServiceKey, settings: Settings) {
        self.tallies.add_settings(&key, &settings.settings);
        self.settings.insert(key, settings);
    }

    /// What an instance is shown as.
    pub(super) fn order_for(&self, id: &InstanceId) -> Option<&Override> {
        self.orders.get(id).map(|ordered| &ordered.order)
    }

    /// The order that gives way to a new one: the oldest whose instance is not there.
    fn oldest_orphan(&self) -> Result<InstanceId, Refused> {
        let orphans = self.orders.iter().filter(|(id, _)| self.held.get(id).is_none());
        let oldest = orphans.min_by_key(|(_, ordered)| ordered.changed);
        let full = Refused::OrdersFull { limit: self.rules.max_orders };
        oldest.map(|(id, _)| id.clone()).ok_or(full)
    }

    /// An id that may have been meant.
    fn nearest(&self, id: &InstanceId) -> Option<InstanceId> {
        let key = id.key()?;
        let known = self.held.of_service(&key).take(MAX_COMPARED);
        let known: Vec<&str> = known.map(Held::id).collect();
        let nearest = jackfield_wire::ty::nearest(id.as_str(), known.iter().copied())?;
        let slot = self.held.find(nearest)?;
        self.held.at(slot).map(Held::instance_id)
    }
}

/// Services with settings: about 300 bytes each, sent whole to every new watcher.
const MAX_SETTINGS: usize = 1_000;
/// Ids that a slip is compared with.
const MAX_COMPARED: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Watcher;
    use crate::core::fixture::{Bench, TTL, id, instance};
    use jackfield_wire::registry::{Delta, Digest, Edit, Health, WatchEvent, WatchQuery};

    fn patch(id: InstanceId) -> InstancePatch {
        InstancePatch::new(id)
    }

    fn settings(key: &str, timeout_ms: Edit<u32>) -> ServicePatch {
        ServicePatch { timeout_ms, ..ServicePatch::new(key.parse().unwrap()) }
    }

    fn last_delta(bench: &Bench, watcher: &mut Watcher) -> Delta {
        match bench.events(watcher).pop() {
            Some(WatchEvent::Delta(delta)) => delta,
            other => panic!("a delta expected: {other:?}"),
        }
    }

    #[test]
    fn an_order_outlives_the_instance_and_holds_again_when_it_comes_back() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        let order = InstancePatch {
            disabled: Some(true),
            weight: Edit::Set(7),
            note: Edit::Set("flaky".into()),
            ..patch(id("calc", "a"))
        };
        bench.order(&order).unwrap();
        bench.pass(TTL);
        assert!(bench.listed().is_empty());
        bench.restart();
        bench.register("a", vec![instance("calc", "a")]);
        let shown = bench.listed().remove(&id("calc", "a")).unwrap();
        assert_eq!((shown.enabled, shown.weight, shown.note()), (false, 7, Some("flaky")));
        let undo = InstancePatch {
            disabled: Some(false),
            weight: Edit::Unset,
            note: Edit::Unset,
            ..patch(id("calc", "a"))
        };
        bench.order(&undo).unwrap();
        assert_eq!(bench.listed()[&id("calc", "a")], instance("calc", "a"));
    }

    #[test]
    fn a_drained_instance_is_renewed_like_any_other_and_gets_no_calls() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        bench.order(&InstancePatch { drain: Some(true), ..patch(id("calc", "a")) }).unwrap();
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Draining));
        for _ in 0..4 {
            bench.pass(TTL / 2);
            assert!(bench.heartbeat("a", &[id("calc", "a")]).is_empty());
        }
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Draining));
        assert_eq!(bench.core.available(), 0);
        bench.order(&InstancePatch { drain: Some(false), ..patch(id("calc", "a")) }).unwrap();
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Healthy));
    }

    #[test]
    fn an_order_about_nothing_names_what_was_meant() {
        let mut bench = Bench::new();
        bench.register("host-1", vec![instance("calc", "host-1")]);
        let refused = bench.order(&patch(id("calc", "host-11"))).unwrap_err();
        assert!(refused.to_string().contains("did you mean calc@host-1?"), "{refused}");
    }

    #[test]
    fn settings_reach_watchers_at_once_and_those_who_resume() {
        let mut bench = Bench::new();
        let mut watcher = Watcher::new(WatchQuery::default());
        bench.events(&mut watcher);
        let base = bench.core.revision();
        bench.set(&settings("calc", Edit::Set(2000))).unwrap();
        let delta = last_delta(&bench, &mut watcher);
        assert_eq!(delta.services[0].settings.timeout_ms, Some(2000));
        bench.set(&settings("calc", Edit::Unset)).unwrap();
        let mut bench = Bench::restored(bench.stored());
        let resumed = WatchQuery { resume: Some(base), ..WatchQuery::default() };
        let delta = last_delta(&bench, &mut Watcher::new(resumed));
        assert!(delta.services[0].settings.is_empty());
        assert_eq!(delta.digest, Some(Digest::default()));
        bench.set(&settings("calc", Edit::Set(1))).unwrap();
        let fresh = bench.events(&mut Watcher::new(WatchQuery::default()));
        let [WatchEvent::Snapshot(set)] = &fresh[..] else { panic!("{fresh:?}") };
        assert_eq!(set.services.len(), 1);
        assert_eq!(set.digest, Some(set.services[0].digest()));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let mut bench = Bench::new();
        for timeout in [0, u32::MAX] {
            bench.set(&settings("calc", Edit::Set(timeout))).unwrap_err();
        }
        let picker = ServicePatch {
            picker: Edit::Set("\u{1b}[2J".into()),
            ..ServicePatch::new("calc".parse().unwrap())
        };
        bench.set(&picker).unwrap_err();
        assert_eq!(bench.core.revision().number, 0);
    }

    #[test]
    fn orders_about_what_is_gone_give_way_to_new_ones() {
        let mut bench = Bench::new();
        let note =
            |host: &str| InstancePatch { note: Edit::Set("x".into()), ..patch(id("calc", host)) };
        bench.register("a", vec![instance("calc", "a")]);
        for n in 0..50 {
            let host = format!("h{n}");
            bench.register(&host, vec![instance("calc", &host)]);
            bench.order(&note(&host)).unwrap();
            bench.deregister(&host, &[id("calc", &host)]);
            bench.lose(&host);
        }
        bench.order(&note("a")).unwrap();
        assert_eq!(bench.core.orders.len(), 50);
        assert!(!bench.core.orders.contains_key(&id("calc", "h0")));
        bench.order(&note("h0")).unwrap_err();
        bench.order(&note("h1")).unwrap();
    }
}
