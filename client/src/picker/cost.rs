//! The pickers that know what a call costs where: the cheaper of two, or of all when there are few.
//!
//! Two at random are nearly as good as a look at all of them, cost the same however many there are,
//! and do not send every client to the same one: Mitzenmacher, "The Power of Two Choices in
//! Randomized Load Balancing", 2001. With two of four endpoints slow, two at random are both slow in
//! every sixth pick, so up to [`FEW`] are all looked at.

use super::{Choices, Draw, Picker, below, mix};
use crate::snapshot::Endpoint;

/// The endpoint with the fewest calls on it for its weight: this client's, and those of others as
/// the hosts tell in their answers.
#[derive(Debug)]
pub struct LeastLoaded;

impl Picker for LeastLoaded {
    fn pick(&self, choices: &Choices, draw: &Draw<'_>) -> usize {
        cheapest(choices, draw, |endpoint| {
            per_capacity(endpoint.stats.load(draw.now) + 1.0, endpoint, draw)
        })
    }
}

/// The endpoint where a call takes the shortest time, by the moving average of its latency, which
/// rises fast and comes down slowly, times the calls on it.
#[derive(Debug)]
pub struct PeakEwma;

impl Picker for PeakEwma {
    fn pick(&self, choices: &Choices, draw: &Draw<'_>) -> usize {
        cheapest(choices, draw, |endpoint| {
            per_capacity(endpoint.stats.cost(draw.now), endpoint, draw)
        })
    }
}

/// A cost for its weight, as far as it has come back. One with weight 0 costs more than any other,
/// also when nothing is known of it.
fn per_capacity(cost: f64, endpoint: &Endpoint, draw: &Draw<'_>) -> f64 {
    match endpoint.instance.weight {
        0 => f64::INFINITY,
        weight => cost / (f64::from(weight) * draw.share(endpoint)),
    }
}

fn cheapest(choices: &Choices, draw: &Draw<'_>, cost: impl Fn(&Endpoint) -> f64) -> usize {
    let len = choices.len();
    let first = below(draw.entropy, len);
    let mut best = (first, cost(&choices[first]));
    let mut challenge = |at: usize| {
        let cost = cost(&choices[at]);
        if cost < best.1 {
            best = (at, cost);
        }
    };
    if len <= FEW {
        // From a random start, so that equal ones take turns.
        (1..len).for_each(|step| challenge((first + step) % len));
    } else {
        challenge((first + 1 + below(mix(draw.entropy), len - 1)) % len);
    }
    best.0
}

/// As many as are all looked at.
const FEW: usize = 4;
