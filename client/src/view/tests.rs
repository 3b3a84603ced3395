//! The view against a model of a registry.

use std::collections::BTreeMap;

use jackfield_wire::registry::{Digest, Health, Kind, ServiceSettings};
use proptest::prelude::*;

use super::*;
use crate::fixture::instance;

fn revision(epoch: u64, number: u64) -> Revision {
    Revision { epoch, number }
}

fn whole(at: Revision, hosts: &[usize], authoritative: bool) -> WatchEvent {
    let instances = hosts.iter().map(|&n| instance("calc", n)).collect();
    WatchEvent::Snapshot(Part {
        revision: at,
        instances,
        last: true,
        authoritative,
        ..Part::default()
    })
}

fn delta(at: Revision, up: &[usize], removed: &[usize], authoritative: bool) -> WatchEvent {
    let upserted = up.iter().map(|&n| instance("calc", n)).collect();
    let removed = removed.iter().map(|&n| instance("calc", n).id).collect();
    WatchEvent::Delta(Delta { revision: at, upserted, removed, authoritative, ..Delta::default() })
}

fn hosts(view: &View) -> Vec<String> {
    view.snapshot().instances().map(|i| i.host.clone()).collect()
}

fn view_of(events: impl IntoIterator<Item = WatchEvent>) -> View {
    let mut view = View::new(100);
    for event in events {
        view.apply(event).expect("the events of these tests are right");
    }
    view
}

#[test]
fn a_set_in_parts_shows_only_when_it_is_whole() {
    let mut view = View::new(100);
    let WatchEvent::Snapshot(part) = whole(revision(1, 1), &[0], true) else { unreachable!() };
    let first = WatchEvent::Snapshot(Part { last: false, ..part });
    assert_eq!(view.apply(first), Ok(Change::Nothing));
    assert!(view.snapshot().is_empty());
    assert_eq!(view.apply(whole(revision(1, 1), &[1], true)), Ok(Change::Changed));
    assert_eq!(hosts(&view), ["host-0", "host-1"]);
}

#[test]
fn parts_of_a_broken_watch_are_forgotten() {
    let mut view = View::new(100);
    let WatchEvent::Snapshot(part) = whole(revision(1, 1), &[0], true) else { unreachable!() };
    view.apply(WatchEvent::Snapshot(Part { last: false, ..part })).unwrap();
    view.begin();
    view.apply(whole(revision(1, 2), &[1], true)).unwrap();
    assert_eq!(hosts(&view), ["host-1"]);
}

#[test]
fn an_empty_set_is_believed_only_when_it_is_authoritative() {
    let mut view = view_of([whole(revision(1, 9), &[0, 1], true)]);
    view.apply(whole(revision(2, 0), &[], false)).unwrap();
    assert_eq!(hosts(&view), ["host-0", "host-1"]);
    assert_eq!(view.snapshot().origin(), Origin::Gathering);
    view.apply(delta(revision(2, 1), &[1], &[], false)).unwrap();
    view.apply(delta(revision(2, 1), &[], &[], true)).unwrap();
    assert_eq!(hosts(&view), ["host-1"]);
    view.apply(whole(revision(3, 0), &[], true)).unwrap();
    assert!(view.snapshot().is_empty());
}

#[test]
fn a_named_removal_is_believed_at_once() {
    let view =
        view_of([whole(revision(1, 1), &[0, 1], false), delta(revision(1, 2), &[], &[0], false)]);
    assert_eq!(hosts(&view), ["host-1"]);
}

#[test]
fn an_event_that_does_not_follow_is_refused() {
    let mut view = View::new(100);
    assert_eq!(view.apply(delta(revision(1, 1), &[0], &[], true)), Err(ViewError::NoBase));
    view.apply(whole(revision(1, 5), &[0], true)).unwrap();
    for event in [revision(1, 4), revision(2, 6)] {
        let gap = ViewError::Gap { base: revision(1, 5), event };
        assert_eq!(view.apply(delta(event, &[], &[0], true)), Err(gap));
    }
    assert!(view.apply(WatchEvent::Idle(revision(1, 6), None)).is_err());
    assert_eq!(view.apply(WatchEvent::Idle(revision(1, 5), None)), Ok(Change::Nothing));
    view.distrust();
    assert_eq!((view.resume(), hosts(&view).len()), (None, 1));
}

#[test]
fn more_instances_than_allowed_are_refused_and_old_ones_give_way() {
    let mut view = View::new(2);
    view.apply(whole(revision(1, 1), &[0, 1], true)).unwrap();
    assert!(view.apply(delta(revision(1, 2), &[2], &[], true)).is_err());
    assert!(view.apply(whole(revision(1, 2), &[0, 1, 2], true)).is_err());
    view.apply(whole(revision(2, 1), &[5, 6], false)).unwrap();
    assert_eq!(hosts(&view), ["host-5", "host-6"]);
}

#[test]
fn an_instance_without_an_address_is_left_out() {
    let mut event = instance("calc", 0);
    event.address = "example.com:80".into();
    let instances = vec![event, instance("calc", 1)];
    let part = Part {
        revision: revision(1, 1),
        instances,
        last: true,
        authoritative: true,
        ..Part::default()
    };
    assert_eq!(hosts(&view_of([WatchEvent::Snapshot(part)])), ["host-1"]);
}

#[test]
fn an_outside_endpoint_is_held_by_its_name_too_and_has_no_address_to_dial() {
    let outside = |n, address: &str| Instance {
        kind: Kind::Endpoint,
        address: address.into(),
        ..instance("model", n)
    };
    let addresses = ["gpu-1.example:8080", "127.0.0.1:8080", "no port", "a b:1"];
    let named = addresses.iter().enumerate().map(|(n, address)| outside(n, address));
    let view = view_of([whole_of(named.collect())]);
    assert_eq!(hosts(&view), ["host-0", "host-1"]);
    let snapshot = view.snapshot();
    assert!(snapshot.endpoints("model").iter().all(|endpoint| endpoint.address.is_none()));
    assert_eq!(snapshot.endpoints("model")[0].instance.address, "gpu-1.example:8080");
}

#[test]
fn the_set_from_disk_yields_to_a_registry_that_knows_everyone() {
    let mut view = View::new(100);
    let kept = |n, timeout_ms| Kept {
        instances: vec![instance("calc", n)],
        settings: vec![ServiceEntry {
            namespace: jackfield_wire::Namespace::default(),
            service: instance("calc", n).service,
            settings: ServiceSettings { timeout_ms, ..ServiceSettings::default() },
        }],
    };
    assert_eq!(view.restore(kept(0, Some(7))), Change::Changed);
    assert_eq!(view.snapshot().settings("calc").unwrap().timeout_ms, Some(7));
    assert_eq!(view.snapshot().origin(), Origin::Disk);
    view.apply(whole(revision(1, 1), &[1], false)).unwrap();
    assert_eq!(hosts(&view), ["host-0", "host-1"]);
    view.apply(whole(revision(1, 1), &[1], true)).unwrap();
    assert_eq!(hosts(&view), ["host-1"]);
    assert_eq!(view.snapshot().settings("calc"), None);
    assert_eq!(view.restore(kept(7, Some(7))), Change::Nothing);
}

#[test]
fn a_list_removes_only_when_it_continues_what_is_authoritative() {
    let list = |at, n| Listing {
        revision: at,
        instances: vec![instance("calc", n)],
        ..Listing::default()
    };
    let mut view = view_of([whole(revision(1, 5), &[0, 1], true)]);
    assert_eq!(view.refresh(list(revision(1, 4), 3)), Ok(Change::Nothing));
    view.refresh(list(revision(2, 9), 3)).unwrap();
    assert_eq!(hosts(&view), ["host-0", "host-1", "host-3"]);
    assert_eq!(view.refresh(list(revision(1, 6), 1)), Ok(Change::Changed));
    assert_eq!(hosts(&view), ["host-1"]);
    assert_eq!(view.resume(), Some(revision(1, 5)));
}

/// What may happen to a registry and to the watch on it.
#[derive(Clone, Debug)]
enum Step {
    Upsert(usize, bool),
    Remove(usize),
    /// The watch breaks and resumes.
    Resume,
    /// The watch breaks and brings a whole set, in parts.
    Whole(usize),
    /// The registry restarts knowing nobody; those who are still there register again.
    Restart,
    Idle,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..12, any::<bool>()).prop_map(|(n, healthy)| Step::Upsert(n, healthy)),
        3 => (0usize..12).prop_map(Step::Remove),
        1 => Just(Step::Resume),
        1 => (1usize..5).prop_map(Step::Whole),
        1 => Just(Step::Restart),
        1 => Just(Step::Idle),
    ]
}

/// A registry that knows the truth, and the view that watches it.
struct Model {
    truth: BTreeMap<InstanceId, Instance>,
    at: Revision,
    view: View,
}

impl Model {
    fn step(&mut self, step: Step) {
        match step {
            Step::Upsert(n, healthy) => {
                let mut it = instance("calc", n);
                it.health = if healthy { Health::Healthy } else { Health::Suspect };
                self.truth.insert(it.id.clone(), it.clone());
                self.changed(vec![it], vec![]);
            }
            Step::Remove(n) => {
                let id = instance("calc", n).id;
                if self.truth.remove(&id).is_some() {
                    self.changed(vec![], vec![id]);
                }
            }
            Step::Resume => {
                self.view.begin();
                assert_eq!(self.view.resume(), Some(self.at));
            }
            Step::Whole(size) => self.send_whole(size),
            Step::Restart => self.restart(),
            Step::Idle => self.apply(WatchEvent::Idle(self.at, None)),
        }
    }

    fn apply(&mut self, event: WatchEvent) {
        self.view.apply(event).expect("a registry's events follow each other");
    }

    fn changed(&mut self, upserted: Vec<Instance>, removed: Vec<InstanceId>) {
        self.at.number += 1;
        let revision = self.at;
        self.apply(WatchEvent::Delta(Delta {
            revision,
            upserted,
            removed,
            authoritative: true,
            ..Delta::default()
        }));
    }

    fn send_whole(&mut self, size: usize) {
        self.view.begin();
        let all: Vec<_> = self.truth.values().cloned().collect();
        let mut parts: Vec<_> = all.chunks(size).map(<[_]>::to_vec).collect();
        let last = parts.pop().unwrap_or_default();
        let part = |instances, last| {
            WatchEvent::Snapshot(Part {
                revision: self.at,
                instances,
                last,
                authoritative: true,
                ..Part::default()
            })
        };
        let mut events: Vec<_> = parts.into_iter().map(|p| part(p, false)).collect();
        events.push(part(last, true));
        events.into_iter().for_each(|event| self.apply(event));
    }

    fn restart(&mut self) {
        let before = self.view.snapshot().instances().count();
        self.at = revision(self.at.epoch + 1, 0);
        self.apply(whole(self.at, &[], false));
        assert_eq!(self.view.snapshot().instances().count(), before);
        for it in self.truth.values().cloned().collect::<Vec<_>>() {
            self.at.number += 1;
            let (revision, upserted) = (self.at, vec![it]);
            let delta = Delta { revision, upserted, ..Delta::default() };
            self.apply(WatchEvent::Delta(delta));
        }
        self.apply(delta(self.at, &[], &[], true));
    }
}

proptest! {
    #[test]
    fn the_view_shows_what_an_authoritative_registry_holds(
        steps in proptest::collection::vec(any_step(), 0..40),
    ) {
        let mut model =
            Model { truth: BTreeMap::new(), at: revision(1, 0), view: View::new(100) };
        model.send_whole(1);
        for step in steps {
            model.step(step);
            let shown: Vec<_> = model.view.snapshot().instances().map(|i| (**i).clone()).collect();
            let truth: Vec<_> = model.truth.values().cloned().collect();
            prop_assert_eq!(shown, truth);
        }
    }

    #[test]
    fn a_registry_that_is_not_authoritative_removes_nobody(
        first in proptest::collection::vec(0usize..20, 0..20),
        sets in proptest::collection::vec(proptest::collection::vec(0usize..20, 0..20), 1..5),
    ) {
        let mut view = view_of([whole(revision(0, 0), &first, true)]);
        for (epoch, set) in (1..).zip(sets) {
            let before: Vec<_> = hosts(&view);
            view.apply(whole(revision(epoch, 0), &set, false)).unwrap();
            let after = hosts(&view);
            prop_assert!(before.iter().all(|host| after.contains(host)));
        }
    }
}

fn whole_of(instances: Vec<Instance>) -> WatchEvent {
    let revision = revision(1, 1);
    WatchEvent::Snapshot(Part {
        revision,
        instances,
        last: true,
        authoritative: true,
        ..Part::default()
    })
}

#[test]
fn an_instance_whose_texts_would_upset_a_terminal_is_left_out() {
    let bad: [fn(&mut Instance); 5] = [
        |i| i.host = "a\u{1b}[2J".into(),
        |i| i.host = "a\nb".into(),
        |i| i.version = Some("\u{9b}1m".into()),
        |i| i.methods[0].wit = "\u{202e}".into(),
        |i| _ = i.metadata.insert("k".into(), "\r".into()),
    ];
    for change in bad {
        let mut one = instance("calc", 1);
        change(&mut one);
        assert_eq!(hosts(&view_of([whole_of(vec![instance("calc", 0), one])])), ["host-0"]);
    }
}

#[test]
fn a_set_that_would_fill_the_memory_is_refused_however_it_comes() {
    let small = size_of(&[instance("calc", 0)]);
    let mut view = View::new(100);
    view.max_size = 3 * small;
    let mut large = instance("calc", 9);
    large.metadata.insert("k".into(), "x".repeat(4 * small));
    let WatchEvent::Snapshot(part) = whole(revision(1, 1), &[0, 1], true) else { unreachable!() };
    let part = WatchEvent::Snapshot(Part { last: false, ..part });
    let too_large = Err(ViewError::TooLarge(3 * small));
    assert_eq!(view.apply(part.clone()), Ok(Change::Nothing));
    assert_eq!(view.apply(part), too_large);
    view.distrust();
    assert_eq!(view.apply(whole_of(vec![large.clone()])), too_large);
    view.apply(whole(revision(1, 1), &[0, 1], true)).unwrap();
    assert_eq!(view.apply(delta(revision(1, 2), &[2, 3], &[], true)), too_large);
    let listing =
        Listing { revision: revision(1, 2), instances: vec![large], ..Listing::default() };
    assert_eq!(view.refresh(listing), too_large);
}

#[test]
fn what_is_let_go_no_longer_counts() {
    let mut view = view_of([whole(revision(1, 1), &[0, 1, 2], true)]);
    view.apply(delta(revision(1, 2), &[0], &[1], true)).unwrap();
    let mut longer = instance("calc", 0);
    longer.host.push_str("-with-more");
    let upserted = vec![longer.clone()];
    let change =
        Delta { revision: revision(1, 3), upserted, authoritative: true, ..Delta::default() };
    view.apply(WatchEvent::Delta(change)).unwrap();
    assert_eq!(view.held_size, size_of(&[longer, instance("calc", 2)]));
    view.apply(whole(revision(1, 4), &[], true)).unwrap();
    assert_eq!(view.held_size, 0);
}

fn with_digest(event: WatchEvent, digest: Digest) -> WatchEvent {
    match event {
        WatchEvent::Snapshot(part) => WatchEvent::Snapshot(Part { digest: Some(digest), ..part }),
        WatchEvent::Delta(delta) => WatchEvent::Delta(Delta { digest: Some(digest), ..delta }),
        WatchEvent::Idle(revision, _) => WatchEvent::Idle(revision, Some(digest)),
    }
}

fn digest_of(hosts: &[usize]) -> Digest {
    hosts.iter().map(|&n| instance("calc", n).digest()).fold(Digest::default(), Digest::with)
}

#[test]
fn a_lost_instance_is_noticed_by_the_digest_and_a_fresh_set_heals() {
    let at = |n| revision(1, n);
    let first = with_digest(whole(at(1), &[0, 1], true), digest_of(&[0, 1]));
    let mut view = view_of([first.clone()]);
    let idle = WatchEvent::Idle(at(1), Some(digest_of(&[0, 1])));
    assert_eq!(view.apply(idle.clone()), Ok(Change::Nothing));
    view.told.corrupt();
    assert_eq!(view.apply(idle.clone()), Err(ViewError::Digest));
    view.distrust();
    assert_eq!(view.resume(), None);
    view.apply(first).unwrap();
    assert_eq!(view.apply(idle), Ok(Change::Nothing));
    let next = with_digest(delta(at(2), &[2], &[0], true), digest_of(&[1, 2]));
    assert_eq!(view.apply(next), Ok(Change::Changed));
    let lost = with_digest(delta(at(3), &[], &[], true), digest_of(&[1, 2, 3]));
    assert_eq!(view.apply(lost), Err(ViewError::Digest));
}

#[test]
fn a_registry_that_counts_in_another_way_is_believed() {
    let strange = with_digest(whole(revision(1, 1), &[0], true), digest_of(&[7]));
    let mut view = view_of([strange]);
    let idle = WatchEvent::Idle(revision(1, 1), Some(digest_of(&[8])));
    assert_eq!(view.apply(idle), Ok(Change::Nothing));
}

#[test]
fn settings_of_services_come_and_go_with_the_watch() {
    let service = jackfield_wire::ServiceName::new("calc").unwrap();
    let entry = |timeout_ms| ServiceEntry {
        namespace: jackfield_wire::Namespace::default(),
        service: service.clone(),
        settings: jackfield_wire::registry::ServiceSettings { timeout_ms, ..Default::default() },
    };
    let services = vec![entry(Some(5))];
    let digest = Some(services[0].digest());
    let part = Part { last: true, authoritative: true, services, digest, ..Part::default() };
    let mut view = view_of([WatchEvent::Snapshot(part)]);
    assert_eq!(view.snapshot().settings("calc").unwrap().timeout_ms, Some(5));
    let gone =
        Delta { services: vec![entry(None)], digest: Some(Digest::default()), ..Delta::default() };
    view.apply(WatchEvent::Delta(gone)).unwrap();
    assert_eq!(view.snapshot().settings("calc"), None);
}

#[test]
fn a_registry_cannot_fill_the_memory_with_settings() {
    let entry = |service: String, picker: String| ServiceEntry {
        namespace: jackfield_wire::Namespace::default(),
        service: jackfield_wire::ServiceName::new(service).unwrap(),
        settings: ServiceSettings { picker: Some(picker), ..ServiceSettings::default() },
    };
    let entries = |from: usize, to: usize| {
        (from..to).map(|n| entry(format!("s{n}"), "random".into())).collect::<Vec<_>>()
    };
    let part = |services, last| {
        WatchEvent::Snapshot(Part { last, authoritative: true, services, ..Part::default() })
    };
    let delta = |services| WatchEvent::Delta(Delta { services, ..Delta::default() });
    let mut view = View::new(100);
    view.apply(part(entries(0, 60), false)).unwrap();
    let many = Err(ViewError::TooManySettings(100));
    assert_eq!(view.apply(part(entries(60, 101), true)), many);
    view.begin();
    view.apply(part(entries(0, 100), true)).unwrap();
    assert_eq!(view.apply(delta(entries(99, 101))), many);
    view.apply(delta(entries(50, 100))).unwrap();
    let long = entry("s1".into(), "x".repeat(MAX_PICKER + 1));
    assert!(matches!(view.apply(delta(vec![long])), Err(ViewError::LongPicker(_))));
}
