//! Which of several equally good endpoints takes a call.
//!
//! A picker has no clock, socket or random source: chance and time come in with the [`Draw`]. One
//! picker serves one service, so that calls of another service cannot upset its turn.
//!
//! A picker of one's own is one function:
//!
//! ```
//! use jackfield_client::{Choices, Draw, Picker};
//!
//! /// The endpoint with the fewest calls of this client.
//! #[derive(Debug)]
//! struct Quietest;
//!
//! impl Picker for Quietest {
//!     fn pick(&self, choices: &Choices, _: &Draw<'_>) -> usize {
//!         (0..choices.len()).min_by_key(|&at| choices[at].in_flight()).unwrap_or(0)
//!     }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! let client = jackfield_client::Client::builder().picker(Arc::new(Quietest)).build().await?;
//! # Ok(())
//! # }
//! ```

mod choices;
mod cost;
mod hash;
mod kind;
mod turn;
mod weighted;

use std::fmt;
use std::time::Duration;

pub use choices::Choices;
pub use cost::{LeastLoaded, PeakEwma};
pub use hash::ConsistentHash;
pub(crate) use hash::hash;
pub use kind::{PickerChoice, PickerKind, UnknownPicker};
pub use turn::{Random, RoundRobin};
pub use weighted::{WeightedRandom, WeightedRoundRobin};

/// Chooses among endpoints.
pub trait Picker: Send + Sync + fmt::Debug {
    /// The index of the endpoint that takes the call. `choices` is never empty; an index beyond
    /// its end counts from the start again.
    fn pick(&self, choices: &Choices, draw: &Draw<'_>) -> usize;
}

/// What a picker may decide by, beside the endpoints.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Draw<'a> {
    /// A uniformly drawn number.
    pub entropy: u64,
    /// What calls that belong together share.
    pub key: Option<&'a str>,
    /// The time since the client began.
    pub now: Duration,
    /// How long an endpoint that came back takes a growing share.
    pub(crate) slow_start: Duration,
}

impl<'a> Draw<'a> {
    pub(crate) fn new(entropy: u64, key: Option<&'a str>, now: Duration) -> Self {
        Self { entropy, key, now, slow_start: Duration::ZERO }
    }

    /// The share of its calls that `endpoint` shall take now: below 1 for a while after it came
    /// back from an ejection.
    pub fn share(&self, endpoint: &crate::snapshot::Endpoint) -> f64 {
        endpoint.stats.ramp(self.now, self.slow_start)
    }
}

/// A number below `len`, uniformly from a uniformly drawn one, without a division.
fn below(entropy: u64, len: usize) -> usize {
    ((u128::from(entropy) * len as u128) >> 64) as usize
}

/// Another uniformly distributed number, from one that is used up. The mixer of splitmix64:
/// <https://doi.org/10.1145/2714064.2660195>.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
