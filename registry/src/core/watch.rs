//! A watcher's place in the order of changes.
//!
//! There is no queue: a watcher is a revision, and asks for what changed since. A slow one finds
//! each instance once, in its latest state; one that is too slow for the log gets the full set.
//! While it takes the parts of a full set it holds pointers to them, and nothing else.

use std::collections::VecDeque;

use jackfield_wire::InstanceId;
use jackfield_wire::registry::{
    DeltaOf, Digest, Packed, Revision, ServiceEntry, SnapshotOf, WatchEventOf, WatchQuery,
};

use super::list::Part;
use super::log::Logged;
use super::tally::entry;
use super::{Core, Moment, Scope, Subject};

/// What a watcher is told, ready to be sent.
pub(crate) type Event = WatchEventOf<Packed>;

/// One watch.
#[derive(Debug)]
pub(crate) struct Watcher {
    scope: Scope,
    place: Place,
    /// The revision of the last event.
    told: Option<Revision>,
}

#[derive(Debug)]
enum Place {
    /// Nothing was sent.
    Start(Option<Revision>),
    /// In the middle of a full set.
    Set {
        revision: Revision,
        rest: VecDeque<Packed>,
        authoritative: bool,
        /// Goes with the first part.
        services: Vec<ServiceEntry>,
        digest: Digest,
    },
    /// Everything up to this revision was sent.
    At { revision: Revision, authoritative: bool },
}

impl Watcher {
    pub(crate) fn new(query: WatchQuery) -> Self {
        let scope = Scope::new(query.namespace.as_ref(), query.service.as_ref());
        Self { scope, place: Place::Start(query.resume), told: None }
    }

    /// The next event, if there is something to say. Ask again until there is not, then wait for
    /// the core to change.
    pub(crate) fn next(&mut self, core: &Core, now: Moment) -> Option<Event> {
        let event = match &self.place {
            Place::Start(Some(resume)) if core.is_behind(*resume) => None,
            Place::Start(Some(resume)) if resume.epoch == core.epoch => {
                let number = resume.number;
                self.go_on(core, now, number, Sent::Nothing)
            }
            Place::Start(_) => Some(self.begin_set(core, now)),
            Place::Set { .. } => Some(self.set_part()),
            // Another life of the store: its revisions have nothing to do with what was sent.
            Place::At { revision, .. } if revision.epoch != core.epoch => {
                Some(self.begin_set(core, now))
            }
            Place::At { revision, authoritative } => {
                let (number, sent) = (revision.number, Sent::Authoritative(*authoritative));
                self.go_on(core, now, number, sent)
            }
        };
        self.told = event.as_ref().map(revision_of).or(self.told);
        event
    }

    /// What to say after a silence: that the registry is there, and which revision is the newest
    /// that the watcher knows all of.
    pub(crate) fn idle(&mut self, core: &Core, now: Moment) -> Option<Event> {
        if let Some(event) = self.next(core, now) {
            return Some(event);
        }
        let Place::At { revision, authoritative } = self.place else { return None };
        let digest = core.tallies.of(&self.scope).digest;
        if self.told == Some(revision) {
            return Some(WatchEventOf::Idle(revision, Some(digest)));
        }
        self.told = Some(revision);
        let nothing = Changes { digest: Some(digest), ..Changes::default() };
        Some(nothing.into_event(revision, authoritative))
    }

    /// The revision that the watcher knows and this front end does not yet; it says nothing until it
    /// does, lest the watcher go back in time.
    pub(crate) fn waits_for(&self, core: &Core) -> Option<u64> {
        match &self.place {
            Place::Start(Some(resume)) if core.is_behind(*resume) => Some(resume.number),
            _ => None,
        }
    }

    fn begin_set(&mut self, core: &Core, now: Moment) -> Event {
        self.place = Place::Set {
            revision: core.revision(),
            rest: core.collect(&self.scope).into(),
            authoritative: core.is_authoritative(now),
            services: core.settings_in(&self.scope),
            digest: core.tallies.of(&self.scope).digest,
        };
        self.set_part()
    }

    fn set_part(&mut self) -> Event {
        let Place::Set { revision, rest, authoritative, services, digest } = &mut self.place else {
            unreachable!("called with a set begun")
        };
        let (revision, authoritative, digest) = (*revision, *authoritative, *digest);
        let services = std::mem::take(services);
        let mut part = Part::default();
        let mut instances = Vec::new();
        while rest.front().is_some_and(|next| part.takes(next.as_bytes().len())) {
            instances.extend(rest.pop_front());
        }
        let last = rest.is_empty();
        if last {
            self.place = Place::At { revision, authoritative };
        }
        let digest = last.then_some(digest);
        WatchEventOf::Snapshot(SnapshotOf {
            revision,
            instances,
            last,
            authoritative,
            services,
            digest,
        })
    }

    fn go_on(&mut self, core: &Core, now: Moment, number: u64, sent: Sent) -> Option<Event> {
        if !core.log.reaches(number) {
            return Some(self.begin_set(core, now));
        }
        let authoritative = core.is_authoritative(now);
        let changes = self.gather(core, number);
        let revision = Revision { epoch: core.epoch, number: changes.until };
        self.place = Place::At { revision, authoritative };
        if changes.is_empty() && sent == Sent::Authoritative(authoritative) {
            return None;
        }
        Some(changes.into_event(revision, authoritative))
    }

    /// What changed after `number`, as much as fits a message. Ends at a revision up to which
    /// nothing is missing.
    fn gather(&self, core: &Core, number: u64) -> Changes {
        let mut changes = Changes { until: core.log.latest(), ..Changes::default() };
        let mut part = Part::default();
        let mut complete = number;
        for (revision, logged) in core.log.since(number) {
            match changes.take(core, &self.scope, (revision, logged), &mut part) {
                Taken::Yes => complete = revision,
                Taken::TooMuch => {
                    changes.until = complete;
                    break;
                }
            }
        }
        let whole = changes.until == core.log.latest();
        changes.digest = whole.then(|| core.tallies.of(&self.scope).digest);
        changes
    }
}

/// What the watcher was told of the registry's authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// Nothing at all: it waits for a first event.
    Nothing,
    Authoritative(bool),
}

#[derive(Debug, Default)]
struct Changes {
    upserted: Vec<Packed>,
    removed: Vec<InstanceId>,
    services: Vec<ServiceEntry>,
    until: u64,
    /// Of the set after them, when they are all.
    digest: Option<Digest>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.upserted.is_empty() && self.removed.is_empty() && self.services.is_empty()
    }

    /// Takes what the log says of a revision, as it is now, if there is room.
    fn take(
        &mut self,
        core: &Core,
        scope: &Scope,
        (revision, logged): (u64, Logged<'_>),
        part: &mut Part,
    ) -> Taken {
        // An entry that something newer has followed is outdated: its newer entry says so.
        let subject = match logged {
            Logged::At(slot) => match core.held.at(slot) {
                Some(held) if held.changed == revision && scope.covers_id(held.id()) => {
                    let shown = core.held.shown(slot, held);
                    if !part.takes(shown.as_bytes().len()) {
                        return Taken::TooMuch;
                    }
                    self.upserted.push(shown.clone());
                    return Taken::Yes;
                }
                _ => return Taken::Yes,
            },
            Logged::Other(subject) => subject,
        };
        match subject {
            Subject::Instance(id) => {
                if core.held.get(id).is_none() && subject.is_in(scope) {
                    if !part.takes(id.as_str().len()) {
                        return Taken::TooMuch;
                    }
                    self.removed.push(id.clone());
                }
            }
            Subject::Settings(key) if subject.is_in(scope) => match core.settings.get(&**key) {
                Some(known) if known.changed != revision => {}
                known => {
                    if !part.takes(SETTINGS_BYTES) {
                        return Taken::TooMuch;
                    }
                    let settings = known.map(|known| known.settings.clone());
                    self.services.push(entry(key, &settings.unwrap_or_default()));
                }
            },
            Subject::Settings(_) => {}
        }
        Taken::Yes
    }

    fn into_event(self, revision: Revision, authoritative: bool) -> Event {
        let Self { upserted, removed, services, digest, .. } = self;
        WatchEventOf::Delta(DeltaOf {
            revision,
            upserted,
            removed,
            authoritative,
            services,
            digest,
        })
    }
}

enum Taken {
    Yes,
    TooMuch,
}

/// Settings of one service, encoded, at the most.
const SETTINGS_BYTES: usize = 300;

fn revision_of<I>(event: &WatchEventOf<I>) -> Revision {
    match event {
        WatchEventOf::Snapshot(snapshot) => snapshot.revision,
        WatchEventOf::Delta(delta) => delta.revision,
        WatchEventOf::Idle(revision, _) => *revision,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fixture::{Bench, TTL, id, instance};
    use jackfield_wire::ServiceName;
    use jackfield_wire::registry::{Delta, Health, Instance, WatchEvent};

    fn watcher(service: Option<&str>, resume: Option<Revision>) -> Watcher {
        let service = service.map(|name| ServiceName::new(name).unwrap());
        Watcher::new(WatchQuery { service, resume, namespace: None })
    }

    fn one_delta(bench: &Bench, watcher: &mut Watcher) -> Delta {
        match &bench.events(watcher)[..] {
            [WatchEvent::Delta(delta)] => delta.clone(),
            other => panic!("one delta expected: {other:?}"),
        }
    }

    #[test]
    fn a_new_watcher_gets_the_set_and_then_each_change() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        let mut watcher = watcher(None, None);
        let [WatchEvent::Snapshot(set)] = &bench.events(&mut watcher)[..] else { panic!() };
        assert!(set.last && !set.authoritative && set.instances.len() == 1);
        assert!(bench.events(&mut watcher).is_empty());

        bench.deregister("a", &[id("calc", "a")]);
        let delta = one_delta(&bench, &mut watcher);
        assert_eq!(delta.upserted[0].health, Health::Draining);
        bench.lose("a");
        let delta = one_delta(&bench, &mut watcher);
        assert_eq!(delta.removed, [id("calc", "a")]);
        assert_eq!(delta.revision, bench.core.revision());
    }

    #[test]
    fn a_slow_watcher_gets_one_latest_state_for_each_instance() {
        let mut bench = Bench::new();
        let mut watcher = watcher(None, None);
        bench.events(&mut watcher);
        for version in 0..100 {
            let version = Some(version.to_string());
            bench.register("a", vec![Instance { version, ..instance("calc", "a") }]);
            bench.register("b", vec![instance("text", "b")]);
            bench.deregister("b", &[id("text", "b")]);
            bench.lose("b");
        }
        let delta = one_delta(&bench, &mut watcher);
        assert_eq!(delta.upserted.len(), 1);
        assert_eq!(delta.upserted[0].version.as_deref(), Some("99"));
        assert!(delta.removed.iter().all(|removed| *removed == id("text", "b")));
        assert!(bench.core.log.len() <= crate::core::log::most_entries(101));
    }

    #[test]
    fn what_was_removed_and_came_back_is_not_removed() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        let mut watcher = watcher(None, None);
        bench.events(&mut watcher);
        bench.deregister("a", &[id("calc", "a")]);
        bench.lose("a");
        bench.register("a", vec![instance("calc", "a")]);
        let delta = one_delta(&bench, &mut watcher);
        assert_eq!((delta.upserted.len(), delta.removed.len()), (1, 0));
    }

    #[test]
    fn a_watcher_of_one_service_hears_nothing_of_others() {
        let mut bench = Bench::new();
        let mut watcher = watcher(Some("calc"), None);
        bench.events(&mut watcher);
        bench.register("a", vec![instance("text", "a")]);
        assert!(bench.events(&mut watcher).is_empty());
        let Some(WatchEventOf::Delta(quiet)) = watcher.idle(&bench.core, bench.now) else {
            panic!()
        };
        assert!(quiet.upserted.is_empty() && quiet.removed.is_empty());
        assert_eq!(quiet.revision, bench.core.revision());
        let idle = watcher.idle(&bench.core, bench.now);
        let digest = quiet.digest;
        assert_eq!(idle, Some(WatchEventOf::Idle(bench.core.revision(), digest)));
        assert_eq!(digest, Some(Digest::default()));
    }

    #[test]
    fn a_resumed_watcher_hears_at_once_what_it_missed() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        let base = bench.core.revision();
        let nothing = one_delta(&bench, &mut watcher(None, Some(base)));
        assert!(nothing.upserted.is_empty() && nothing.revision == base);
        bench.register("a", vec![instance("text", "a")]);
        let missed = one_delta(&bench, &mut watcher(None, Some(base)));
        assert_eq!(missed.upserted, [instance("text", "a")]);
    }

    #[test]
    fn a_revision_that_the_log_does_not_reach_gets_the_set() {
        let mut bench = Bench::new();
        bench.register("a", vec![instance("calc", "a")]);
        let Revision { epoch, number } = bench.core.revision();
        let strange = [
            Revision { epoch: epoch + 1, number },
            Revision { epoch, number: number + 1 },
            Revision { epoch, number: u64::MAX },
        ];
        for resume in strange {
            let events = bench.events(&mut watcher(None, Some(resume)));
            assert!(matches!(events[..], [WatchEvent::Snapshot(_)]), "{events:?}");
        }
    }

    #[test]
    fn removals_are_remembered_up_to_a_bound_and_then_the_set_is_sent() {
        let mut bench = Bench::new();
        bench.register("keeper", vec![instance("calc", "keeper")]);
        let base = bench.core.revision();
        for n in 0..5000 {
            let host = format!("h{n}");
            bench.register(&host, vec![instance("calc", &host)]);
            bench.deregister(&host, &[id("calc", &host)]);
            bench.lose(&host);
        }
        let live = crate::core::MAX_REMOVALS + bench.core.len();
        assert!(bench.core.log.len() <= crate::core::log::most_entries(live));
        let events = bench.events(&mut watcher(None, Some(base)));
        assert!(matches!(&events[..], [WatchEvent::Snapshot(s)] if s.instances.len() == 1));
    }

    #[test]
    fn a_watcher_resumes_across_a_restart_by_what_it_missed() {
        let mut before = Bench::new();
        before.register("a", vec![instance("calc", "a"), instance("text", "a")]);
        before.register("b", vec![instance("calc", "b")]);
        let base = before.core.revision();
        before.deregister("b", &[id("calc", "b")]);
        before.lose("b");
        before.register("c", vec![instance("calc", "c")]);
        let after = Bench::restored(before.stored());
        let missed = one_delta(&after, &mut watcher(None, Some(base)));
        assert_eq!(missed.upserted, [instance("calc", "c")]);
        assert_eq!(missed.removed, [id("calc", "b")]);
        assert_eq!(missed, one_delta(&before, &mut watcher(None, Some(base))));
    }

    #[test]
    fn what_is_forgotten_before_a_restart_is_forgotten_after_it() {
        let mut bench = Bench::new();
        bench.register("keeper", vec![instance("calc", "keeper")]);
        let mut bases = vec![bench.core.revision()];
        for n in 0..4200 {
            let host = format!("h{n}");
            bench.register(&host, vec![instance("calc", &host)]);
            bench.deregister(&host, &[id("calc", &host)]);
            bench.lose(&host);
            bases.push(bench.core.revision());
        }
        let stored = bench.stored();
        assert_eq!(stored.removals.len(), crate::core::MAX_REMOVALS);
        let after = Bench::restored(stored);
        for base in bases.into_iter().step_by(7) {
            let first = |bench: &Bench| watcher(None, Some(base)).next(&bench.core, bench.now);
            assert_eq!(first(&after), first(&bench), "{base:?}");
        }
    }

    #[test]
    fn authority_is_told_once_when_it_comes() {
        let mut bench = Bench::new();
        let mut watcher = watcher(None, None);
        bench.events(&mut watcher);
        bench.pass(TTL);
        let delta = one_delta(&bench, &mut watcher);
        assert!(delta.authoritative && delta.upserted.is_empty());
        bench.pass(TTL);
        assert!(bench.events(&mut watcher).is_empty());
    }

    #[test]
    fn changes_during_a_set_in_parts_follow_it() {
        let mut bench = Bench::new();
        for host in 0..40 {
            let host = format!("h{host:02}");
            bench.register(&host, vec![fat(&host)]);
        }
        let mut watcher = watcher(None, None);
        let Some(WatchEventOf::Snapshot(first)) = watcher.next(&bench.core, bench.now) else {
            panic!()
        };
        assert!(!first.last);
        bench.deregister("h00", &[id("calc", "h00")]);
        bench.lose("h00");
        bench.register("a", vec![instance("calc", "a")]);
        let events = bench.events(&mut watcher);
        let [sets @ .., WatchEvent::Delta(delta)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(sets.iter().map(upserts).sum::<usize>() + first.instances.len(), 40);
        assert!(sets.iter().all(|set| revision_of(set) == first.revision));
        assert_eq!(delta.upserted, [instance("calc", "a")]);
        assert_eq!(delta.removed, [id("calc", "h00")]);
    }

    #[test]
    fn large_sets_and_large_changes_come_in_parts_that_fit() {
        let mut bench = Bench::new();
        let mut early = watcher(None, None);
        bench.events(&mut early);
        let base = bench.core.revision();
        for host in 0..40 {
            let host = format!("h{host:02}");
            bench.register(&host, vec![fat(&host)]);
        }
        for mut watcher in [early, watcher(None, None), watcher(Some("calc"), Some(base))] {
            let events = bench.events(&mut watcher);
            assert!(events.len() > 3, "{}", events.len());
            assert!(events.iter().all(|event| jackfield_wire::to_cbor(event).len() < 300 << 10));
            let count: usize = events.iter().map(upserts).sum();
            assert_eq!(count, 40);
            assert_eq!(events.last().map(revision_of), Some(bench.core.revision()));
        }
    }

    fn fat(host: &str) -> Instance {
        let wit = "x".repeat(10 << 10);
        let method = jackfield_wire::registry::MethodSummary { name: "m".into(), wit };
        Instance { methods: vec![method; 3], ..instance("calc", host) }
    }

    fn upserts(event: &WatchEvent) -> usize {
        match event {
            WatchEvent::Snapshot(set) => set.instances.len(),
            WatchEvent::Delta(delta) => delta.upserted.len(),
            WatchEvent::Idle(..) => 0,
        }
    }
}
