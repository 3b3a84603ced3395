//! The endpoints that a picker chooses from, with what is computed once for all of its picks.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::weighted::Wheel;
use crate::snapshot::Endpoint;

/// Endpoints that are equally good: a slice of them. Made when something has changed, not for
/// each call.
#[derive(Debug)]
pub struct Choices {
    endpoints: Vec<Endpoint>,
    wheel: OnceLock<Wheel>,
    in_flight: Arc<AtomicU32>,
}

impl Choices {
    pub(crate) fn new(endpoints: Vec<Endpoint>, in_flight: Arc<AtomicU32>) -> Self {
        Self { endpoints, wheel: OnceLock::new(), in_flight }
    }

    /// Calls of this client that are on the service, on whichever endpoint.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn wheel(&self) -> &Wheel {
        let weights = || self.endpoints.iter().map(|endpoint| endpoint.instance.weight);
        self.wheel.get_or_init(|| Wheel::new(weights()))
    }
}

impl Deref for Choices {
    type Target = [Endpoint];

    fn deref(&self) -> &[Endpoint] {
        &self.endpoints
    }
}
