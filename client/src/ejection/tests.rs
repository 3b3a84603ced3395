use super::*;
use crate::fixture::instance;
use proptest::prelude::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(now: Duration) -> Moment {
    Moment { now, entropy: 0 }
}

fn ids(count: usize) -> Vec<InstanceId> {
    (0..count).map(|n| instance("calc", n).id).collect()
}

fn ejection() -> Ejection {
    Ejection::new(EjectionPolicy::default())
}

fn line() -> Line {
    Line { address: ([127, 0, 0, 1], 1).into(), host: None }
}

fn eject(ejection: &mut Ejection, id: &InstanceId, of: &[InstanceId], at: Moment) -> bool {
    let peers = Peers { count: of.len(), include: |id: &InstanceId| of.contains(id) };
    ejection.eject(id, Some(line()), peers, at)
}

fn out(ejection: &Ejection, ids: &[InstanceId]) -> usize {
    ids.iter().filter(|id| ejection.bar(id, None) != Bar::In).count()
}

/// Its time passes and its connection is tried; gives when that was.
fn until_ready(ejection: &mut Ejection, id: &InstanceId) -> Duration {
    let due = ejection.wakes().expect("somebody is out");
    let probe = Probe { instance: Some(id.clone()), line: line() };
    assert_eq!(ejection.due(due), std::slice::from_ref(&probe));
    ejection.probed(&probe, true, at(due));
    due
}

#[test]
fn one_that_is_out_comes_back_by_a_probe_and_then_one_call() {
    let (mut ejection, ids) = (ejection(), ids(4));
    assert!(eject(&mut ejection, &ids[1], &ids, at(ms(0))));
    assert_eq!(ejection.bar(&ids[1], None), Bar::Outlier);
    assert_eq!(ejection.try_one(|_| true), None);
    assert!(ejection.due(ms(499)).is_empty());
    let now = until_ready(&mut ejection, &ids[1]);
    assert_eq!(now, ms(500));
    assert_eq!(ejection.try_one(|_| true), Some(ids[1].clone()));
    assert_eq!(ejection.try_one(|_| true), None, "one call at a time");
    assert_eq!(ejection.bar(&ids[1], None), Bar::Outlier);
    ejection.tried(&ids[1], Some(true), at(now));
    assert_eq!(ejection.bar(&ids[1], None), Bar::In);
}

#[test]
fn a_call_that_is_given_up_leaves_the_place_to_the_next() {
    let (mut ejection, ids) = (ejection(), ids(2));
    eject(&mut ejection, &ids[0], &ids, at(ms(0)));
    let now = until_ready(&mut ejection, &ids[0]);
    assert!(ejection.try_one(|_| true).is_some());
    ejection.tried(&ids[0], None, at(now));
    assert_eq!(ejection.try_one(|_| true), Some(ids[0].clone()));
}

#[test]
fn each_time_in_a_row_is_twice_as_long_up_to_the_longest() {
    let (mut ejection, ids) = (ejection(), ids(2));
    let mut now = ms(0);
    assert!(eject(&mut ejection, &ids[0], &ids, at(now)));
    let mut spans = Vec::new();
    for _ in 0..7 {
        let back = until_ready(&mut ejection, &ids[0]);
        spans.push((back - now).as_millis());
        now = back;
        ejection.try_one(|_| true);
        ejection.tried(&ids[0], Some(false), at(now));
    }
    assert_eq!(spans, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
}

#[test]
fn one_that_was_well_for_long_begins_with_the_first_time_again() {
    let (mut ejection, ids) = (ejection(), ids(2));
    let mut now = ms(0);
    for (well_for, span) in [(ms(100), 500), (ms(100), 1000), (ms(60_000), 2000), (ms(1), 500)] {
        assert!(eject(&mut ejection, &ids[0], &ids, at(now)));
        let back = until_ready(&mut ejection, &ids[0]);
        assert_eq!((back - now).as_millis(), span);
        ejection.try_one(|_| true);
        ejection.tried(&ids[0], Some(true), at(back));
        now = back + well_for;
    }
}

#[test]
fn an_address_is_out_for_everyone_there_and_back_with_its_connection() {
    let (mut ejection, ids) = (ejection(), ids(2));
    let (address, probe) = (line().address, Probe { instance: None, line: line() });
    assert!(ejection.unreachable(line(), at(ms(0))));
    assert!(!ejection.unreachable(line(), at(ms(1))), "once is enough");
    for id in &ids {
        assert_eq!(ejection.bar(id, Some(address)), Bar::Unreachable);
    }
    assert_eq!(ejection.due(ms(500)), std::slice::from_ref(&probe));
    assert!(ejection.due(ms(9999)).is_empty(), "one probe at a time");
    assert!(!ejection.probed(&probe, false, at(ms(600))));
    assert_eq!(ejection.wakes(), Some(ms(1600)));
    ejection.due(ms(1600));
    assert!(ejection.probed(&probe, true, at(ms(1700))));
    assert_eq!(ejection.bar(&ids[0], Some(address)), Bar::In);
}

#[test]
fn an_address_that_somebody_reached_is_back_at_once() {
    let mut ejection = ejection();
    ejection.unreachable(line(), at(ms(0)));
    assert!(ejection.reached(line().address, ms(10)));
    assert!(!ejection.reached(line().address, ms(20)));
    assert!(!ejection.is_unreachable(line().address));
}

#[test]
fn what_has_no_connection_is_tried_by_a_call_alone() {
    let (mut ejection, ids) = (ejection(), ids(2));
    let peers = Peers { count: 2, include: |_: &InstanceId| true };
    assert!(ejection.eject(&ids[0], None, peers, at(ms(0))));
    assert_eq!(ejection.try_one(|_| true), None);
    assert!(ejection.due(ms(500)).is_empty());
    assert_eq!(ejection.try_one(|id| *id == ids[1]), None, "not one that the call may go to");
    assert_eq!(ejection.try_one(|_| true), Some(ids[0].clone()));
}

#[test]
fn jitter_spreads_the_ends_of_an_ejection() {
    let (mut ejection, ids) = (ejection(), ids(2));
    eject(&mut ejection, &ids[0], &ids, Moment { now: ms(0), entropy: u64::MAX / 3 });
    let wakes = ejection.wakes().unwrap();
    assert!(wakes >= ms(500) && wakes <= ms(625), "{wakes:?}");
}

#[test]
fn a_single_instance_is_never_an_outlier_and_one_of_two_may_be() {
    let (mut ejection, ids) = (ejection(), ids(2));
    assert!(!eject(&mut ejection, &ids[0], &ids[..1], at(ms(0))));
    assert!(eject(&mut ejection, &ids[0], &ids, at(ms(0))));
    assert!(!eject(&mut ejection, &ids[1], &ids, at(ms(0))));
}

#[test]
fn those_that_are_gone_are_forgotten() {
    let (mut ejection, ids) = (ejection(), ids(2));
    eject(&mut ejection, &ids[0], &ids, at(ms(0)));
    ejection.keep_only(|id| *id == ids[1], |_| false);
    assert_eq!((out(&ejection, &ids), ejection.wakes()), (0, None));
}

#[test]
fn one_that_is_far_slower_than_its_peers_is_found() {
    let policy = EjectionPolicy::default();
    let seen = |slow| [(50, ms(10)), (50, ms(12)), (50, slow), (3, ms(9000))];
    assert_eq!(slow_ones(&seen(ms(300)), &policy), [2]);
    assert!(slow_ones(&seen(ms(90)), &policy).is_empty(), "below the floor");
    assert!(slow_ones(&seen(ms(300))[1..], &policy).is_empty(), "too few to compare");
    let off = EjectionPolicy { latency_factor: 0.0, ..policy };
    assert!(slow_ones(&seen(ms(300)), &off).is_empty());
}

#[test]
fn when_everyone_is_slow_nobody_is() {
    let seen = [(50, ms(900)), (50, ms(950)), (50, ms(1000))];
    assert!(slow_ones(&seen, &EjectionPolicy::default()).is_empty());
}

proptest! {
    #[test]
    fn never_more_than_the_share_are_outliers_and_everyone_comes_back(
        count in 1usize..12, percent in 0u32..=100,
        steps in proptest::collection::vec((0usize..12, 0u64..3000, any::<bool>()), 0..80),
    ) {
        let policy = EjectionPolicy { max_ejected_percent: percent, ..EjectionPolicy::default() };
        let (mut ejection, ids) = (Ejection::new(policy), ids(count));
        let mut now = ms(0);
        for (index, gap, is_well) in steps {
            now += ms(gap);
            let moment = Moment { now, entropy: gap };
            eject(&mut ejection, &ids[index % count], &ids, moment);
            let most = (count * percent as usize / 100).max(1).min(count - 1);
            prop_assert!(out(&ejection, &ids) <= most);
            for probe in ejection.due(now) {
                ejection.probed(&probe, is_well, moment);
            }
            if let Some(id) = ejection.try_one(|_| true) {
                ejection.tried(&id, Some(is_well), moment);
            }
        }
        for _ in 0..3 * count {
            now += policy.max_time * 2;
            for probe in ejection.due(now) {
                ejection.probed(&probe, true, at(now));
            }
            while let Some(id) = ejection.try_one(|_| true) {
                ejection.tried(&id, Some(true), at(now));
            }
        }
        prop_assert_eq!(out(&ejection, &ids), 0);
        prop_assert_eq!(ejection.wakes(), None);
    }
}

#[test]
fn policies_without_bounds_mean_never_and_for_ever() {
    let default = EjectionPolicy::default();
    let seen = [(100, ms(1)), (100, ms(1)), (100, ms(100_000))];
    assert_eq!(slow_ones(&seen, &default), [2]);
    for latency_factor in [f64::INFINITY, f64::NAN, f64::MAX] {
        let policy = EjectionPolicy { latency_factor, ..default };
        assert_eq!(slow_ones(&seen, &policy), [0; 0], "{latency_factor}");
    }
    let policy = EjectionPolicy { latency_floor: Duration::MAX, ..default };
    assert_eq!(slow_ones(&seen, &policy), [0; 0]);
    let policy = EjectionPolicy { first_time: Duration::MAX, max_time: Duration::MAX, ..default };
    let (mut ejection, ids) = (Ejection::new(policy), ids(2));
    assert!(eject(&mut ejection, &ids[0], &ids, at(ms(1))));
    assert_eq!(ejection.wakes(), Some(Duration::MAX));
}

#[test]
fn only_who_leaves_or_comes_back_changes_who_is_out() {
    let (mut ejection, ids) = (ejection(), ids(2));
    eject(&mut ejection, &ids[0], &ids, at(ms(0)));
    let version = ejection.version();
    let now = until_ready(&mut ejection, &ids[0]);
    assert!(ejection.is_anyone_ready() && ejection.wakes().is_none());
    ejection.try_one(|_| false);
    ejection.try_one(|_| true);
    assert!(!ejection.is_anyone_ready());
    ejection.tried(&ids[0], None, at(now));
    assert_eq!(ejection.version(), version);
    ejection.try_one(|_| true);
    ejection.tried(&ids[0], Some(true), at(now));
    assert_ne!(ejection.version(), version);
}
