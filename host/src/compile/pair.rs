//! Compiles each component for the engine that it needs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;

use super::{Compile, Compiled, Compiler};
use crate::engine::{Concurrency, EngineError, Engines};
use crate::limits::HostLimits;
use crate::manifest::Instances;
use crate::plugin::Rejection;

/// Compiles for one host.
pub(crate) struct Compilers {
    engines: Arc<Engines>,
    plain: Compile,
    /// Made when the first component needs it, with a cache of its own.
    concurrent: OnceLock<Compile>,
    compiler: Compiler,
    state: PathBuf,
    limits: Arc<HostLimits>,
    /// One at a time, for whichever engine.
    turn: Arc<Semaphore>,
}

impl Compilers {
    /// Makes the engine that serves most plugins, and what compiles for it, with a cache in `state`.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub(crate) fn new(
        compiler: Compiler,
        state: &Path,
        limits: Arc<HostLimits>,
    ) -> Result<Self, EngineError> {
        let turn = Arc::new(Semaphore::new(1));
        let (asked, once) = (Arc::clone(&limits), Arc::clone(&turn));
        let plain = Compile::new(compiler.clone(), state, asked, Concurrency::Off, once)?;
        let engines = Arc::new(Engines::new(plain.engine().clone()));
        let (concurrent, state) = (OnceLock::new(), state.join("concurrent"));
        Ok(Self { engines, plain, concurrent, compiler, state, limits, turn })
    }

    /// The engines that serve calls.
    pub(crate) fn engines(&self) -> &Arc<Engines> {
        &self.engines
    }

    #[cfg(test)]
    pub(super) fn is_without_cache(&self) -> bool {
        self.plain.cache.is_none()
    }

    /// Compiles `bytes`, or takes what a cache has of them, for the engine that they need to be
    /// served by such `instances`.
    ///
    /// # Cancel safety
    /// As [`Compile::component`].
    ///
    /// # Errors
    /// Why these bytes cannot serve.
    pub(crate) async fn component(
        &self,
        bytes: &Arc<[u8]>,
        instances: Instances,
    ) -> Result<Compiled, Rejection> {
        if instances != Instances::Concurrent {
            match self.plain.component(bytes).await {
                Err(Rejection::Async(_)) => {}
                compiled => return compiled,
            }
        }
        self.concurrent()?.component(bytes).await
    }

    fn concurrent(&self) -> Result<&Compile, Rejection> {
        if let Some(compile) = self.concurrent.get() {
            return Ok(compile);
        }
        let (compiler, limits) = (self.compiler.clone(), Arc::clone(&self.limits));
        let turn = Arc::clone(&self.turn);
        let made = Compile::new(compiler, &self.state, limits, Concurrency::On, turn)
            .map_err(|error| Rejection::Internal(error.to_string()))?;
        let compile = self.concurrent.get_or_init(|| made);
        self.engines.add_concurrent(compile.engine());
        Ok(compile)
    }
}
