//! Which of several equally good endpoints takes a call.
//!
//! A picker has no clock, socket or random source: chance comes in as a number. One picker serves
//! one service, so that calls of another service cannot upset its turn.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::snapshot::Endpoint;

/// Chooses among endpoints.
pub trait Picker: Send + Sync + fmt::Debug {
    /// The index of the endpoint that takes the call. `choices` is never empty; an index beyond
    /// its end counts from the start again.
    fn pick(&self, choices: &[&Endpoint], draw: &Draw<'_>) -> usize;
}

/// What a picker may decide by, beside the endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// A uniformly drawn number.
    pub entropy: u64,
    /// What calls that belong together share.
    pub key: Option<&'a str>,
}

/// The pickers that come with the client, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Balance {
    /// `round-robin`, the default: one endpoint after the other.
    #[default]
    RoundRobin,
    /// `random`: any endpoint, independently of the last.
    Random,
}

impl Balance {
    /// Every name that [`FromStr`] takes.
    pub const NAMES: [&'static str; 2] = ["round-robin", "random"];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Random => "random",
        }
    }

    /// A new picker of this kind; `entropy` decides where a turn starts, so that many clients do
    /// not all begin with the same host.
    pub fn picker(self, entropy: u64) -> Arc<dyn Picker> {
        match self {
            Self::RoundRobin => Arc::new(RoundRobin::starting_at(entropy)),
            Self::Random => Arc::new(Random),
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no picker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no balancing {0:?}; there are {names}", names = Balance::NAMES.join(", "))]
pub struct UnknownBalance(pub String);

impl FromStr for Balance {
    type Err = UnknownBalance;

    fn from_str(name: &str) -> Result<Self, UnknownBalance> {
        [Self::RoundRobin, Self::Random]
            .into_iter()
            .find(|balance| balance.name() == name)
            .ok_or_else(|| UnknownBalance(name.into()))
    }
}

/// One endpoint after the other.
#[derive(Debug)]
pub struct RoundRobin {
    next: AtomicUsize,
}

impl RoundRobin {
    /// Begins its turn anywhere, as `entropy` says.
    pub fn starting_at(entropy: u64) -> Self {
        // Kept small so that the turn does not wrap, and jump, within any process's life.
        Self { next: AtomicUsize::new(usize::from(entropy as u16)) }
    }
}

impl Picker for RoundRobin {
    fn pick(&self, choices: &[&Endpoint], _: &Draw<'_>) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % choices.len().max(1)
    }
}

/// Any endpoint, independently of the last.
#[derive(Debug)]
pub struct Random;

impl Picker for Random {
    fn pick(&self, choices: &[&Endpoint], draw: &Draw<'_>) -> usize {
        let len = u64::try_from(choices.len().max(1)).unwrap_or(u64::MAX);
        usize::try_from(draw.entropy % len).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::endpoint;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_robin_gives_everyone_the_same_share(start: u64, hosts in 1usize..9, turns in 1usize..9) {
            let endpoints: Vec<_> = (0..hosts).map(|n| endpoint("calc", n)).collect();
            let choices: Vec<_> = endpoints.iter().collect();
            let picker = Balance::RoundRobin.picker(start);
            let mut taken = vec![0; hosts];
            for _ in 0..hosts * turns {
                taken[picker.pick(&choices, &Draw { entropy: 0, key: None })] += 1;
            }
            prop_assert_eq!(taken, vec![turns; hosts]);
        }

        #[test]
        fn random_stays_within_its_choices(entropy: u64, hosts in 1usize..9) {
            let endpoints: Vec<_> = (0..hosts).map(|n| endpoint("calc", n)).collect();
            let choices: Vec<_> = endpoints.iter().collect();
            let picked = Random.pick(&choices, &Draw { entropy, key: None });
            prop_assert!(picked < hosts);
        }
    }

    #[test]
    fn random_reaches_everyone() {
        let endpoints: Vec<_> = (0..5).map(|n| endpoint("calc", n)).collect();
        let choices: Vec<_> = endpoints.iter().collect();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut taken = [0; 5];
        for _ in 0..1000 {
            taken[Random.pick(&choices, &Draw { entropy: rng.u64(..), key: None })] += 1;
        }
        assert!(taken.iter().all(|&n| n > 100), "{taken:?}");
    }

    #[test]
    fn names_read_back_and_others_are_refused_with_what_there_is() {
        for name in Balance::NAMES {
            assert_eq!(name.parse::<Balance>().unwrap().to_string(), name);
        }
        let error = "robin".parse::<Balance>().unwrap_err().to_string();
        assert!(error.contains("round-robin, random"), "{error}");
    }
}
