use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::*;
use crate::fixture::{endpoint, with};
use crate::snapshot::Endpoint;
use proptest::prelude::*;

fn choices(endpoints: Vec<Endpoint>) -> Choices {
    Choices::new(endpoints, Arc::default())
}

fn hosts(count: usize) -> Choices {
    choices((0..count).map(|n| endpoint("calc", n)).collect())
}

fn weighted(weights: &[u32]) -> Choices {
    let host = |(n, &weight)| with(endpoint("calc", n), |i| i.weight = weight);
    choices(weights.iter().enumerate().map(host).collect())
}

fn draw(entropy: u64) -> Draw<'static> {
    Draw::new(entropy, None, Duration::ZERO)
}

fn taken(picker: &dyn Picker, choices: &Choices, turns: u64) -> Vec<usize> {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut taken = vec![0; choices.len()];
    for _ in 0..turns {
        taken[picker.pick(choices, &draw(rng.u64(..)))] += 1;
    }
    taken
}

proptest! {
    #[test]
    fn round_robin_gives_everyone_the_same_share(start: u64, count in 1usize..9, turns in 1usize..9) {
        let picker = PickerKind::RoundRobin.picker(start);
        let taken = taken(&*picker, &hosts(count), (count * turns) as u64);
        prop_assert_eq!(taken, vec![turns; count]);
    }

    #[test]
    fn weighted_round_robin_gives_everyone_exactly_its_weight(
        start: u64, weights in proptest::collection::vec(0u32..50, 1..12),
    ) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let total: u32 = weights.iter().sum();
        let picker = PickerKind::WeightedRoundRobin.picker(start);
        let taken = taken(&*picker, &weighted(&weights), total.into());
        prop_assert_eq!(taken, weights.iter().map(|&w| w as usize).collect::<Vec<_>>());
    }

    #[test]
    fn weighted_round_robin_spreads_an_endpoints_turns(light in 1u32..20, heavy in 1u32..20) {
        let picker = PickerKind::WeightedRoundRobin.picker(0);
        let choices = weighted(&[light, heavy]);
        let total = light + heavy;
        // In every run of calls an endpoint is within two of its share of that run.
        let mut first = 0.0;
        for call in 1..=total {
            first += f64::from(u8::from(picker.pick(&choices, &draw(0)) == 0));
            let fair = f64::from(call) * f64::from(light) / f64::from(total);
            prop_assert!((first - fair).abs() <= 2.5, "{first} of {call}, fair were {fair}");
        }
    }

    #[test]
    fn every_picker_stays_within_its_choices(
        entropy: u64, weights in proptest::collection::vec(any::<u32>(), 1..12), key: Option<String>,
    ) {
        let choices = weighted(&weights);
        for kind in PickerKind::ALL {
            let picker = kind.picker(entropy);
            let draw = Draw { key: key.as_deref(), ..draw(entropy) };
            prop_assert!(picker.pick(&choices, &draw) < choices.len(), "{kind}");
        }
    }

    #[test]
    fn a_host_that_goes_moves_only_its_own_keys(count in 2usize..20, gone in 0usize..20) {
        let gone = gone % count;
        let all = hosts(count);
        let rest = choices((0..count).filter(|n| *n != gone).map(|n| endpoint("calc", n)).collect());
        let mut moved = 0;
        for key in 0..400 {
            let key = format!("key-{key}");
            let draw = Draw { key: Some(&key), ..draw(0) };
            let before = &all[ConsistentHash.pick(&all, &draw)].instance.id;
            let after = &rest[ConsistentHash.pick(&rest, &draw)].instance.id;
            let was_there = before == &all[gone].instance.id;
            prop_assert!(was_there || before == after, "{key} moved from {before} to {after}");
            moved += usize::from(was_there);
        }
        // Its share of 400, and five standard deviations.
        let (n, share) = (400.0, 1.0 / count as f64);
        let most = n * share + 5.0 * (n * share * (1.0 - share)).sqrt();
        prop_assert!(moved as f64 <= most, "{moved} of 400 keys with {count} hosts");
    }

    #[test]
    fn no_host_has_more_than_its_bound_of_the_calls_with_one_key(
        count in 2usize..12, calls in 1usize..200,
    ) {
        let total = Arc::<AtomicU32>::default();
        let endpoints = (0..count).map(|n| endpoint("calc", n)).collect();
        let choices = Choices::new(endpoints, total.clone());
        let mut guards = Vec::new();
        for _ in 0..calls {
            let draw = Draw { key: Some("hot"), ..draw(0) };
            let at = ConsistentHash.pick(&choices, &draw);
            guards.push(choices[at].stats.occupy(&total));
        }
        if count <= 8 {
            let most = (1.25 * calls as f64 / count as f64).ceil() as u32;
            let loads: Vec<_> = choices.iter().map(Endpoint::in_flight).collect();
            prop_assert!(loads.iter().all(|&load| load <= most), "{loads:?}, most {most}");
        }
    }
}

#[test]
fn random_pickers_reach_everyone_by_their_weight() {
    assert!(taken(&Random, &hosts(5), 1000).iter().all(|&n| n > 100));
    let taken = taken(&WeightedRandom, &weighted(&[0, 1, 3]), 4000);
    assert!(taken[0] == 0 && (800..1200).contains(&taken[1]), "{taken:?}");
}

#[test]
fn weights_of_zero_everywhere_are_equal_ones() {
    for picker in [PickerKind::WeightedRoundRobin, PickerKind::WeightedRandom] {
        let taken = taken(&*picker.picker(1), &weighted(&[0, 0, 0]), 300);
        assert!(taken.iter().all(|&n| n > 50), "{picker}: {taken:?}");
    }
}

#[test]
fn keys_spread_over_all_hosts() {
    let choices = hosts(10);
    let mut shares = BTreeMap::<usize, usize>::new();
    for key in 0..10_000 {
        let key = key.to_string();
        let draw = Draw { key: Some(&key), ..draw(0) };
        *shares.entry(ConsistentHash.pick(&choices, &draw)).or_default() += 1;
    }
    assert!(shares.len() == 10 && shares.values().all(|n| (850..1150).contains(n)), "{shares:?}");
}

#[test]
fn the_hash_of_a_key_never_changes() {
    // Another value would move every key of every client that is upgraded.
    assert_eq!(hash::hash("user-42"), 16_324_320_986_541_187_651);
}

#[test]
fn least_loaded_takes_the_idle_one_of_four_and_counts_the_weight() {
    let choices = hosts(4);
    let total = Arc::default();
    let _calls: Vec<_> = [0, 1, 3].map(|at| choices[at].stats.occupy(&total)).into();
    assert_eq!(taken(&LeastLoaded, &choices, 50), [0, 0, 50, 0]);
    let choices = weighted(&[1, 4]);
    let _calls: Vec<_> = [0, 1, 1].map(|at| choices[at].stats.occupy(&total)).into();
    assert_eq!(taken(&LeastLoaded, &choices, 50), [0, 50]);
}

#[test]
fn least_loaded_goes_by_what_hosts_say_of_their_load() {
    let choices = hosts(2);
    let load = jackfield_wire::Load { in_flight: 7, queued: 3 };
    choices[0].stats.reported(load, Duration::ZERO);
    assert_eq!(taken(&LeastLoaded, &choices, 50), [0, 50]);
}

#[test]
fn peak_ewma_leaves_two_slow_ones_of_four_alone() {
    let choices = hosts(4);
    for (at, ms) in [5, 1, 5, 1].into_iter().enumerate() {
        choices[at].stats.succeeded(Duration::from_millis(ms), Duration::ZERO);
    }
    let taken = taken(&PeakEwma, &choices, 100);
    assert!(taken[0] == 0 && taken[2] == 0 && taken[1] > 20 && taken[3] > 20, "{taken:?}");
}

#[test]
fn peak_ewma_goes_by_what_hosts_say_of_their_load() {
    let choices = hosts(2);
    for endpoint in choices.iter() {
        endpoint.stats.succeeded(Duration::from_millis(1), Duration::ZERO);
    }
    let load = jackfield_wire::Load { in_flight: 7, queued: 3 };
    choices[1].stats.reported(load, Duration::ZERO);
    assert_eq!(taken(&PeakEwma, &choices, 50), [50, 0]);
}

#[test]
fn peak_ewma_gives_the_heavier_of_equally_fast_hosts_the_more_calls() {
    let (choices, total) = (weighted(&[100, 300]), Arc::default());
    for endpoint in choices.iter() {
        endpoint.stats.succeeded(Duration::from_millis(1), Duration::ZERO);
    }
    let mut rng = fastrand::Rng::with_seed(7);
    let on: Vec<_> = (0..40)
        .map(|_| choices[PeakEwma.pick(&choices, &draw(rng.u64(..)))].stats.occupy(&total))
        .collect();
    assert_eq!((choices[0].in_flight(), choices[1].in_flight(), on.len()), (10, 30, 40));
}

#[test]
fn peak_ewma_leaves_a_host_that_does_not_answer_any_more() {
    let (choices, total) = (hosts(2), Arc::default());
    for (endpoint, ms) in choices.iter().zip([1, 5]) {
        endpoint.stats.succeeded(Duration::from_millis(ms), Duration::ZERO);
    }
    let mut rng = fastrand::Rng::with_seed(7);
    let on: Vec<_> = (0..40)
        .map(|_| choices[PeakEwma.pick(&choices, &draw(rng.u64(..)))].stats.occupy(&total))
        .collect();
    assert!(choices[1].in_flight() > 4, "of {}: {}", on.len(), choices[1].in_flight());
}

#[test]
fn of_many_the_cheaper_of_two_is_taken() {
    let choices = hosts(100);
    for at in 0..100 {
        let latency = Duration::from_millis(if at < 10 { 50 } else { 1 });
        choices[at].stats.succeeded(latency, Duration::ZERO);
    }
    let slow: usize = taken(&PeakEwma, &choices, 10_000)[..10].iter().sum();
    // Both of two are slow in 10 × 9 of 100 × 99 picks.
    assert!(slow < 200, "{slow}");
}

#[test]
fn names_read_back_and_others_are_refused_with_what_there_is() {
    for kind in PickerKind::ALL {
        assert_eq!(kind.to_string().parse::<PickerKind>().unwrap(), kind);
    }
    let error = "robin".parse::<PickerKind>().unwrap_err().to_string();
    assert!(error.contains("round-robin, random"), "{error}");
}

#[test]
fn pickers_by_cost_send_nothing_to_weight_zero_even_where_nothing_is_known() {
    for picker in [PickerKind::LeastLoaded, PickerKind::PeakEwma] {
        assert_eq!(taken(&*picker.picker(0), &weighted(&[0, 5]), 100), [0, 100], "{picker}");
    }
}
