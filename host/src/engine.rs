//! The wasmtime engine of a host: which wasm it takes, how instances are allocated, how guests
//! are interrupted, where compiled code is kept.
//!
//! It must never read compiled code from the plugin folder, and never let a guest that spins hold
//! a thread of the runtime: guests yield at every tick of the epoch.

mod ticker;

use std::path::Path;

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy,
    PoolingAllocationConfig,
};

pub(crate) use ticker::Ticker;

use crate::limits::HostLimits;

/// An engine that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The directory of the compile cache could not be made or made private.
    #[error("cannot prepare the compile cache in {directory}")]
    Cache {
        /// The directory.
        directory: String,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// Wasmtime refused the settings, or the address space for the instance pool is not there.
    #[error(
        "cannot set up the wasm engine; it reserves {reserved_gib} GiB of address space for \
         {concurrency} concurrent calls: lower the concurrency, or raise `ulimit -v`"
    )]
    Engine {
        /// The address space asked for at the least attempt.
        reserved_gib: u64,
        /// The calls that it was for.
        concurrency: u32,
        /// What wasmtime said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Makes the engine that serves calls.
///
/// # Errors
/// See [`EngineError`].
pub(crate) fn serving(limits: &HostLimits, state: &Path) -> Result<Engine, EngineError> {
    let cache = cache(state)?;
    let small = u64::try_from(limits.memory).unwrap_or(FULL_RESERVATION);
    let mut last = None;
    for reservation in [FULL_RESERVATION, small.next_multiple_of(WASM_PAGE)] {
        let mut config = features();
        config.cache(Some(cache.clone()));
        config.memory_reservation(reservation);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        stacks(&mut config, limits);
        match Engine::new(&config) {
            Ok(engine) => return Ok(engine),
            Err(error) => last = Some((reservation, error)),
        }
    }
    let (reservation, error) = last.expect("the loop tried at least once");
    Err(EngineError::Engine {
        reserved_gib: (reservation * u64::from(limits.concurrency) * MEMORIES_PER_CALL) >> 30,
        concurrency: limits.concurrency,
        source: error.into(),
    })
}

/// Makes an engine that only looks at a component: the same features, no pool, no cache.
///
/// # Errors
/// When wasmtime refuses the settings.
pub(crate) fn checking(limits: &HostLimits) -> Result<Engine, EngineError> {
    let mut config = features();
    stacks(&mut config, limits);
    Engine::new(&config).map_err(|error| EngineError::Engine {
        reserved_gib: 0,
        concurrency: limits.concurrency,
        source: error.into(),
    })
}

/// What wasm a host takes: what toolchains of today make, and nothing that they do not.
///
/// Each feature turned off is one less way into the engine; all the advisories of the last year
/// that let a guest out were in features of this list.
fn features() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.concurrency_support(false);
    config.wasm_gc(false);
    config.wasm_function_references(false);
    config.wasm_exceptions(false);
    config.wasm_threads(false);
    config.wasm_shared_everything_threads(false);
    config.wasm_memory64(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_stack_switching(false);
    config.wasm_wide_arithmetic(false);
    config.shared_memory(false);
    config.epoch_interruption(true);
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(MAX_FRAMES));
    config
}

fn stacks(config: &mut Config, limits: &HostLimits) {
    config.max_wasm_stack(limits.stack);
    config.async_stack_size(limits.stack + HOST_STACK);
}

fn pool(limits: &HostLimits) -> PoolingAllocationConfig {
    let calls = limits.concurrency;
    let per_call = |count: u64| calls.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(per_call(limits.core_instances.into()))
        .total_memories(per_call(MEMORIES_PER_CALL))
        .total_tables(per_call(TABLES_PER_CALL))
        .total_stacks(calls)
        .total_gc_heaps(0)
        .max_core_instances_per_component(limits.core_instances)
        .max_memories_per_component(limits.memories)
        .max_tables_per_component(limits.tables)
        .max_memories_per_module(limits.memories)
        .max_tables_per_module(limits.tables)
        .max_memory_size(limits.memory)
        .table_elements(limits.table_elements)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}

fn cache(state: &Path) -> Result<Cache, EngineError> {
    let directory = state.join("compiled");
    let failed = |source| EngineError::Cache { directory: directory.display().to_string(), source };
    private_directory(&directory).map_err(failed)?;
    let mut config = CacheConfig::new();
    config.with_directory(&directory);
    Cache::new(config).map_err(|error| failed(std::io::Error::other(error.to_string())))
}

/// Makes `directory` for this user alone: what lies there is executed without another look.
fn private_directory(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// A reservation that lets compiled code skip bounds checks: every 32-bit address lies in it.
const FULL_RESERVATION: u64 = 4 << 30;

const WASM_PAGE: u64 = 64 << 10;

/// Memories in the pool for each concurrent call. Most components have one; those made by
/// adapters have two.
const MEMORIES_PER_CALL: u64 = 2;

/// Tables in the pool for each concurrent call: one for each module, and those of its adapters.
const TABLES_PER_CALL: u64 = 4;

/// Bytes of a slot that stay mapped between calls: handing pages back and faulting them in again
/// costs more than half of a small call.
const KEEP_RESIDENT: usize = 1 << 20;

/// Stack for host functions on top of the guest's own, as wasmtime's defaults have it.
const HOST_STACK: usize = 3 << 19;

/// Frames kept of a trap: enough to see where it was, few enough to travel.
const MAX_FRAMES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Module;

    fn refused(engine: &Engine, wat: &str) -> bool {
        let bytes = wat::parse_str(wat).expect("it is valid text");
        Module::new(engine, bytes).is_err()
    }

    #[test]
    fn features_that_plugins_do_not_need_are_off() {
        let engine = checking(&HostLimits::default()).expect("the settings hold");
        assert!(!refused(&engine, "(module (memory 1))"));
        for wat in [
            "(module (memory i64 1))",
            "(module (memory 1 1 shared))",
            "(module (type (struct (field i32))))",
            "(module (tag))",
            "(module (type $f (func)) (func (param (ref $f))))",
        ] {
            assert!(refused(&engine, wat), "{wat}");
        }
    }

    #[test]
    fn the_compile_cache_is_for_this_user_alone() {
        let state = tempfile::tempdir().expect("a directory");
        serving(&HostLimits { concurrency: 2, ..HostLimits::default() }, state.path())
            .expect("an engine");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(state.path().join("compiled")).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o700);
        }
    }
}
