//! The client's one source of chance, seeded from outside so that a test replays.

use std::sync::{Mutex, PoisonError};

/// Draws uniformly distributed numbers.
#[derive(Debug)]
pub(crate) struct Chance(
    /// Held for one draw, never across an await.
    Mutex<fastrand::Rng>,
);

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    pub(crate) fn draw(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }
}
