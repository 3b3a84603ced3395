//! What `benches/parts.rs` measures of the inside of this crate. No part of its interface.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jackfield_transport::Operators;
use jackfield_wire::Type;
use tokio::runtime::Runtime;
use tokio::sync::broadcast;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::catalog::Catalog;
use crate::compile::Compiled;
use crate::dispatch::{self, About, Dispatch};
use crate::engine::{self, Concurrency, Engines, Ticker};
use crate::kept::Kept;
use crate::lane::Lane;
use crate::limits::HostLimits;
use crate::manifest::{Manifest, PluginDefaults};
use crate::plugin::{self, Loader, Plugin};
use crate::value;

/// A host without its network and its folder.
///
/// Its guests are neither interrupted nor moved to the lane, both of which hang on the clock: the
/// same call takes the same instructions each time.
pub struct Bare {
    engine: Engine,
    loader: Loader,
    catalog: Arc<Catalog>,
    dispatch: Arc<Dispatch>,
    runtime: Arc<Runtime>,
}

/// A component, compiled, and its bytes.
#[derive(Clone)]
pub struct Code {
    bytes: Arc<[u8]>,
    component: Component,
}

impl Bare {
    /// One that serves nothing yet.
    ///
    /// # Panics
    /// When the machine has no room for it.
    pub fn new() -> Self {
        // Little address space: callgrind gives a program no more than 128 GiB.
        let (concurrency, idle_instances, memories) = (4, 6, 1);
        let some = HostLimits { concurrency, idle_instances, memories, ..HostLimits::default() };
        let limits = Arc::new(some);
        let (engine, _) = engine::serving(&limits, None, Concurrency::Off).expect("the settings");
        let defaults = Arc::new(PluginDefaults::default());
        let loader = Loader::new(&engine, Arc::clone(&limits), defaults).expect("WASI links");
        let catalog = Arc::new(Catalog::new());
        let elsewhere = Arc::new(Engines::new(Engine::default()));
        let ticker = Ticker::spawn(elsewhere).expect("a thread");
        let (events, _) = broadcast::channel(1);
        let lane = Arc::new(Lane::spawn(ticker).expect("threads"));
        let stores = loader.stores().clone();
        let about = About { host: "parts".into(), stores, since: Instant::now() };
        let rest = (lane, Arc::new(Kept::nothing()), Operators::Clients, about);
        let dispatch = Dispatch::new(Arc::clone(&catalog), limits, events, rest);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (dispatch, runtime) = (Arc::new(dispatch), Arc::new(runtime.expect("a runtime")));
        Self { engine, loader, catalog, dispatch, runtime }
    }

    /// Compiles a component.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn compile(&self, bytes: Vec<u8>) -> Code {
        let component = Component::from_binary(&self.engine, &bytes).expect("a component");
        Code { bytes: bytes.into(), component }
    }

    /// Serves `code` under `manifest` as `service`.
    ///
    /// # Panics
    /// When it cannot be served.
    pub fn serve(&self, service: &str, code: &Code, manifest: &str) {
        self.catalog.serve(service, link(&self.loader, service, code, manifest), None);
    }

    /// A call of a method that is served; the length of what it gives.
    pub fn call(
        &self,
        service: &'static str,
        method: &'static str,
        arguments: &'static str,
    ) -> impl FnMut() -> usize + use<> {
        let place = (Arc::clone(&self.dispatch), Arc::clone(&self.runtime));
        dispatch::call(place, (service, method), arguments)
    }

    /// A permit, taken and given back.
    pub fn permit(&self) -> impl FnMut() -> bool + use<> {
        dispatch::permit(Arc::clone(&self.dispatch))
    }

    /// A method looked up by the names in a request.
    pub fn look_up(
        &self,
        service: &'static str,
        method: &'static str,
    ) -> impl FnMut() -> bool + use<> {
        let catalog = Arc::clone(&self.catalog);
        move || {
            let now = catalog.now();
            now.plugin(service).is_some_and(|plugin| plugin.method(method).is_some())
        }
    }

    /// A version linked, its methods read, and put in the place of another, which stays ready to
    /// return to: all of a hot-swap but what the compiler does.
    ///
    /// # Panics
    /// When it cannot be served.
    pub fn replace(&self, service: &'static str, code: &Code) -> impl FnMut() + use<> {
        let (catalog, loader, code) =
            (Arc::clone(&self.catalog), self.loader.clone(), code.clone());
        move || drop(catalog.serve(service, link(&loader, service, &code, ""), None))
    }
}

fn link(loader: &Loader, service: &str, code: &Code, manifest: &str) -> Arc<Plugin> {
    let name = plugin::service_name(service).expect("a name");
    let generation = plugin::generation_under(manifest, &code.bytes);
    let manifest = Manifest::parse(manifest, Path::new("/")).expect("a manifest");
    let candidate = loader.candidate(name, Arc::clone(&code.bytes), (manifest, generation));
    let compiled = Compiled { component: code.component.clone(), in_use: None };
    Arc::new(candidate.and_then(|it| it.link(compiled)).expect("a plugin"))
}

impl Default for Bare {
    fn default() -> Self {
        Self::new()
    }
}

/// JSON to a value of type `ty` and back; the length of what comes out.
pub fn there_and_back(ty: &Type, arguments: &'static str) -> impl FnMut() -> usize + use<> {
    value::there_and_back(ty, arguments)
}
