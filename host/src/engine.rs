//! The wasmtime engine of a host: which wasm it takes, how instances are allocated, how guests
//! are interrupted.
//!
//! It must never read compiled code from the plugin folder, and never let a guest that spins hold
//! a thread of the runtime: guests yield at every tick of the epoch.

mod pair;
mod ticker;

use serde::{Deserialize, Serialize};
use wasmtime::{
    Cache, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};

pub(crate) use pair::Engines;
pub(crate) use ticker::{Pulse, Ticker};

use crate::limits::HostLimits;

/// Wasmtime refused the settings, or the address space for the instance pool is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot set up the wasm engine; it reserves {reserved_gib} GiB of address space for \
     {concurrency} concurrent calls: lower the concurrency, or raise `ulimit -v`"
)]
pub struct EngineError {
    /// The address space asked for at the least attempt.
    reserved_gib: u64,
    /// The calls that it was for.
    concurrency: u32,
    /// What wasmtime said.
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Whether components may have asynchronous functions.
///
/// An engine with them makes each call of a kept instance up to three times as dear, so those
/// without get an engine without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Concurrency {
    #[default]
    Off,
    On,
}

/// What decides compiled code, of all that can differ from one engine here to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CodeSettings {
    /// Bytes of address space for each memory.
    reservation: u64,
    concurrency: Concurrency,
}

impl Default for CodeSettings {
    fn default() -> Self {
        Self { reservation: FULL_RESERVATION, concurrency: Concurrency::Off }
    }
}

/// Makes the engine that serves calls, and says how it compiles. What it compiles itself it
/// compiles on one thread: the others serve.
///
/// # Errors
/// See [`EngineError`].
pub(crate) fn serving(
    limits: &HostLimits,
    cache: Option<Cache>,
    concurrency: Concurrency,
) -> Result<(Engine, CodeSettings), EngineError> {
    let mut config = features(concurrency);
    config.cache(cache);
    config.parallel_compilation(false);
    engine(limits, config, concurrency)
}

/// Makes an engine that serves calls of tests: the same features and the same bounds of an instance,
/// room for one, no cache.
#[cfg(test)]
pub(crate) fn checking(
    limits: &HostLimits,
    concurrency: Concurrency,
) -> Result<Engine, EngineError> {
    let room = HostLimits { concurrency: 1, idle_instances: 0, ..limits.clone() };
    let (engine, _) = engine(&room, features(concurrency), concurrency)?;
    Ok(engine)
}

/// Makes an engine that compiles as another one does, into `cache`, and never runs anything.
///
/// # Errors
/// When wasmtime refuses the settings.
pub(crate) fn compiling(code: CodeSettings, cache: Option<Cache>) -> wasmtime::Result<Engine> {
    let mut config = features(code.concurrency);
    config.cache(cache);
    config.memory_reservation(code.reservation);
    Engine::new(&config)
}

fn engine(
    limits: &HostLimits,
    mut config: Config,
    concurrency: Concurrency,
) -> Result<(Engine, CodeSettings), EngineError> {
    let instances = instances(limits);
    let most = u64::try_from(limits.plugin_maximum().memory).unwrap_or(FULL_RESERVATION);
    let small = most.next_multiple_of(WASM_PAGE);
    let mut last = None;
    for (reservation, memories) in
        [(FULL_RESERVATION, limits.memories), (small, limits.memories), (small, USUAL_MEMORIES)]
    {
        let memories = instances.saturating_mul(memories).max(limits.memories);
        config.memory_reservation(reservation);
        let mut pool = pool(limits, instances);
        if concurrency == Concurrency::On {
            pool.total_stacks(instances.saturating_mul(STACKS));
        }
        pool.total_memories(memories);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        config.max_wasm_stack(limits.stack);
        config.async_stack_size(limits.stack + HOST_STACK);
        match Engine::new(&config) {
            Ok(engine) => return Ok((engine, CodeSettings { reservation, concurrency })),
            Err(error) => last = Some((reservation * u64::from(memories), error)),
        }
    }
    let (reserved, error) = last.expect("the loop tried at least once");
    Err(EngineError {
        reserved_gib: reserved >> 30,
        concurrency: limits.concurrency,
        source: error.into(),
    })
}

/// Instances that there can be at the same time: those of calls, each of which has a permit; those
/// kept between calls, each of which has a slot; and those tried before they serve.
fn instances(limits: &HostLimits) -> u32 {
    limits.concurrency.saturating_add(limits.idle_instances).saturating_add(TRIALS)
}

/// What wasm a host takes: what toolchains of today make, and nothing that they do not.
///
/// Each feature turned off is one less way into the engine; all the advisories of the last year
/// that let a guest out were in features of this list.
fn features(concurrency: Concurrency) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    let on = matches!(concurrency, Concurrency::On);
    config.concurrency_support(on);
    if on {
        // What WASI 0.3 needs, and no more of what the proposal still adds.
        config.wasm_component_model_async(true);
        config.wasm_component_model_more_async_builtins(false);
        config.wasm_component_model_async_stackful(false);
        config.wasm_component_model_threading(false);
        config.wasm_component_model_error_context(false);
    }
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

/// A pool in which every instance of the largest allowed kind finds its parts: none is refused for
/// what others take. It is address space that this costs, not memory.
fn pool(limits: &HostLimits, instances: u32) -> PoolingAllocationConfig {
    let most = limits.plugin_maximum();
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(limits.core_instances))
        .total_tables(instances.saturating_mul(limits.tables))
        .total_stacks(instances)
        .total_gc_heaps(0)
        .max_unused_warm_slots(warm(limits))
        .max_core_instances_per_component(limits.core_instances)
        .max_memories_per_component(limits.memories)
        .max_tables_per_component(limits.tables)
        .max_memories_per_module(limits.memories)
        .max_tables_per_module(limits.tables)
        .max_memory_size(most.memory)
        .table_elements(most.table_elements)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Memories that keep the contents of their plugin between calls: one for each plugin, besides those
/// of calls that run, on each core, because wasmtime divides them between threads. With fewer, a host
/// with many plugins maps the contents anew in most calls.
fn warm(limits: &HostLimits) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    let plugins = u32::try_from(limits.plugins).unwrap_or(u32::MAX);
    plugins.saturating_add(limits.concurrency).saturating_mul(cores).min(MOST_WARM)
}

/// Two gigabytes, if each held all that may stay mapped; most hold a tenth of that.
const MOST_WARM: u32 = 2048;

/// A reservation that lets compiled code skip bounds checks: every 32-bit address lies in it.
const FULL_RESERVATION: u64 = 4 << 30;

const WASM_PAGE: u64 = 64 << 10;

/// Instances of new versions that are tried before they serve, one at a time: a busy host must not
/// be one that takes no new version.
const TRIALS: u32 = 1;

/// Stacks for each instance of asynchronous components: each of its calls that is under way holds
/// one, and so do those that it makes between its own parts.
const STACKS: u32 = 4;

/// Memories for each instance on machines without address space for all that it may have. Most
/// components have one, those made by adapters two; a call of a wider one may then find the pool
/// empty, and is answered as by a full host.
const USUAL_MEMORIES: u32 = 2;

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
    use wasmtime::component::Component;

    fn refused(engine: &Engine, wat: &str) -> bool {
        let bytes = wat::parse_str(wat).expect("it is valid text");
        Module::new(engine, bytes).is_err()
    }

    #[test]
    fn features_that_plugins_do_not_need_are_off() {
        let engine = checking(&HostLimits::default(), Concurrency::Off).expect("the settings hold");
        // QuickJS, and with it every JavaScript plugin, is built with tail calls.
        for wat in ["(module (memory 1))", "(module (func return_call 0))"] {
            assert!(!refused(&engine, wat), "{wat}");
        }
        for wat in [
            "(module (memory i64 1))",
            "(module (memory 1 1 shared))",
            "(module (type (struct (field i32))))",
            "(module (tag))",
            "(module (type $f (func)) (func (param (ref $f))))",
            "(module (type $f (func)) (type (cont $f)))",
            "(module (memory 1 (pagesize 1)))",
            "(module (func (param i64 i64 i64 i64) (result i64 i64)
                local.get 0 local.get 1 local.get 2 local.get 3 i64.add128))",
        ] {
            assert!(refused(&engine, wat), "{wat}");
        }
        for wat in [
            "(component (type (stream u8)))",
            "(component (type (future u8)))",
            "(component (type (list u8 4)))",
            "(component (type (map u8 u8)))",
            "(component (type error-context))",
        ] {
            let bytes = wat::parse_str(wat).expect("it is valid text");
            assert!(Component::new(&engine, bytes).is_err(), "{wat}");
        }
    }

    #[test]
    fn each_of_many_plugins_finds_the_memory_that_it_left() {
        let limits = HostLimits { plugins: 150, concurrency: 8, ..HostLimits::default() };
        let (engine, _) = serving(&limits, None, Concurrency::Off).expect("the settings hold");
        let module = |number: usize| {
            let text = format!(r#"(module (memory 1) (data (i32.const 0) "{number}"))"#);
            Module::new(&engine, wat::parse_str(text).expect("it is valid text")).expect("valid")
        };
        let modules: Vec<_> = (0..limits.plugins).map(module).collect();
        for module in &modules {
            let mut store = wasmtime::Store::new(&engine, ());
            store.set_epoch_deadline(1);
            wasmtime::Instance::new(&mut store, module, &[]).expect("there is room");
        }
        let metrics = engine.pooling_allocator_metrics().expect("it has a pool");
        assert_eq!(metrics.unused_warm_memories(), 150);
    }

    #[test]
    fn asynchronous_components_get_what_wasi_needs_and_no_more() {
        let engine = checking(&HostLimits::default(), Concurrency::On).expect("the settings hold");
        let taken = |wat: &str| {
            Component::new(&engine, wat::parse_str(wat).expect("it is valid text")).is_ok()
        };
        for wat in [
            "(component (type (stream u8)))",
            "(component (type (future u8)))",
            "(component (type (func async)))",
        ] {
            assert!(taken(wat), "{wat}");
        }
        for wat in [
            "(component (type error-context))",
            "(component (type (map u8 u8)))",
            "(component (core module (memory 1 1 shared)))",
            "(component (core module $m (func (export \"f\")))
                (core instance $i (instantiate $m))
                (func (export \"f\") async (canon lift (core func $i \"f\") async)))",
        ] {
            assert!(!taken(wat), "{wat}");
        }
    }
}
