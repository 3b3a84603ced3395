//! When far too much goes silent at once, it is more likely that the registry cannot hear than that
//! everybody died: then what is silent stays, as suspect, until somebody has looked.
//!
//! Looking is dialling ([`Probe`]); the shell does it and says what it found. An instance leaves
//! this state by what was found there, or by its host's word: never because of how many others are
//! in it, which is how a registry keeps the dead for ever after it has once seen too many.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jackfield_transport::PeerId;
use jackfield_wire::registry::{Health, Kind};
use jackfield_wire::{InstanceId, ServiceKey};

use super::Core;
use super::change::{Liveness, Plan};
use super::fleet::Held;
use super::moment::Moment;

/// What is known of an instance that was kept although it is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubt {
    /// Looks in a row that found nobody.
    failures: u32,
}

/// Somebody has to look whether this instance is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) id: InstanceId,
    pub(crate) kind: Kind,
    pub(crate) address: String,
    /// Whose certificate must answer, where it is a wasm host's.
    pub(crate) owner: PeerId,
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is there.
    Alive,
    /// Nobody is: its machine says so, or somebody else answers.
    Nobody,
    /// Nothing was heard, which may be the registry's own fault.
    Silence,
}

/// An expiry, for as long as it counts.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    at: Moment,
    key: ServiceKey,
    owner: PeerId,
}

impl Core {
    /// What is due: gone where few are, doubtful where many are, looked at where it is doubtful.
    pub(super) fn plan_due(&mut self, now: Moment, due: Vec<InstanceId>, plan: &mut Plan) {
        self.ended.retain(|ended| now.after(ended.at) < self.rules.ttl);
        let (doubtful, silent): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|id| self.doubts.contains_key(id));
        for id in doubtful {
            self.plan_look(now, &id, plan);
        }
        let census = if silent.is_empty() { Census::default() } else { self.census(now) };
        for id in silent {
            let Some(held) = self.held.get(&id) else { continue };
            if !held.is_draining() && census.is_mass(&held.key()) {
                plan.doubts.push((id.clone(), Some(Doubt::default())));
                if held.facts.health == Health::Healthy {
                    plan.put(held.with_health(Health::Suspect));
                    plan.counts.suspected += 1;
                }
                self.plan_look(now, &id, plan);
            } else {
                plan.ended.push(Ended { at: now, key: held.key(), owner: held.owner().clone() });
                plan.remove(id);
                plan.counts.expired += 1;
            }
        }
    }

    /// What somebody found who looked. Of no interest any more when its host has come back.
    pub(crate) fn plan_probed(&mut self, now: Moment, id: &InstanceId, found: Found) -> Plan {
        let mut plan = Plan::default();
        let (Some(held), Some(doubt)) = (self.held.get(id), self.doubts.get(id)) else {
            return plan;
        };
        let certain = match found {
            Found::Alive | Found::Nobody => true,
            // Whoever hears nobody at all cannot tell silence from deafness.
            Found::Silence => self.heard_at.is_some_and(|at| now.after(at) < self.rules.ttl),
        };
        let failures = match found {
            Found::Alive => 0,
            _ => doubt.failures + u32::from(certain),
        };
        if failures >= FAILURES {
            plan.remove(id.clone());
            plan.counts.expired += 1;
            return plan;
        }
        plan.doubts.push((id.clone(), Some(Doubt { failures })));
        let (health, pause) = match found {
            Found::Alive => (Health::Healthy, self.rules.ttl),
            _ => (Health::Suspect, self.rules.ttl / LOOKS_PER_TTL),
        };
        if held.facts.health != health {
            plan.put(held.with_health(health));
        }
        plan.hold(id.clone(), Liveness { expires: Some(now.plus(pause)), ..held.liveness });
        if found == Found::Alive {
            self.heard_at = Some(now);
        }
        plan
    }

    /// How many are kept although they are silent.
    pub(crate) fn doubtful(&self) -> usize {
        self.doubts.len()
    }

    /// Asks for a look now, and for another should nobody say what it found.
    fn plan_look(&self, now: Moment, id: &InstanceId, plan: &mut Plan) {
        let Some(held) = self.held.get(id) else { return };
        let again = Some(now.plus(self.rules.ttl.max(LOOK)));
        plan.hold(id.clone(), Liveness { expires: again, ..held.liveness });
        plan.probes.push(Probe {
            id: id.clone(),
            kind: held.facts.kind,
            address: held.said().unpack().address,
            owner: held.owner().clone(),
        });
    }

    /// Who is silent. A living host has been heard within half a TTL, so of those that fell silent
    /// together the first to expire shows all.
    fn census(&self, now: Moment) -> Census<'_> {
        let mut census = Census::default();
        let soon = now.plus(self.rules.ttl / 2);
        let is_silent =
            |held: &Held, expires| expires <= soon || self.doubts.contains_key(held.id());
        for members in self.held.services() {
            let mut members = members.filter(|held| !held.is_draining()).peekable();
            let Some(key) = members.peek().map(|held| held.key()) else { continue };
            for held in members {
                let Some(expires) = held.liveness.expires else { continue };
                census.count(&key, is_silent(held, expires).then_some(held.owner()));
            }
        }
        for ended in &self.ended {
            census.count(&ended.key, Some(&ended.owner));
        }
        census
    }
}

/// Silent ones and all of each service, and of everything.
#[derive(Default)]
struct Census<'a> {
    services: HashMap<ServiceKey, Count<'a>>,
    all: Count<'a>,
}

#[derive(Default)]
struct Count<'a> {
    instances: usize,
    silent: usize,
    /// Who is silent: many instances of one host are one event.
    owners: HashSet<&'a PeerId>,
}

impl<'a> Census<'a> {
    fn count(&mut self, key: &ServiceKey, silent: Option<&'a PeerId>) {
        if !self.services.contains_key(key) {
            self.services.insert(key.clone(), Count::default());
        }
        for count in self.services.get_mut(key).into_iter().chain([&mut self.all]) {
            count.instances += 1;
            count.silent += usize::from(silent.is_some());
            count.owners.extend(silent);
        }
    }

    fn is_mass(&self, key: &ServiceKey) -> bool {
        let of_service = self.services.get(key).is_some_and(|count| count.exceeds(SERVICE_PERCENT));
        of_service || self.all.exceeds(ALL_PERCENT)
    }
}

impl Count<'_> {
    fn exceeds(&self, percent: usize) -> bool {
        self.owners.len() >= FEW && self.silent * 100 > self.instances * percent
    }
}

/// Of a service: what clients' panic thresholds take for a broken view too.
const SERVICE_PERCENT: usize = 50;
/// Of everything: hosts do not die so often at once, networks do.
const ALL_PERCENT: usize = 15;
/// Below so many hosts shares say nothing: one of one is all of them.
const FEW: usize = 3;
/// Looks in a row that find nobody, so that a host which just restarts is not taken for dead.
const FAILURES: u32 = 2;
/// Looks in a TTL, while nobody is found.
const LOOKS_PER_TTL: u32 = 4;
/// A look takes less than this, with its wait for its turn.
const LOOK: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fixture::{Bench, TTL, id, instance};

    /// Ten hosts of one service, all with a connection.
    fn ten() -> Bench {
        let mut bench = Bench::new();
        for n in 0..10 {
            let host = format!("h{n}");
            bench.register(&host, vec![instance("calc", &host)]);
        }
        bench
    }

    fn calc(n: usize) -> InstanceId {
        id("calc", &format!("h{n}"))
    }

    /// A TTL in which only these are heard.
    fn only(bench: &mut Bench, hosts: std::ops::Range<usize>) {
        for _ in 0..8 {
            bench.pass(TTL / 4);
            for n in hosts.clone() {
                bench.heartbeat(&format!("h{n}"), &[calc(n)]);
            }
        }
    }

    fn probed(bench: &mut Bench, found: impl Fn(&InstanceId) -> Found) -> usize {
        let probes = std::mem::take(&mut bench.probes);
        for probe in &probes {
            bench.found(&probe.id, found(&probe.id));
        }
        probes.len()
    }

    #[test]
    fn few_that_fall_silent_expire() {
        let mut bench = ten();
        only(&mut bench, 1..10);
        assert_eq!(bench.listed().len(), 9);
        assert!(bench.probes.is_empty());
    }

    #[test]
    fn most_of_a_service_at_once_stays_as_suspect_and_is_looked_at() {
        let mut bench = ten();
        only(&mut bench, 0..4);
        assert_eq!(bench.listed().len(), 10);
        assert_eq!(bench.health(&calc(9)), Some(Health::Suspect));
        assert_eq!(bench.core.doubtful(), 6);
        let asked: HashSet<_> = bench.probes.iter().map(|probe| probe.id.clone()).collect();
        assert_eq!(asked, (4..10).map(calc).collect());
    }

    #[test]
    fn who_answers_a_look_is_healthy_and_who_does_not_is_removed() {
        let mut bench = ten();
        only(&mut bench, 0..4);
        let alive = |id: &InstanceId| if *id < calc(7) { Found::Alive } else { Found::Silence };
        for _ in 0..3 {
            probed(&mut bench, alive);
            only(&mut bench, 0..4);
        }
        let left: Vec<_> = bench.listed().into_keys().collect();
        assert_eq!(left, (0..7).map(calc).collect::<Vec<_>>());
        assert_eq!(bench.core.counts().expired, 3);
    }

    #[test]
    fn a_registry_that_hears_nobody_removes_nobody() {
        let mut bench = ten();
        for _ in 0..40 {
            bench.pass(TTL / 2);
            probed(&mut bench, |_| Found::Silence);
        }
        assert_eq!(bench.listed().len(), 10);
        assert!(bench.listed().values().all(|instance| instance.health == Health::Suspect));
    }

    #[test]
    fn a_machine_that_says_that_nobody_is_there_is_believed() {
        let mut bench = ten();
        for _ in 0..10 {
            bench.pass(TTL / 2);
            probed(&mut bench, |_| Found::Nobody);
        }
        assert!(bench.listed().is_empty());
        assert_eq!(bench.core.doubtful(), 0);
    }

    #[test]
    fn a_host_that_comes_back_is_doubted_no_more() {
        let mut bench = ten();
        only(&mut bench, 0..4);
        assert_eq!(bench.heartbeat("h9", &[calc(9)]), [calc(9)]);
        bench.register("h9", vec![instance("calc", "h9")]);
        assert_eq!(bench.health(&calc(9)), Some(Health::Healthy));
        assert_eq!(bench.core.doubtful(), 5);
        assert!(bench.heartbeat("h9", &[calc(9)]).is_empty());
        bench.found(&calc(9), Found::Nobody);
        assert_eq!(bench.health(&calc(9)), Some(Health::Healthy));
    }

    #[test]
    fn numbers_do_not_end_doubt_and_do_not_prolong_it() {
        let mut bench = ten();
        only(&mut bench, 0..4);
        for n in 10..60 {
            let host = format!("h{n}");
            bench.register(&host, vec![instance("calc", &host)]);
        }
        only(&mut bench, 0..4);
        let doubted = bench.core.doubtful();
        assert!(doubted >= 6, "they are a tenth of the service now, and doubted as before");
        for _ in 0..4 {
            probed(&mut bench, |_| Found::Nobody);
            only(&mut bench, 0..4);
        }
        assert_eq!(bench.listed().len(), 4, "and most of a service can go when nobody is there");
    }

    #[test]
    fn one_host_with_many_services_is_not_a_mass() {
        let mut bench = Bench::new();
        let all = (0..50).map(|n| instance(&format!("s{n}"), "a")).collect();
        bench.register("a", all);
        bench.pass(TTL);
        assert!(bench.listed().is_empty());
    }
}
