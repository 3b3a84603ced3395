//! The pickers that go by the weights of instances: a wheel with a sector for each.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Choices, Draw, Picker};

/// Each endpoint as often as its weight says, spread as evenly as can be: over as many calls as the
/// sum of the weights each gets exactly its weight. One with weight 0 gets none, unless all have it.
#[derive(Debug)]
pub struct WeightedRoundRobin {
    next: AtomicU64,
}

impl WeightedRoundRobin {
    /// Begins its turn anywhere, as `entropy` says.
    pub fn starting_at(entropy: u64) -> Self {
        Self { next: AtomicU64::new(entropy >> 32) }
    }
}

impl Picker for WeightedRoundRobin {
    fn pick(&self, choices: &Choices, _: &Draw<'_>) -> usize {
        let wheel = choices.wheel();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        wheel.at((u128::from(turn) * u128::from(wheel.stride) % u128::from(wheel.total)) as u64)
    }
}

/// Any endpoint, as likely as its weight says.
#[derive(Debug)]
pub struct WeightedRandom;

impl Picker for WeightedRandom {
    fn pick(&self, choices: &Choices, draw: &Draw<'_>) -> usize {
        let wheel = choices.wheel();
        wheel.at(((u128::from(draw.entropy) * u128::from(wheel.total)) >> 64) as u64)
    }
}

/// The weights laid end to end.
#[derive(Debug)]
pub(super) struct Wheel {
    /// Where each sector ends.
    ends: Vec<u64>,
    /// Never 0.
    total: u64,
    /// A step around the wheel that visits every point once before it comes back: it has no divisor
    /// in common with the total. Near the golden section of the total, so that the points of any
    /// short run lie far apart.
    stride: u64,
}

impl Wheel {
    pub(super) fn new(weights: impl Iterator<Item = u32> + Clone) -> Self {
        let all_idle = weights.clone().all(|weight| weight == 0);
        let mut total = 0;
        let ends = weights
            .map(|weight| {
                total += if all_idle { 1 } else { u64::from(weight) };
                total
            })
            .collect();
        let total = total.max(1);
        Self { ends, total, stride: stride(total) }
    }

    /// The sector that `point`, which is below the total, lies in.
    fn at(&self, point: u64) -> usize {
        self.ends.partition_point(|&end| end <= point)
    }
}

fn stride(total: u64) -> u64 {
    let golden = (total as f64 * GOLDEN) as u64;
    (golden..golden.saturating_add(total)).find(|&step| gcd(step, total) == 1).unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// (√5 − 1) / 2, the number that fractions approach worst: its multiples never bunch.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
