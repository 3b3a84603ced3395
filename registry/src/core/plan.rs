//! What each event does: the rules of leases.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jackfield_wire::InstanceId;
use jackfield_wire::registry::{Health, Instance, Kind};

use super::admission::{self, Flaw, Surroundings};
use super::change::{By, LeaseId, Liveness, Plan, Record};
use super::fleet::Held;
use super::moment::Moment;
use super::refused::Refused;
use super::timers::Block;
use super::{Core, Holder};

impl Core {
    /// These instances live under this lease. The same identity takes over what it held on another
    /// connection; what is there already, unchanged, is only renewed.
    ///
    /// `beside` is planned and not yet applied, and must not touch instances of this host.
    pub(crate) fn plan_register(
        &self,
        now: Moment,
        holder: &Holder,
        instances: Vec<Instance>,
        beside: &Plan,
    ) -> Result<Plan, Refused> {
        self.check_count(holder, instances.len())?;
        let mut plan = Plan::default();
        let by = Arc::new(By { owner: holder.peer.clone(), keeper: self.rules.keeper });
        let mut seen = BTreeSet::new();
        for instance in instances {
            let (id, expires) = (instance.id.clone(), self.expiry(now, instance.check_healthy));
            let record = self.admit(holder, &by, instance)?;
            plan.hold(
                id.clone(),
                Liveness { lease: Some(holder.lease), expires, heard: Some(now) },
            );
            plan.doubts.push((id.clone(), None));
            let held = self.held.get(&id);
            if held.is_none_or(|held| !held.is(&record)) {
                plan.put(record);
            }
            plan.added += usize::from(held.is_none());
            plan.counts.registered += 1;
            if !seen.insert(id.clone()) {
                return Err(Refused::Doubled(id));
            }
        }
        self.check_share(holder, &plan, beside)?;
        Ok(plan)
    }

    /// These live on. Says which have to be registered again: those that nobody holds, and those
    /// whose connection is gone.
    ///
    /// An id that another connection of the same identity holds is neither renewed nor reported:
    /// the newer connection has it, and two of one name would take it from each other for ever.
    pub(crate) fn heartbeat(
        &mut self,
        now: Moment,
        holder: &Holder,
        ids: Vec<InstanceId>,
    ) -> Result<Vec<InstanceId>, Refused> {
        self.check_named(&ids)?;
        self.counts.heartbeats += 1;
        let mut unknown = Vec::new();
        for id in ids {
            match self.held.get_mut(&id) {
                Some(held) if *held.owner() != holder.peer => unknown.push(id),
                // Another front end has the newer connection, unless that one broke.
                Some(held) if self.others.contains(&held.keeper()) => {
                    if held.facts.health == Health::Suspect {
                        unknown.push(id);
                    }
                }
                // To be healed by a registration.
                Some(_) if self.doubts.contains_key(&id) => unknown.push(id),
                Some(held) if held.liveness.lease == Some(holder.lease) => {
                    held.renew(now, self.rules.ttl);
                    self.heard_at = Some(now);
                }
                Some(held) if held.liveness.lease.is_some() => {}
                _ => unknown.push(id),
            }
        }
        Ok(unknown)
    }

    /// These go: draining at once, removed when the connection ends or a TTL has passed. Says how
    /// many there were. An operator may take back anybody's.
    pub(crate) fn plan_deregister(
        &self,
        now: Moment,
        holder: &Holder,
        ids: Vec<InstanceId>,
    ) -> Result<(Plan, u32), Refused> {
        self.check_named(&ids)?;
        let mut plan = Plan::default();
        let mut count = 0;
        for id in ids.into_iter().collect::<BTreeSet<_>>() {
            let Some(held) = self.held.get(&id) else { continue };
            if !holder.operator {
                check_owner(holder, held)?;
            }
            count += 1;
            plan.counts.deregistered += 1;
            self.plan_goodbye(now, id, held, &mut plan);
        }
        Ok((plan, count))
    }

    /// The connection of this lease is gone.
    pub(crate) fn plan_lost(&self, lease: LeaseId) -> Plan {
        let mut plan = Plan { lost: vec![lease], ..Plan::default() };
        let slots = self.leases.get(&lease).into_iter().flatten();
        for held in slots.filter_map(|slot| self.held.at(*slot)) {
            if held.is_draining() {
                plan.remove(held.instance_id());
                continue;
            }
            plan.hold(held.instance_id(), Liveness { lease: None, ..held.liveness });
            if held.facts.check_healthy {
                plan.put(held.with_health(Health::Suspect));
                plan.counts.suspected += 1;
            }
        }
        plan
    }

    /// Time has passed: what has expired is removed, or [doubted](super::doubt).
    ///
    /// When far more time has passed than between ticks, it was the registry that did not run and
    /// could not hear its hosts: everything gets a new TTL.
    pub(crate) fn plan_tick(&mut self, now: Moment) -> Plan {
        let paused = now.after(self.last_tick) > self.rules.ttl / 2;
        self.last_tick = now;
        if paused {
            self.grant_grace(now);
        }
        let authority = self.is_authoritative(now) && !self.authority_kept;
        let mut plan = Plan { authority, ..Plan::default() };
        let mut due = Vec::new();
        for block in self.timers.due(now) {
            self.look_through(block, now, &mut due);
        }
        self.plan_due(now, due, &mut plan);
        plan
    }

    pub(super) fn expiry(&self, now: Moment, check_healthy: bool) -> Option<Moment> {
        check_healthy.then(|| now.plus(self.rules.ttl))
    }

    fn plan_goodbye(&self, now: Moment, id: InstanceId, held: &Held, plan: &mut Plan) {
        plan.doubts.push((id.clone(), None));
        if held.liveness.lease.is_none() {
            plan.remove(id);
        } else if !held.is_draining() {
            let expires = Some(now.plus(self.rules.ttl));
            plan.hold(id, Liveness { expires, ..held.liveness });
            plan.put(held.with_health(Health::Draining));
        }
    }

    fn admit(&self, holder: &Holder, by: &Arc<By>, instance: Instance) -> Result<Record, Refused> {
        check_id_len(&instance.id)?;
        let id = instance.id.clone();
        let surroundings = Surroundings { registrant: holder.address, registry: self.address };
        admission::check(&instance, surroundings)
            .map_err(|flaw| Refused::Flawed { id: id.clone(), flaw })?;
        if !is_own_host(&instance, holder) {
            let (claimed, peer) = (instance.host, holder.peer.to_string());
            return Err(Refused::ForeignHost { id, claimed, peer });
        }
        if let Some(held) = self.held.get(&id) {
            check_owner(holder, held)?;
        }
        let healthy = Instance {
            health: Health::Healthy,
            operator: None,
            last_heartbeat_ms: None,
            ..instance
        };
        let record = Record::of(&healthy, Arc::clone(by));
        if record.bytes() > MAX_INSTANCE_BYTES {
            let flaw = Flaw::TooLarge { bytes: record.bytes(), limit: MAX_INSTANCE_BYTES };
            return Err(Refused::Flawed { id, flaw });
        }
        Ok(record)
    }

    /// What the peer and everybody would hold once `plan` was applied.
    fn check_share(&self, holder: &Holder, plan: &Plan, beside: &Plan) -> Result<(), Refused> {
        let share = self.shares.get(&holder.peer);
        let (mut instances, mut bytes) =
            share.map_or((0, 0), |share| (share.instances, share.bytes));
        let mut total = self.held.len() + beside.added;
        for record in plan.records() {
            let old = self.held.find(record.packed.id()).and_then(|slot| self.held.at(slot));
            bytes += record.bytes();
            bytes -= old.map_or(0, |held| held.said().as_bytes().len());
            instances += usize::from(old.is_none());
        }
        total += plan.added;
        self.check_count(holder, instances)?;
        if bytes > MAX_BYTES_PER_PEER {
            let (peer, wanted) = (holder.peer.to_string(), bytes);
            return Err(Refused::TooLargeOfPeer { peer, wanted, limit: MAX_BYTES_PER_PEER });
        }
        if total > self.rules.max_instances && plan.added > 0 {
            return Err(Refused::Full { limit: self.rules.max_instances });
        }
        Ok(())
    }

    fn check_count(&self, holder: &Holder, wanted: usize) -> Result<(), Refused> {
        let limit = self.rules.max_instances_per_peer;
        if wanted > limit {
            return Err(Refused::TooManyOfPeer { peer: holder.peer.to_string(), wanted, limit });
        }
        Ok(())
    }

    fn check_named(&self, ids: &[InstanceId]) -> Result<(), Refused> {
        let limit = self.rules.max_instances_per_peer;
        if ids.len() > limit {
            return Err(Refused::TooManyNamed { named: ids.len(), limit });
        }
        ids.iter().try_for_each(check_id_len)
    }

    fn grant_grace(&mut self, now: Moment) {
        for held in self.held.values_mut() {
            held.extend(now, self.rules.ttl);
        }
    }

    /// What has expired of a block whose time has come; and when that comes again. What has expired
    /// counts as well, because the store may refuse to remove it.
    fn look_through(&mut self, block: Block, now: Moment, due: &mut Vec<InstanceId>) {
        let mut first = None;
        for held in block.slots().filter_map(|slot| self.held.at(slot)) {
            let Some(expires) = held.liveness.expires else { continue };
            first = Some(first.map_or(expires, |first: Moment| first.min(expires)));
            if expires <= now {
                due.push(held.instance_id());
            }
        }
        self.timers.set(block, first);
    }
}

impl Held {
    fn renew(&mut self, now: Moment, ttl: Duration) {
        self.liveness.heard = Some(now);
        if !self.is_draining() {
            self.extend(now, ttl);
        }
    }

    /// Never shortens: the timers rely on it.
    fn extend(&mut self, now: Moment, ttl: Duration) {
        let expires = self.liveness.expires.map(|old| old.max(now.plus(ttl)));
        self.liveness.expires = expires;
    }
}

/// Its host is the name in the certificate; of several outside endpoints of one registrant each has
/// its own name behind that.
fn is_own_host(instance: &Instance, holder: &Holder) -> bool {
    match instance.host.strip_prefix(holder.peer.name()) {
        Some("") => true,
        Some(rest) => {
            let label = rest.strip_prefix(':').unwrap_or_default();
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            instance.kind == Kind::Endpoint && !label.is_empty() && label.chars().all(plain)
        }
        None => false,
    }
}

fn check_owner(holder: &Holder, held: &Held) -> Result<(), Refused> {
    if *held.owner() == holder.peer {
        return Ok(());
    }
    let (owner, peer) = (held.owner().to_string(), holder.peer.to_string());
    Err(Refused::HeldByAnother { id: held.instance_id(), owner, peer })
}

fn check_id_len(id: &InstanceId) -> Result<(), Refused> {
    let len = id.as_str().len();
    if len > MAX_ID {
        return Err(Refused::IdTooLong { len, limit: MAX_ID });
    }
    Ok(())
}

/// A service's name, `@`, and a host's name, in bytes.
const MAX_ID: usize = 256;
/// One encoded instance. Parts of lists are cut at twice this, so an instance fits any frame.
const MAX_INSTANCE_BYTES: usize = 128 << 10;
/// All encoded instances of one identity: its full number with 100 methods each.
const MAX_BYTES_PER_PEER: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Stored;
    use crate::core::fixture::{Bench, TTL, id, instance, lease, peer};
    use jackfield_wire::Status;

    #[test]
    fn heartbeats_keep_what_they_name_and_the_rest_expires() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a"), instance("text", "a")]);
        for _ in 0..5 {
            bench.pass(TTL / 2);
            assert!(bench.heartbeat("a", &[id("calc", "a")]).is_empty());
        }
        assert_eq!(bench.listed().into_keys().collect::<Vec<_>>(), [id("calc", "a")]);
        assert_eq!(bench.core.counts().expired, 1);
    }

    #[test]
    fn an_unknown_heartbeat_is_reported_back() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        bench.pass(TTL * 2);
        assert_eq!(bench.heartbeat("a", &[id("calc", "a")]), [id("calc", "a")]);
    }

    #[test]
    fn a_lost_connection_makes_suspect_and_expiry_follows() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        bench.pass(TTL / 2);
        bench.lose("a");
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Suspect));
        bench.pass(TTL / 2 - Duration::from_millis(1));
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Suspect));
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.health(&id("calc", "a")), None);
    }

    #[test]
    fn a_heartbeat_on_a_new_connection_asks_for_a_registration_which_heals() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        bench.lose("a");
        assert_eq!(bench.heartbeat("a", &[id("calc", "a")]), [id("calc", "a")]);
        bench.register("a", vec![instance("calc", "a")]);
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Healthy));
    }

    #[test]
    fn a_new_connection_takes_over_and_the_end_of_the_old_one_hurts_nobody() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        let old = bench.reconnect("a").unwrap();
        bench.register("a", vec![instance("calc", "a")]);
        bench.lose_lease(old);
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Healthy));
    }

    #[test]
    fn an_older_connection_is_not_told_to_take_back_what_a_newer_one_holds() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        let old = Holder { ..bench.holder("a") };
        bench.reconnect("a");
        bench.register("a", vec![instance("calc", "a")]);
        let unknown = bench.core.heartbeat(bench.now, &old, vec![id("calc", "a")]);
        assert_eq!(unknown, Ok(vec![]));
    }

    #[test]
    fn deregistered_is_draining_until_the_connection_ends() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        assert_eq!(bench.deregister("a", &[id("calc", "a"), id("none", "a")]), 1);
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Draining));
        bench.lose("a");
        assert_eq!(bench.health(&id("calc", "a")), None);
    }

    #[test]
    fn deregistered_goes_after_a_ttl_even_if_heartbeats_name_it() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        bench.deregister("a", &[id("calc", "a")]);
        bench.pass(TTL / 2);
        assert!(bench.heartbeat("a", &[id("calc", "a")]).is_empty());
        bench.pass(TTL / 2);
        assert_eq!(bench.health(&id("calc", "a")), None);
    }

    #[test]
    fn a_draining_instance_can_be_registered_again() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        bench.deregister("a", &[id("calc", "a")]);
        bench.register("a", vec![instance("calc", "a")]);
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Healthy));
        bench.lose("a");
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Suspect));
    }

    #[test]
    fn registering_the_same_again_changes_nothing_but_renews() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        let revision = bench.core.revision();
        bench.pass(TTL * 3 / 4);
        bench.register("a", vec![instance("calc", "a")]);
        assert_eq!(bench.core.revision(), revision);
        bench.pass(TTL * 3 / 4);
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Healthy));
    }

    #[test]
    fn what_heartbeats_do_not_decide_about_stays_until_deregistered() {
        let mut bench = Bench::new();
        let unchecked = Instance { check_healthy: false, ..instance("model", "a") };
        bench.register("a", vec![unchecked]);
        bench.lose("a");
        bench.pass(TTL * 5);
        assert_eq!(bench.health(&id("model", "a")), Some(Health::Healthy));
        bench.deregister("a", &[id("model", "a")]);
        assert_eq!(bench.health(&id("model", "a")), None);
    }

    #[test]
    fn nobody_registers_in_anothers_name() {
        let mut bench = Bench::new();
        let refused = bench.try_register("b", vec![instance("calc", "a")]).unwrap_err();
        assert_eq!(refused.status(), Status::PermissionDenied);
        assert!(refused.to_string().contains("spiffe://local/host/b"), "{refused}");
    }

    #[test]
    fn a_registrant_has_several_outside_endpoints_in_its_own_name_only() {
        let mut bench = Bench::new();
        let endpoint = |host: &str| Instance { kind: Kind::Endpoint, ..instance("model", host) };
        bench.register("a", vec![endpoint("a"), endpoint("a:gpu-1"), endpoint("a:gpu-2")]);
        assert_eq!(bench.listed().len(), 3);
        for host in ["ab", "b:a", "a:", "a:x y", "a@b"] {
            let refused = bench.try_register("a", vec![endpoint(host)]).unwrap_err();
            assert_eq!(refused.status(), Status::PermissionDenied, "{host}");
        }
        bench.try_register("a", vec![instance("calc", "a:gpu-1")]).unwrap_err();
    }

    #[test]
    fn the_same_name_in_another_domain_is_another_identity() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        let peer: jackfield_transport::PeerId = "spiffe://elsewhere/host/a".parse().unwrap();
        let other = Holder { lease: lease(99), peer, ..bench.holder("a") };
        let refused = bench
            .core
            .plan_register(bench.now, &other, vec![instance("calc", "a")], &Plan::default())
            .unwrap_err();
        assert!(matches!(refused, Refused::HeldByAnother { .. }), "{refused}");
        assert_eq!(refused.status(), Status::PermissionDenied);
        let refused =
            bench.core.plan_deregister(bench.now, &other, vec![id("calc", "a")]).unwrap_err();
        assert_eq!(refused.status(), Status::PermissionDenied);
        let unknown = bench.core.heartbeat(bench.now, &other, vec![id("calc", "a")]);
        assert_eq!(unknown, Ok(vec![id("calc", "a")]));
    }

    #[test]
    fn one_bad_instance_refuses_the_whole_request() {
        let mut bench = Bench::new();
        let bad = Instance { address: "0.0.0.0:1".into(), ..instance("text", "a") };
        let refused = bench.try_register("a", vec![instance("calc", "a"), bad]).unwrap_err();
        assert!(refused.to_string().contains("text@a"), "{refused}");
        assert_eq!(refused.status(), Status::InvalidArgument);
        let twice = vec![instance("calc", "a"), instance("calc", "a")];
        let refused = bench.try_register("a", twice).unwrap_err();
        assert_eq!(refused, Refused::Doubled(id("calc", "a")));
        assert!(bench.listed().is_empty());
    }

    #[test]
    fn one_identity_holds_a_bounded_number() {
        let mut bench = Bench::new();
        let many = |from: usize, to: usize| -> Vec<_> {
            (from..to).map(|n| instance(&format!("s{n}"), "a")).collect()
        };
        bench.register("a", many(0, 60));
        bench.register("a", many(10, 64));
        let refused = bench.try_register("a", many(60, 65)).unwrap_err();
        let expected =
            Refused::TooManyOfPeer { peer: peer("a").to_string(), wanted: 65, limit: 64 };
        assert_eq!(refused, expected);
        bench.deregister("a", &[id("s0", "a")]);
        bench.pass(TTL);
        bench.register("a", many(64, 65));
    }

    #[test]
    fn a_full_registry_still_takes_changes_of_what_it_holds() {
        let mut bench = Bench::new();
        for host in 0..1000 {
            let host = format!("h{host}");
            bench.register(&host, vec![instance("calc", &host)]);
        }
        let refused = bench.try_register("more", vec![instance("calc", "more")]).unwrap_err();
        assert_eq!(refused, Refused::Full { limit: 1000 });
        let newer = Instance { version: Some("2".into()), ..instance("calc", "h0") };
        bench.register("h0", vec![newer]);
    }

    #[test]
    fn too_large_instances_are_refused() {
        let mut bench = Bench::new();
        let method =
            jackfield_wire::registry::MethodSummary { name: "m".into(), wit: "x".repeat(10 << 10) };
        let fat = |n: usize, service: &str| Instance {
            methods: vec![method.clone(); n],
            ..instance(service, "a")
        };
        let refused = bench.try_register("a", vec![fat(13, "calc")]).unwrap_err();
        assert!(matches!(refused, Refused::Flawed { flaw: Flaw::TooLarge { .. }, .. }));
        let many = (0..50).map(|n| fat(12, &format!("s{n}"))).collect();
        let refused = bench.try_register("a", many).unwrap_err();
        assert!(matches!(refused, Refused::TooLargeOfPeer { .. }), "{refused}");
        assert_eq!(refused.status(), Status::ResourceExhausted);
    }

    #[test]
    fn a_restart_gives_everything_a_full_ttl_and_is_not_authoritative_before() {
        let mut before = Bench::new();
        before.register("a", vec![instance("calc", "a")]);
        before.register("b", vec![instance("calc", "b")]);
        let mut bench = Bench::restored(before.stored());
        assert_eq!(bench.core.revision(), before.core.revision());
        assert_eq!(bench.listed(), before.listed());
        bench.pass(TTL / 2);
        assert!(!bench.core.is_authoritative(bench.now));
        assert_eq!(bench.heartbeat("a", &[id("calc", "a")]), [id("calc", "a")]);
        bench.register("a", vec![instance("calc", "a")]);
        bench.pass(TTL / 2);
        assert!(bench.core.is_authoritative(bench.now));
        assert_eq!(bench.listed().into_keys().collect::<Vec<_>>(), [id("calc", "a")]);
    }

    #[test]
    fn what_a_registry_that_knew_everyone_kept_is_authoritative_at_once() {
        let mut before = Bench::new();
        before.pass(TTL);
        before.register("a", vec![instance("calc", "a")]);
        let bench = Bench::restored(before.stored());
        assert!(bench.core.is_authoritative(bench.now));
        let mut silent = Bench::new();
        silent.pass(TTL);
        let bench = Bench::restored(silent.stored());
        assert!(bench.core.is_authoritative(bench.now));
    }

    #[test]
    fn what_had_said_goodbye_goes_after_a_restart_too() {
        let mut before = Bench::new();
        let unchecked = Instance { check_healthy: false, ..instance("model", "a") };
        before.register("a", vec![unchecked]);
        before.deregister("a", &[id("model", "a")]);
        let mut bench = Bench::restored(before.stored());
        assert_eq!(bench.health(&id("model", "a")), Some(Health::Draining));
        bench.pass(TTL);
        assert_eq!(bench.health(&id("model", "a")), None);
    }

    #[test]
    fn plans_beside_each_other_share_the_room() {
        let mut bench = Bench::new();
        for host in 0..999 {
            let host = format!("h{host}");
            bench.register(&host, vec![instance("calc", &host)]);
        }
        let (one, two) = (bench.holder("one"), bench.holder("two"));
        let nothing = Plan::default();
        let plan = bench
            .core
            .plan_register(bench.now, &one, vec![instance("calc", "one")], &nothing)
            .unwrap();
        let refused = bench
            .core
            .plan_register(bench.now, &two, vec![instance("calc", "two")], &plan)
            .unwrap_err();
        assert_eq!(refused, Refused::Full { limit: 1000 });
    }

    #[test]
    fn a_registry_that_stood_still_gives_its_hosts_another_ttl() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        bench.freeze(TTL * 6);
        assert_eq!(bench.health(&id("calc", "a")), Some(Health::Healthy));
        bench.pass(TTL - Duration::from_millis(1));
        assert!(bench.heartbeat("a", &[id("calc", "a")]).is_empty());
        bench.freeze(TTL * 6);
        bench.pass(TTL);
        assert_eq!(bench.health(&id("calc", "a")), None);
    }

    #[test]
    fn a_heartbeat_that_names_too_much_is_refused() {
        let mut bench = Bench::new();
        let holder = bench.holder("a");
        let many = vec![id("calc", "a"); 65];
        let refused = bench.core.heartbeat(bench.now, &holder, many).unwrap_err();
        assert_eq!(refused, Refused::TooManyNamed { named: 65, limit: 64 });
        let long = InstanceId::new(&instance("calc", "a").service, &"x".repeat(300));
        let refused = bench.core.heartbeat(bench.now, &holder, vec![long]).unwrap_err();
        assert!(matches!(refused, Refused::IdTooLong { len: 305, .. }), "{refused}");
    }

    #[test]
    fn an_empty_store_starts_at_revision_zero() {
        let bench = Bench::restored(Stored::default());
        assert_eq!(bench.core.revision().number, 0);
        assert_eq!(bench.core.len(), 0);
    }
}
