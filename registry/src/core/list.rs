//! Parts of the set, in the order of ids.
//!
//! Ids are `SERVICE@HOST` and `NAMESPACE/SERVICE@HOST`, so a service's instances lie together and
//! need no index of their own.

use jackfield_wire::InstanceId;
use jackfield_wire::registry::{Instance, ListQuery, Listing, Packed, Revision, ServiceEntry};

use super::fleet::{Held, Slot};
use super::log::Logged;
use super::tally::entry;
use super::{Core, Moment, Scope};

impl Core {
    /// One part of a list.
    pub(crate) fn list(&self, now: Moment, query: &ListQuery) -> Listing {
        let scope = Scope::new(query.namespace.as_ref(), query.service.as_ref());
        let mut listing = Listing {
            revision: self.revision(),
            authoritative: self.is_authoritative(now),
            ..Listing::default()
        };
        if query.after.is_none() {
            listing.services = self.settings_in(&scope);
        }
        let wanted = |(_, held): &(Slot, &Held)| query.all || held.available;
        let mut part = Part::default();
        let after = query.after.as_ref().map(InstanceId::as_str);
        for (slot, held) in self.held.range(&scope, after).filter(wanted) {
            let shown = self.held.shown(slot, held);
            if !part.takes(shown.as_bytes().len()) {
                listing.more = true;
                break;
            }
            listing.instances.push(held.listed(shown, now));
        }
        listing
    }

    /// The answer to a poll that waited in vain.
    pub(crate) fn unchanged(&self, now: Moment) -> Listing {
        Listing {
            revision: self.revision(),
            authoritative: self.is_authoritative(now),
            unchanged: true,
            ..Listing::default()
        }
    }

    /// Whether something that `query` is about has changed after `since`; also when nobody can tell
    /// any more.
    pub(crate) fn has_changed(&self, query: &ListQuery, since: Revision) -> bool {
        if since.epoch != self.epoch || !self.log.reaches(since.number) {
            return true;
        }
        let scope = Scope::new(query.namespace.as_ref(), query.service.as_ref());
        self.log.since(since.number).any(|(revision, logged)| match logged {
            Logged::At(slot) => self
                .held
                .at(slot)
                .is_some_and(|held| held.changed == revision && scope.covers_id(held.id())),
            Logged::Other(subject) => subject.is_in(&scope),
        })
    }

    /// Everything in a scope, as it is now.
    pub(super) fn collect(&self, scope: &Scope) -> Vec<Packed> {
        let held = self.held.range(scope, None);
        held.map(|(slot, held)| self.held.shown(slot, held).clone()).collect()
    }

    /// The settings of the services in a scope.
    pub(super) fn settings_in(&self, scope: &Scope) -> Vec<ServiceEntry> {
        let known = self.settings.iter().filter(|(key, _)| scope.covers_key(key));
        known.map(|(key, known)| entry(key, &known.settings)).collect()
    }
}

impl Held {
    /// As lists tell it: with the age of its last heartbeat.
    fn listed(&self, shown: &Packed, now: Moment) -> Instance {
        let age = self.liveness.heard.map(|heard| now.after(heard).as_millis());
        Instance {
            last_heartbeat_ms: age.map(|age| u32::try_from(age).unwrap_or(u32::MAX)),
            ..shown.unpack()
        }
    }
}

/// How much of a message is used.
#[derive(Debug, Default)]
pub(super) struct Part {
    bytes: usize,
}

impl Part {
    /// Whether a piece still fits; the first always does.
    pub(super) fn takes(&mut self, bytes: usize) -> bool {
        let fits = self.bytes == 0 || self.bytes + bytes <= PART_BYTES;
        self.bytes += bytes;
        fits
    }
}

/// Aim for a message's size: a quarter of a frame's limit, because a larger one has to wait for
/// the peer to open its stream window.
const PART_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fixture::{Bench, instance};
    use jackfield_wire::ServiceName;
    use jackfield_wire::registry::Health;

    fn query(service: Option<&str>) -> ListQuery {
        let service = service.map(|name| ServiceName::new(name).unwrap());
        ListQuery { service, all: true, ..ListQuery::default() }
    }

    fn ids(listing: &Listing) -> Vec<&str> {
        listing.instances.iter().map(|instance| instance.id.as_str()).collect()
    }

    #[test]
    fn a_service_is_listed_without_those_whose_names_begin_alike() {
        let mut bench = Bench::new();
        for service in ["calc", "calc-2", "cal", "calculus", "text"] {
            bench.register("a", vec![instance(service, "a")]);
            bench.register("b", vec![instance(service, "b")]);
        }
        assert_eq!(ids(&bench.core.list(bench.now, &query(Some("calc")))), ["calc@a", "calc@b"]);
        assert!(ids(&bench.core.list(bench.now, &query(Some("none")))).is_empty());
        assert_eq!(bench.core.list(bench.now, &query(None)).instances.len(), 10);
    }

    #[test]
    fn a_long_list_comes_in_parts_that_follow_each_other() {
        let mut bench = Bench::new();
        let names: Vec<_> = (0..40).map(|n| format!("s{n:02}")).collect();
        for name in &names {
            bench.register("a", vec![fat(name)]);
        }
        let (mut found, mut parts, mut query) = (Vec::new(), 0, query(None));
        loop {
            let listing = bench.core.list(bench.now, &query);
            assert!(jackfield_wire::to_cbor(&listing).len() < 300 << 10);
            query.after = listing.instances.last().map(|instance| instance.id.clone());
            found.extend(listing.instances.iter().map(|i| i.service.to_string()));
            parts += 1;
            if !listing.more {
                break;
            }
        }
        assert_eq!(found, names);
        assert!(parts > 2, "{parts}");
    }

    #[test]
    fn without_all_only_those_that_can_be_called_are_listed() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        bench.register("b", vec![instance("calc", "b")]);
        bench.lose("a");
        let available = ListQuery { all: false, ..query(None) };
        assert_eq!(ids(&bench.core.list(bench.now, &available)), ["calc@b"]);
        let all = bench.core.list(bench.now, &query(None));
        assert_eq!(ids(&all), ["calc@a", "calc@b"]);
        assert_eq!(all.instances[0].health, Health::Suspect);
    }

    fn fat(service: &str) -> Instance {
        let method =
            jackfield_wire::registry::MethodSummary { name: "m".into(), wit: "x".repeat(1 << 10) };
        Instance { methods: vec![method; 20], ..instance(service, "a") }
    }
}
