//! What a network does to a datagram. Pure: the seed and the datagram's number decide.

use std::time::Duration;

/// How bad one direction is. The default is a perfect network.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// The share of datagrams that are lost, from 0 to 1. 1 is a partition.
    pub loss: f64,
    /// The share that arrives twice, from 0 to 1.
    pub duplicate: f64,
    /// The share that is held back for [`OVERTAKEN`], so that later ones overtake it, from 0 to 1.
    pub reorder: f64,
    /// How long every datagram is on its way. Timers are good to a millisecond.
    pub delay: Duration,
    /// How much longer at most, drawn uniformly for each datagram.
    pub jitter: Duration,
}

impl Weather {
    /// Nothing arrives.
    pub const PARTITION: Self = Self {
        loss: 1.0,
        duplicate: 0.0,
        reorder: 0.0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
    };

    /// Everything arrives, but this share of it.
    pub fn losing(share: f64) -> Self {
        Self { loss: share, ..Self::default() }
    }
}

/// How long a datagram that is overtaken waits beyond the others: a burst of a call or two.
pub const OVERTAKEN: Duration = Duration::from_millis(5);

/// What happens to one datagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Lost,
    Arrives {
        after: Duration,
        /// A second copy, after this time.
        again: Option<Duration>,
        overtaken: bool,
    },
}

impl Fate {
    /// Of the datagram `number` of a direction. Every datagram draws as many numbers whatever the
    /// weather is, so that a change of it leaves the later fates as they were.
    pub(crate) fn of(seed: u64, number: u64, weather: &Weather) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ number.wrapping_mul(SPREAD));
        let [lost, twice, late, jitter, other] = std::array::from_fn(|_| rng.f64());
        if lost < weather.loss {
            return Self::Lost;
        }
        let overtaken = late < weather.reorder;
        let held = if overtaken { OVERTAKEN } else { Duration::ZERO };
        let after = weather.delay + weather.jitter.mul_f64(jitter);
        let again =
            (twice < weather.duplicate).then(|| weather.delay + weather.jitter.mul_f64(other));
        Self::Arrives { after: after + held, again, overtaken }
    }
}

/// An odd number with many bits: consecutive numbers give seeds that have nothing in common.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BAD: Weather = Weather {
        loss: 0.05,
        duplicate: 0.1,
        reorder: 0.2,
        delay: Duration::from_millis(3),
        jitter: Duration::from_millis(2),
    };

    fn fates(seed: u64, weather: &Weather) -> Vec<Fate> {
        (0..10_000).map(|number| Fate::of(seed, number, weather)).collect()
    }

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_fates_and_another_one_others(seed: u64) {
            prop_assert_eq!(fates(seed, &BAD), fates(seed, &BAD));
            prop_assert_ne!(fates(seed, &BAD), fates(seed ^ 1, &BAD));
        }

        #[test]
        fn shares_are_what_was_asked_for_and_delays_within_bounds(seed: u64) {
            let fates = fates(seed, &BAD);
            let share = |is: &dyn Fn(&Fate) -> bool| {
                fates.iter().filter(|fate| is(fate)).count() as f64 / fates.len() as f64
            };
            let lost = share(&|fate| *fate == Fate::Lost);
            let twice = share(&|fate| matches!(fate, Fate::Arrives { again: Some(_), .. }));
            let late = share(&|fate| matches!(fate, Fate::Arrives { overtaken: true, .. }));
            prop_assert!((0.035..0.065).contains(&lost), "{lost}");
            prop_assert!((0.08..0.115).contains(&twice), "{twice}");
            prop_assert!((0.17..0.21).contains(&late), "{late}");
            for fate in fates {
                let Fate::Arrives { after, overtaken, .. } = fate else { continue };
                let held = if overtaken { OVERTAKEN } else { Duration::ZERO };
                prop_assert!((BAD.delay..=BAD.delay + BAD.jitter).contains(&(after - held)));
            }
        }

        #[test]
        fn a_partition_loses_all_and_a_perfect_network_nothing(seed: u64, number: u64) {
            prop_assert_eq!(Fate::of(seed, number, &Weather::PARTITION), Fate::Lost);
            let fine = Fate::Arrives { after: Duration::ZERO, again: None, overtaken: false };
            prop_assert_eq!(Fate::of(seed, number, &Weather::default()), fine);
        }
    }
}
