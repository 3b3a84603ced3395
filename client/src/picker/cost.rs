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
        cheapest(choices, draw, |endpoint, capacity| {
            (endpoint.stats.load(draw.now) + 1.0) / capacity
        })
    }
}

/// The endpoint where a call takes the shortest time, by the moving average of its latency, which
/// rises fast and comes down slowly, and by the calls on it for its weight.
///
/// Calls count by what is usual on the endpoints that are compared. To multiply the latency by their
/// number, as Finagle does, takes every call for one that waits for all before it: two fast hosts
/// with five calls each then look slower than two idle ones that take five times as long.
#[derive(Debug)]
pub struct PeakEwma;

impl Picker for PeakEwma {
    fn pick(&self, choices: &Choices, draw: &Draw<'_>) -> usize {
        // One figure for all: the busier of two that are equally fast must cost more.
        let room = |at: usize| match choices[at].instance.weight {
            0 => 0.0,
            weight => choices[at].stats.room() / f64::from(weight),
        };
        let room =
            compared(choices.len(), draw.entropy).map(room).fold(f64::MIN_POSITIVE, f64::max);
        cheapest(choices, draw, |endpoint, capacity| endpoint.stats.cost(draw.now, capacity, room))
    }
}

/// The cheapest of those that are compared. `cost` is given an endpoint and its capacity: its
/// weight, as far as it has come back. One with weight 0 costs more than any other, also when
/// nothing is known of it.
fn cheapest(choices: &Choices, draw: &Draw<'_>, cost: impl Fn(&Endpoint, f64) -> f64) -> usize {
    let cost = |at: usize| match choices[at].instance.weight {
        0 => f64::INFINITY,
        weight => cost(&choices[at], f64::from(weight) * draw.share(&choices[at])),
    };
    let mut compared = compared(choices.len(), draw.entropy);
    let first = compared.next().unwrap_or(0);
    let cheaper = |best: (usize, f64), at: usize| match cost(at) {
        cost if cost < best.1 => (at, cost),
        _ => best,
    };
    compared.fold((first, cost(first)), cheaper).0
}

/// Those of `len` that a pick looks at: all of a few, from a random start so that equal ones take
/// turns; else two.
fn compared(len: usize, entropy: u64) -> impl Iterator<Item = usize> {
    let first = below(entropy, len);
    let count = if len <= FEW { len } else { 2 };
    (0..count).map(move |step| match step {
        0 => first,
        step if len <= FEW => (first + step) % len,
        _ => (first + 1 + below(mix(entropy), len - 1)) % len,
    })
}

/// As many as are all looked at.
const FEW: usize = 4;
