//! What one call's store holds: WASI with what its plugin was granted, the meters of its limits,
//! its output.
//!
//! Without a grant a guest sees no file, no address, no variable and an empty standard input; clocks
//! and random numbers work. Most calls ask WASI for nothing, so what it needs is made when it is
//! asked first. Ends with its call.

mod capabilities;
mod current;
mod directory;
mod http;
mod keyvalue;
mod link;
mod logging;
mod meter;
mod network;
mod output;
mod own;
mod resolve;
mod stores;

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

pub(crate) use capabilities::Capabilities;
pub use capabilities::GrantError;
pub(crate) use current::Current;
pub(crate) use keyvalue::Stores as KeyValueStores;
pub(crate) use link::{base, granted};
pub(crate) use meter::LimitReached;
pub(crate) use output::{LogBudget, Output, Source};
pub(crate) use resolve::Resolver;
pub(crate) use stores::{StoreCount, Stores, VersionStores};

use crate::limits::HostLimits;
use crate::plugin::Plugin;
use http::Outgoing;
use meter::Meter;
use network::Network;

/// The data of a call's store.
pub(crate) struct Guest {
    /// Made at the first look.
    world: Option<Box<World>>,
    table: ResourceTable,
    output: Output,
    capabilities: Arc<Capabilities>,
    /// Only of plugins that may ask for it.
    current: Option<Box<Current>>,
    longest_answer: usize,
    /// Last: it counts the store until nothing else is left of it.
    meter: Meter,
}

/// What a guest sees of the world.
struct World {
    wasi: WasiCtx,
    network: Network,
    http: WasiHttpCtx,
    outgoing: Outgoing,
}

impl World {
    fn new(capabilities: &Capabilities, output: &Output) -> Box<Self> {
        let (wasi, network) = capabilities.wasi(output);
        let outgoing = Outgoing::new(Arc::clone(capabilities.http()));
        Box::new(Self { wasi, network, http: WasiHttpCtx::new(), outgoing })
    }
}

impl Guest {
    /// A store for one call, its limits set and its guest bound to yield at every epoch; one of
    /// the plugin's stores until it is dropped.
    pub(crate) fn store(plugin: &Plugin, host: &HostLimits, output: &Output) -> Store<Self> {
        let limits = plugin.limits();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let guest = Self {
            world: None,
            table,
            meter: Meter::new(limits, host, plugin.conduct(), plugin.stores().open()),
            output: output.clone(),
            capabilities: Arc::clone(plugin.capabilities()),
            current: None,
            longest_answer: limits.result,
        };
        let mut store = Store::new(plugin.pre().engine(), guest);
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| {
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }

    /// Runs for this call from now on, or for none.
    pub(crate) fn serve(&mut self, current: Option<Box<Current>>) {
        self.current = current;
    }

    fn current(&self) -> Option<&Current> {
        self.current.as_deref()
    }

    /// Bytes of an answer that it may be given.
    fn longest_answer(&self) -> usize {
        self.longest_answer
    }

    fn output(&self) -> &Output {
        &self.output
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn network(&mut self) -> &mut Network {
        &mut self.look().0.network
    }

    /// The world, and the table of what the guest holds of it.
    fn look(&mut self) -> (&mut World, &mut ResourceTable) {
        let make = || World::new(&self.capabilities, &self.output);
        (self.world.get_or_insert_with(make), &mut self.table)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (world, table) = self.look();
        WasiCtxView { ctx: &mut world.wasi, table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (World { http, outgoing, .. }, table) = self.look();
        WasiHttpCtxView { ctx: http, table, hooks: outgoing }
    }
}
