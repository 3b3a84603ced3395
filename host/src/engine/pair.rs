//! The two engines of a host: one for components whose functions are all synchronous, one for
//! those with asynchronous ones.

use std::sync::OnceLock;

use wasmtime::Engine;

/// The engines of a host. The second one comes when the first component needs it.
pub(crate) struct Engines {
    plain: Engine,
    concurrent: OnceLock<Engine>,
}

impl Engines {
    pub(crate) fn new(plain: Engine) -> Self {
        Self { plain, concurrent: OnceLock::new() }
    }

    /// For components without asynchronous functions.
    pub(crate) fn plain(&self) -> &Engine {
        &self.plain
    }

    /// Adds the one for all others; it ticks from now on.
    pub(crate) fn add_concurrent(&self, engine: &Engine) {
        self.concurrent.get_or_init(|| engine.clone());
    }

    /// Makes the guests of both yield.
    pub(super) fn tick(&self) {
        self.plain.increment_epoch();
        if let Some(engine) = self.concurrent.get() {
            engine.increment_epoch();
        }
    }
}
