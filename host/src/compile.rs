//! Bytes → compiled component, within bounds.
//!
//! Compiling is the one thing that a stranger's bytes make a host do at length. It happens in a
//! child process that limits its own time and memory before it reads them, one at a time, at low
//! priority. The child has a cache directory of its own; what it leaves there moves into this
//! user's private cache, from which the host's engine takes it. So nothing is deserialised that the
//! engine did not write into that cache, and a child that was stopped half-way leaves nothing.
//!
//! Where the cache is of no use (a full disk), the host compiles once more itself: on one thread of
//! its own, and only what a child has compiled within the bounds.

mod child;
mod cpu;
mod pair;
mod parent;
mod store;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jackfield_wire::Generation;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use wasmtime::component::Component;
use wasmtime::{Cache, Engine};

pub use child::compile_child;
pub(crate) use pair::Compilers;
pub(crate) use store::InUse;

use crate::engine::{self, CodeSettings, Concurrency, EngineError};
use crate::limits::HostLimits;
use crate::plugin::{self, Rejection};
use store::CodeStore;

/// Who compiles a host's plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compiler {
    /// A child process for each file that is not in the cache, bounded in time and memory. Costs
    /// the start of a process, some milliseconds.
    Child {
        /// The program; it must do nothing but [`compile_child`] when it is given `arguments`.
        program: PathBuf,
        /// What to give it.
        arguments: Vec<OsString>,
    },
    /// This process, on one thread of its own. Bounded by the size of the file alone: a file made
    /// for it takes minutes and gigabytes, and cannot be stopped. For hosts that trust the authors
    /// of their plugins.
    InProcess,
}

/// Compiles for one engine.
struct Compile {
    engine: Engine,
    code: CodeSettings,
    compiler: Compiler,
    cache: Option<Cache>,
    store: Option<Arc<CodeStore>>,
    limits: Arc<HostLimits>,
    /// One at a time, whatever becomes of those who asked.
    turn: Arc<Semaphore>,
}

/// A component, and its place in the cache for as long as it is used.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    pub(crate) in_use: Option<InUse>,
}

/// The cache in `state`. Without one, when there is no place for it: plugins then take their time
/// at every start, and serve all the same.
fn cache(compiler: &Compiler, state: &Path) -> Option<Cache> {
    let cache = match compiler {
        Compiler::Child { .. } => store::kept(state),
        Compiler::InProcess => store::self_cleaning(state),
    };
    cache
        .inspect_err(|error| {
            tracing::warn!(
                directory = %state.display(),
                "compiled plugins are not cached: {error}; make the directory writable for this \
                 user alone to have them start faster"
            );
        })
        .ok()
}

impl Compile {
    /// Makes the engine that serves calls, and what compiles for it, with a cache in `state`.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn new(
        compiler: Compiler,
        state: &Path,
        limits: Arc<HostLimits>,
        concurrency: Concurrency,
        turn: Arc<Semaphore>,
    ) -> Result<Self, EngineError> {
        let cache = cache(&compiler, state);
        let (engine, code) = engine::serving(&limits, cache.clone(), concurrency)?;
        let children = matches!(compiler, Compiler::Child { .. });
        let store =
            cache.as_ref().filter(|_| children).map(|_| Arc::new(CodeStore::new(state, &engine)));
        Ok(Self { engine, code, compiler, cache, store, limits, turn })
    }

    /// The engine that serves calls.
    fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles `bytes`, or takes what the cache has of them.
    ///
    /// # Cancel safety
    /// Dropping it ends a child process at once. A thread of this process goes on to its end, and
    /// the next compilation waits for it.
    ///
    /// # Errors
    /// Why these bytes cannot serve.
    async fn component(&self, bytes: &Arc<[u8]>) -> Result<Compiled, Rejection> {
        let content = plugin::generation(bytes);
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.expect("nobody closes it");
        let in_use = match self.known(content).await {
            Some(in_use) => Some(in_use),
            None => self.by_child(content, bytes).await?,
        };
        let low = in_use.is_none();
        let missed = self.misses();
        let (engine, bytes) = (self.engine.clone(), Arc::clone(bytes));
        let component = on_thread(turn, move || {
            if low {
                cpu::lower_priority_of_thread();
            }
            Component::from_binary(&engine, &bytes)
        })
        .await?
        .map_err(|error| Rejection::of_compile_error(&format!("{error:#}")))?;
        if in_use.is_some() && self.misses() > missed {
            tracing::warn!("a compiled plugin was not in the cache where it was left");
        }
        Ok(Compiled { component, in_use })
    }

    /// What the cache has of it.
    async fn known(&self, content: Generation) -> Option<InUse> {
        let store = self.store.clone()?;
        tokio::task::spawn_blocking(move || store.find(content)).await.ok().flatten()
    }

    /// Has a child compile it into the cache. `None` when that found no place there, or when this
    /// process is to compile.
    async fn by_child(
        &self,
        content: Generation,
        bytes: &[u8],
    ) -> Result<Option<InUse>, Rejection> {
        let Compiler::Child { program, arguments } = &self.compiler else { return Ok(None) };
        let place = self.store.as_ref().and_then(|store| store.place());
        let task = child::Task {
            code: self.code,
            cache: place.as_ref().map(|place| place.path().to_owned()),
            length: bytes.len(),
            cpu_seconds: self.limits.compile_time.as_secs().max(1),
            memory: self.limits.compile_memory,
            code_bytes: self.limits.compiled_code,
        };
        let stored = parent::compile(program, arguments, &task, bytes).await?;
        let (Some(store), Some(place)) = (self.store.clone(), place.filter(|_| stored)) else {
            say_uncached();
            return Ok(None);
        };
        let adopted = tokio::task::spawn_blocking(move || store.adopt(content, &place)).await;
        let in_use = adopted.map_err(std::io::Error::other).and_then(|adopted| adopted);
        Ok(in_use.inspect_err(|error| tracing::warn!("cannot cache compiled code: {error}")).ok())
    }

    fn misses(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::cache_misses)
    }
}

fn say_uncached() {
    tracing::warn!(
        "compiled code could not be written to the cache in the state folder (is the disk full?); \
         the plugin is compiled once more, in the host"
    );
}

/// Runs `work` on a thread of its own, with `turn` until it ends.
///
/// Not one of the runtime's, whose end would wait for half a minute of compilation.
async fn on_thread<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Rejection> {
    let (send, done) = oneshot::channel();
    let run = move || {
        // Whoever asked may have gone meanwhile.
        let _ = send.send(work());
        drop(turn);
    };
    std::thread::Builder::new()
        .name("jackfield-load".into())
        .spawn(run)
        .map_err(|error| Rejection::CompilerUnavailable(format!("no thread: {error}")))?;
    done.await.map_err(|_| Rejection::Internal("the loader ended without a word".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_cannot_be_made_is_no_reason_not_to_serve() {
        let file = tempfile::NamedTempFile::new().expect("a file where a directory should be");
        let limits = Arc::new(HostLimits { concurrency: 1, ..HostLimits::default() });
        let child = Compiler::Child { program: "unused".into(), arguments: Vec::new() };
        for compiler in [child, Compiler::InProcess] {
            let compile = Compilers::new(compiler, file.path(), Arc::clone(&limits));
            assert!(compile.expect("an engine").is_without_cache());
        }
    }
}
