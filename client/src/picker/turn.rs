//! The pickers that know nothing: each in turn, and any.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Choices, Draw, Picker, below};

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
    fn pick(&self, choices: &Choices, _: &Draw<'_>) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % choices.len().max(1)
    }
}

/// Any endpoint, independently of the last.
#[derive(Debug)]
pub struct Random;

impl Picker for Random {
    fn pick(&self, choices: &Choices, draw: &Draw<'_>) -> usize {
        below(draw.entropy, choices.len())
    }
}
