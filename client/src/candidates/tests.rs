use super::*;
use crate::fixture::{endpoint, in_zone, with};
use jackfield_wire::Load;

fn set(all: &[Endpoint], filter: &Filter, bars: &[Bar]) -> Option<Set> {
    let in_flight = Arc::default();
    let terms = Terms { panic_percent: 30, in_flight: &in_flight };
    Set::new(all.iter(), filter, bar(all, bars), terms)
}

/// The bar of each of `all` in order; those beyond are in.
fn bar(all: &[Endpoint], bars: &[Bar]) -> impl Fn(&Endpoint) -> Bar {
    move |it| {
        let at = all.iter().position(|e| e.instance.id == it.instance.id);
        at.and_then(|at| bars.get(at)).copied().unwrap_or(Bar::In)
    }
}

fn hosts(endpoints: &[Endpoint]) -> Vec<&str> {
    endpoints.iter().map(|endpoint| endpoint.instance.host.as_str()).collect()
}

fn best(set: &Option<Set>) -> Vec<&str> {
    set.as_ref().map_or(vec![], |set| hosts(set.choices()))
}

fn fleet(count: usize) -> Vec<Endpoint> {
    (0..count).map(|n| endpoint("calc", n)).collect()
}

#[test]
fn healthy_ones_come_first_and_suspect_ones_when_nothing_else_is_left() {
    let suspect = with(endpoint("calc", 0), |i| i.health = Health::Suspect);
    let draining = with(endpoint("calc", 1), |i| i.health = Health::Draining);
    let healthy = endpoint("calc", 2);
    let best_of = |all: &[Endpoint]| {
        let set = set(all, &Filter::default(), &[]);
        best(&set).join(",")
    };
    assert_eq!(best_of(&[suspect.clone(), draining.clone(), healthy]), "host-2");
    assert_eq!(best_of(&[draining.clone(), suspect]), "host-0");
    assert_eq!(best_of(&[draining]), "host-1");
}

#[test]
fn a_disabled_one_never_takes_a_call() {
    let disabled = with(endpoint("calc", 0), |i| i.enabled = false);
    assert!(set(&[disabled], &Filter::default(), &[]).is_none());
}

#[test]
fn one_that_cannot_be_reached_comes_after_one_that_is_not_healthy() {
    let mut all = fleet(2);
    all[1] = with(all[1].clone(), |i| i.health = Health::Suspect);
    let bars = [Bar::Unreachable, Bar::In];
    assert_eq!(best(&set(&all, &Filter::default(), &bars)), ["host-1"]);
    let bars = [Bar::Unreachable; 2];
    assert_eq!(best(&set(&all, &Filter::default(), &bars)), ["host-0"]);
}

#[test]
fn an_unchecked_instance_is_available_whatever_its_heartbeat() {
    let mut all = fleet(2);
    all[0] = with(all[0].clone(), |i| {
        i.check_healthy = false;
        i.health = Health::Suspect;
    });
    assert_eq!(best(&set(&all, &Filter::default(), &[])), ["host-0", "host-1"]);
}

#[test]
fn outliers_are_left_out_until_too_few_are_left() {
    let all = fleet(4);
    let out = |count: usize| {
        let bars = vec![Bar::Outlier; count];
        let set = set(&all, &Filter::default(), &bars);
        best(&set).len()
    };
    assert_eq!([0, 1, 2, 3, 4].map(out), [4, 3, 2, 4, 4]);
}

#[test]
fn in_a_panic_outliers_are_used_and_unreachable_ones_are_not() {
    let bars = [Bar::Outlier, Bar::Outlier, Bar::Unreachable, Bar::Unreachable];
    let set = set(&fleet(4), &Filter::default(), &bars);
    assert_eq!(best(&set), ["host-0", "host-1"]);
}

#[test]
fn only_instances_that_are_wanted_are_candidates() {
    let mut all = fleet(3);
    all[1] = with(all[1].clone(), |i| i.version = Some("2.0.0".into()));
    let filter = Filter { version: Some("^2".parse().unwrap()), ..Filter::default() };
    assert_eq!(best(&set(&all, &filter, &[])), ["host-1"]);
}

fn zoned() -> (Vec<Endpoint>, Filter) {
    let zone = |n| if n < 2 { "near" } else { "far" };
    let it = |n| in_zone(endpoint("calc", n), zone(n));
    let filter = Filter { zone: Some("near".into()), ..Filter::default() };
    ((0..4).map(it).collect(), filter)
}

#[test]
fn the_own_zone_is_preferred_and_left_when_most_of_it_is_gone() {
    let (mut all, filter) = zoned();
    assert_eq!(best(&set(&all, &filter, &[])), ["host-0", "host-1"]);
    assert_eq!(best(&set(&all, &filter, &[Bar::Outlier])), ["host-1"]);
    assert_eq!(best(&set(&all, &filter, &[Bar::Outlier; 2])), ["host-2", "host-3"]);
    all.insert(2, with(all[1].clone(), |i| i.id = endpoint("calc", 9).instance.id.clone()));
    let bars = [Bar::Outlier, Bar::Outlier];
    assert_eq!(best(&set(&all, &filter, &bars)).len(), 3, "one of three is too few");
    let elsewhere = Filter { zone: Some("moon".into()), ..filter };
    assert_eq!(best(&set(&all, &elsewhere, &[])).len(), 5);
}

#[test]
fn calls_spill_over_while_the_own_zone_is_crowded() {
    let (all, filter) = zoned();
    let set = set(&all, &filter, &[]).unwrap();
    let now = Duration::from_secs(3);
    for (crowded, used) in [(0, 2), (1, 2), (2, 4)] {
        for endpoint in &all[..crowded] {
            endpoint.stats.reported(Load { in_flight: 9, queued: 4 }, now);
        }
        set.look_at_crowds(now);
        assert_eq!(set.choices().len(), used);
    }
    set.look_at_crowds(now * 2);
    assert_eq!(set.choices().len(), 2);
}

#[test]
fn another_attempt_goes_to_the_best_of_those_not_tried() {
    let mut all = fleet(4);
    all[3] = with(all[3].clone(), |i| i.health = Health::Suspect);
    let refs: Vec<_> = all.iter().collect();
    let next = |tried: &[usize], bars: &[Bar]| {
        let was_tried = |it: &Endpoint| tried.iter().any(|&t| all[t].instance.id == it.instance.id);
        let mut found: Vec<_> = untried(&refs, &Filter::default(), bar(&all, bars), was_tried, 7)
            .iter()
            .map(|endpoint| endpoint.instance.host.clone())
            .collect();
        found.sort_unstable();
        found.join(",")
    };
    assert_eq!(next(&[0], &[]), "host-1,host-2");
    assert_eq!(next(&[0], &[Bar::In, Bar::Outlier]), "host-2");
    assert_eq!(next(&[0, 2], &[Bar::In, Bar::Outlier]), "host-1");
    assert_eq!(next(&[0, 1, 2], &[]), "host-3");
    assert_eq!(next(&[0, 1, 2, 3], &[]), "");
}

#[test]
fn some_of_a_large_set_are_looked_at_from_anywhere_and_none_that_was_tried() {
    let all = fleet(1000);
    let looked = std::cell::Cell::new(0);
    let tried = |it: &Endpoint| {
        looked.set(looked.get() + 1);
        ["host-7", "host-8"].contains(&it.instance.host.as_str())
    };
    let some = some_of(&all, tried, 7);
    assert_eq!((some.len(), hosts(&some)[0]), (MOST_UNTRIED, "host-9"));
    assert!(looked.get() <= MOST_UNTRIED + 2, "{looked:?}");
    assert_eq!(hosts(&some_of(&all, |_| false, 999))[..2], ["host-999", "host-0"]);
    assert!(some_of(&[], |_| false, 7).is_empty() && some_of(&all, |_| true, 7).is_empty());
}
