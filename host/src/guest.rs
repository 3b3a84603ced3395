//! What one call's store holds: WASI with nothing granted, the meters of its limits, its output.
//!
//! A guest sees no file, no address, no variable and an empty standard input; clocks and random
//! numbers work. Ends with its call.

mod meter;
mod output;
mod stores;

use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub(crate) use meter::LimitReached;
pub(crate) use output::{LogBudget, Output, Source};
pub(crate) use stores::Stores;

use crate::limits::HostLimits;
use crate::plugin::Plugin;
use meter::Meter;
use stores::OpenStore;

/// The data of a call's store.
pub(crate) struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
    meter: Meter,
    _open: OpenStore,
}

impl Guest {
    /// A store for one call, its limits set and its guest bound to yield at every epoch; one of
    /// the plugin's stores until it is dropped.
    pub(crate) fn store(plugin: &Plugin, host: &HostLimits, output: &Output) -> Store<Self> {
        let limits = plugin.limits();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let wasi = WasiCtx::builder()
            .stdout(output.stdout())
            .stderr(output.stderr())
            .max_random_size(MAX_RANDOM)
            .build();
        let mut store = Store::new(
            plugin.pre().engine(),
            Self { wasi, table, meter: Meter::new(limits, host), _open: plugin.stores().open() },
        );
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| {
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Random bytes that a guest may ask for at once: the host makes them before the guest's memory
/// is asked whether they fit.
const MAX_RANDOM: u64 = 1 << 20;
