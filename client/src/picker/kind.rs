//! Pickers by name, and the choice of one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use super::{
    ConsistentHash, LeastLoaded, PeakEwma, Picker, Random, RoundRobin, WeightedRandom,
    WeightedRoundRobin,
};

/// The pickers that come with the client, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PickerKind {
    /// `round-robin`, the default: one endpoint after the other.
    #[default]
    RoundRobin,
    /// `random`: any endpoint, independently of the last.
    Random,
    /// `weighted-round-robin`: in turn, each as often as its weight says.
    WeightedRoundRobin,
    /// `weighted-random`: any, as likely as its weight says.
    WeightedRandom,
    /// `least-loaded`: where the fewest calls are, of two at random or of up to four.
    LeastLoaded,
    /// `peak-ewma`: where a call takes the shortest time, of two at random or of up to four.
    PeakEwma,
    /// `consistent-hash`: calls with one key to one endpoint.
    ConsistentHash,
}

impl PickerKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::RoundRobin,
        Self::Random,
        Self::WeightedRoundRobin,
        Self::WeightedRandom,
        Self::LeastLoaded,
        Self::PeakEwma,
        Self::ConsistentHash,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Random => "random",
            Self::WeightedRoundRobin => "weighted-round-robin",
            Self::WeightedRandom => "weighted-random",
            Self::LeastLoaded => "least-loaded",
            Self::PeakEwma => "peak-ewma",
            Self::ConsistentHash => "consistent-hash",
        }
    }

    /// A new picker of this kind; `entropy` decides where a turn starts, so that many clients do
    /// not all begin with the same host.
    pub fn picker(self, entropy: u64) -> Arc<dyn Picker> {
        match self {
            Self::RoundRobin => Arc::new(RoundRobin::starting_at(entropy)),
            Self::Random => Arc::new(Random),
            Self::WeightedRoundRobin => Arc::new(WeightedRoundRobin::starting_at(entropy)),
            Self::WeightedRandom => Arc::new(WeightedRandom),
            Self::LeastLoaded => Arc::new(LeastLoaded),
            Self::PeakEwma => Arc::new(PeakEwma),
            Self::ConsistentHash => Arc::new(ConsistentHash),
        }
    }
}

impl fmt::Display for PickerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no picker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no picker {0:?}; there are {names}", names = PickerKind::ALL.map(PickerKind::name).join(", "))]
pub struct UnknownPicker(pub String);

impl FromStr for PickerKind {
    type Err = UnknownPicker;

    fn from_str(name: &str) -> Result<Self, UnknownPicker> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownPicker(name.into()))
    }
}

/// A picker that was chosen: one of the client's kinds, of which each service gets its own, or one
/// of the caller's, which serves whatever it was chosen for.
#[derive(Clone, Debug)]
pub enum PickerChoice {
    /// One that comes with the client.
    Kind(PickerKind),
    /// One of the caller's.
    Custom(Arc<dyn Picker>),
}

impl From<PickerKind> for PickerChoice {
    fn from(kind: PickerKind) -> Self {
        Self::Kind(kind)
    }
}

impl<P: Picker + 'static> From<Arc<P>> for PickerChoice {
    fn from(picker: Arc<P>) -> Self {
        Self::Custom(picker)
    }
}

impl From<Arc<dyn Picker>> for PickerChoice {
    fn from(picker: Arc<dyn Picker>) -> Self {
        Self::Custom(picker)
    }
}
