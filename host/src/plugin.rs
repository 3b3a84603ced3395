//! A plugin: a component's bytes, compiled, linked and introspected, ready to serve calls.
//!
//! Immutable once made, but for what its calls leave: its breaker's count and the instances that
//! it keeps. Dropped when the catalog has another one and its last call has ended.

mod binary;
mod description;
mod docs;
mod imports;
mod introspect;
mod method;
mod rejection;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use jackfield_wire::name::{BUILTIN_SERVICE, ServiceName};
use jackfield_wire::reflect::{MethodInfo, RefusedFunction, ServiceInfo};
use jackfield_wire::{Executed, Generation};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

pub use imports::{MissingImport, MissingImports};
pub(crate) use method::Method;
pub use rejection::Rejection;

use crate::breaker::Watch;
use crate::compile::{Compiled, InUse};
use crate::guest::{
    self, Capabilities, Guest, KeyValueStores, LogBudget, Resolver, Stores, VersionStores,
};
use crate::keeper::{self, Keeper};
use crate::lane::{Conduct, Habit, Who};
use crate::limits::{HostLimits, PluginLimits};
use crate::manifest::{Instances, Manifest, PluginDefaults, PluginSettings};
use crate::services::Services;
use crate::tally::{MethodTally, Tallies};
use crate::value::{MethodPlan, TypeNames};
use description::{Description, MAX_DESCRIPTION};
use docs::Documentation;
pub use docs::documented;
use introspect::Exported;

/// Makes plugins out of bytes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader {
    linker: Arc<Linker<Guest>>,
    /// Made when a component needs it.
    concurrent: Arc<OnceLock<Linker<Guest>>>,
    limits: Arc<HostLimits>,
    defaults: Arc<PluginDefaults>,
    stores: Stores,
    room: keeper::Room,
    keyvalue: KeyValueStores,
    resolver: Resolver,
    tallies: Tallies,
    /// How calls of other services go out.
    services: Option<Arc<dyn Services>>,
}

impl Loader {
    /// A loader for `engine`, with WASI linked and nothing granted.
    pub(crate) fn new(
        engine: &Engine,
        limits: Arc<HostLimits>,
        defaults: Arc<PluginDefaults>,
    ) -> wasmtime::Result<Self> {
        let room = keeper::Room::new(limits.idle_instances);
        Ok(Self {
            linker: Arc::new(guest::base(engine)?),
            concurrent: Arc::default(),
            limits,
            defaults,
            stores: Stores::default(),
            room,
            keyvalue: KeyValueStores::default(),
            resolver: Resolver::system(),
            tallies: Tallies::default(),
            services: None,
        })
    }

    /// The same with a way for calls of other services.
    pub(crate) fn with_services(self, services: Option<Arc<dyn Services>>) -> Self {
        Self { services, ..self }
    }

    /// The stores of all that it makes.
    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// What may become a plugin, as far as can be said before it is compiled.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) fn candidate(
        &self,
        service: ServiceName,
        bytes: Arc<[u8]>,
        (manifest, generation): (Manifest, Generation),
    ) -> Result<Candidate, Rejection> {
        let settings =
            manifest.resolve(&self.limits, &self.defaults).map_err(Rejection::Manifest)?;
        let capabilities = Capabilities::open(
            &settings.grants,
            &self.keyvalue,
            (&self.resolver, self.services.as_ref()),
        )
        .map_err(Rejection::Grant)?;
        Rejection::of_kind(binary::kind(&bytes))?;
        if binary::nests_too_deep(&bytes) {
            return Err(Rejection::Nested);
        }
        let (loader, capabilities) = (self.clone(), Arc::new(capabilities));
        Ok(Candidate { loader, service, bytes, generation, manifest, settings, capabilities })
    }

    /// The linker of a component's engine: the one that this was made for, or the one for
    /// asynchronous functions, with WASI 0.3 besides.
    fn linker(&self, engine: &Engine) -> Result<&Linker<Guest>, Rejection> {
        if Engine::same(engine, self.linker.engine()) {
            return Ok(&self.linker);
        }
        if let Some(linker) = self.concurrent.get() {
            return Ok(linker);
        }
        let internal = |error: wasmtime::Error| Rejection::Internal(chain(&error));
        let mut linker = guest::base(engine).map_err(internal)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker).map_err(internal)?;
        Ok(self.concurrent.get_or_init(|| linker))
    }
}

/// What may become a plugin.
pub(crate) struct Candidate {
    loader: Loader,
    service: ServiceName,
    bytes: Arc<[u8]>,
    generation: Generation,
    manifest: Manifest,
    settings: PluginSettings,
    capabilities: Arc<Capabilities>,
}

impl Candidate {
    /// The component.
    pub(crate) fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Which instances will serve its calls.
    pub(crate) fn instances(&self) -> Instances {
        self.settings.instances
    }

    /// Links what was compiled from its bytes.
    ///
    /// # Errors
    /// Why it cannot serve.
    pub(crate) fn link(self, compiled: Compiled) -> Result<Plugin, Rejection> {
        let Compiled { component, in_use } = compiled;
        let pre = self.connect(&component)?;
        let exported = introspect::exported(&component);
        let imports = imports::interfaces(&component);
        let version = self.manifest.version.as_ref().map(ToString::to_string);
        let mut plugin = Plugin {
            version: version.or_else(|| introspect::version(&exported)),
            generation: self.generation,
            docs: None,
            methods: Vec::new(),
            tallies: Vec::new(),
            names: HashMap::new(),
            refused: Vec::new(),
            pre,
            log: Arc::new(LogBudget::new(self.settings.limits.log_rate)),
            keeper: Keeper::new(self.settings.instances, self.loader.room.clone()),
            settings: self.settings,
            capabilities: self.capabilities,
            knows_its_calls: imports.iter().any(|name| name.starts_with("jackfield:plugin/")),
            imports,
            stores: self.loader.stores.of_version(self.service.clone(), self.generation),
            may_be_given_up: self.manifest.roll_back_on_traps,
            watch: Watch::default(),
            conduct: Arc::new(Conduct::new()),
            service: self.service,
            _in_use: in_use,
        };
        let names = TypeNames::of(&component, self.loader.linker.engine());
        plugin.add_methods(exported, &names, &Documentation::read(&self.bytes))?;
        let qualified = plugin.methods.iter().map(|method| method.info.qualified.as_str());
        plugin.tallies = self.loader.tallies.of(&plugin.service, qualified);
        if let Some(description) = self.manifest.description {
            plugin.docs = Some(description);
        }
        Ok(plugin)
    }

    /// Connects the imports of its component with what is granted.
    fn connect(&self, component: &Component) -> Result<InstancePre<Guest>, Rejection> {
        let internal = |error: wasmtime::Error| Rejection::Internal(chain(&error));
        let base = self.loader.linker(component.engine())?;
        let linker = guest::granted(base, &self.settings.grants).map_err(internal)?;
        linker.instantiate_pre(component).map_err(|error| {
            let missing = imports::missing(component, &linker);
            if missing.is_empty() {
                return Rejection::Link(chain(&error));
            }
            let never = match guest::granted(base, &imports::everything()) {
                Ok(all) => imports::missing(component, &all),
                Err(_) => missing.clone(),
            };
            let (never, wanted) = missing.into_iter().partition(|import| never.contains(import));
            let service = self.service.clone();
            Rejection::Imports(MissingImports { service, never, wanted })
        })
    }
}

/// The generation of these bytes without a manifest.
pub(crate) fn generation(bytes: &[u8]) -> Generation {
    Generation::of_digest(Sha256::digest(bytes).into())
}

/// The generation of these bytes under a manifest, which decides as much of what callers meet.
pub(crate) fn generation_under(manifest: &str, bytes: &[u8]) -> Generation {
    if manifest.is_empty() {
        return generation(bytes);
    }
    let both = Sha256::new()
        .chain_update(b"component and manifest")
        .chain_update(Sha256::digest(bytes))
        .chain_update(Sha256::digest(manifest));
    Generation::of_digest(both.finalize().into())
}

/// The name of the service that a file called `stem`.wasm holds.
///
/// # Errors
/// When the stem cannot be the name of a service.
pub(crate) fn service_name(stem: &str) -> Result<ServiceName, Rejection> {
    let name = ServiceName::new(stem).map_err(Rejection::Name)?;
    if name.as_str() == BUILTIN_SERVICE {
        return Err(Rejection::Reserved);
    }
    Ok(name)
}

/// One version of one service.
pub(crate) struct Plugin {
    service: ServiceName,
    generation: Generation,
    version: Option<String>,
    docs: Option<String>,
    methods: Vec<Method>,
    /// What became of their calls, in the same order.
    tallies: Vec<Arc<MethodTally>>,
    /// Every name that a method can be called by.
    names: HashMap<String, usize>,
    refused: Vec<RefusedFunction>,
    pre: InstancePre<Guest>,
    log: Arc<LogBudget>,
    stores: VersionStores,
    settings: PluginSettings,
    may_be_given_up: bool,
    watch: Watch,
    conduct: Arc<Conduct>,
    keeper: Keeper,
    /// Keeps its code in the cache, for the next start.
    _in_use: Option<InUse>,
    capabilities: Arc<Capabilities>,
    /// Interfaces that it imports.
    imports: Vec<String>,
    knows_its_calls: bool,
}

impl Plugin {
    pub(crate) fn service(&self) -> &ServiceName {
        &self.service
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn pre(&self) -> &InstancePre<Guest> {
        &self.pre
    }

    pub(crate) fn log(&self) -> &Arc<LogBudget> {
        &self.log
    }

    /// What it may use.
    pub(crate) fn limits(&self) -> &PluginLimits {
        &self.settings.limits
    }

    /// What it runs with.
    pub(crate) fn settings(&self) -> &PluginSettings {
        &self.settings
    }

    /// What its author may not have meant.
    pub(crate) fn doubts(&self) -> Vec<String> {
        self.settings.doubts(&self.imports)
    }

    /// What it was granted, opened.
    pub(crate) fn capabilities(&self) -> &Arc<Capabilities> {
        &self.capabilities
    }

    /// Whether it may ask for the call that it runs for.
    pub(crate) fn knows_its_calls(&self) -> bool {
        self.knows_its_calls
    }

    /// Whether a call that went no further than the start of its instance was executed: without
    /// grants nothing of that lasts.
    pub(crate) fn executed_by_start_up(&self) -> Executed {
        match self.settings.grants.have_lasting_effects() {
            true => Executed::Unknown,
            false => Executed::No,
        }
    }

    /// Where its stores are counted.
    pub(crate) fn stores(&self) -> &VersionStores {
        &self.stores
    }

    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// What became of the calls of the method at this place of [`Self::methods`].
    pub(crate) fn tally(&self, method: usize) -> &MethodTally {
        &self.tallies[method]
    }

    /// Where [`Self::methods`] has the one with this name, short or qualified.
    pub(crate) fn method(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Its instances between calls.
    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Whether the version before may serve in its place when it traps.
    pub(crate) fn may_be_given_up(&self) -> bool {
        self.may_be_given_up
    }

    /// How its calls behave on the threads of the host.
    pub(crate) fn conduct(&self) -> &Arc<Conduct> {
        &self.conduct
    }

    /// Whose work a call of `method` is.
    pub(crate) fn who<'a>(&'a self, method: &'a Method) -> Who<'a> {
        Who { plugin: &self.conduct, method: Some(&method.habit) }
    }

    /// What watches its calls.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Why an exported function with this name cannot be called.
    pub(crate) fn refused(&self, name: &str) -> Option<&RefusedFunction> {
        let short = |qualified: &str| qualified.rsplit('#').next() == Some(name);
        self.refused.iter().find(|function| function.name == name || short(&function.name))
    }

    /// What the host says of it, with `rejected` as the reason why a newer file does not serve.
    pub(crate) fn info(&self, rejected: Option<String>) -> ServiceInfo {
        ServiceInfo {
            service: self.service.clone(),
            version: self.version.clone(),
            generation: self.generation,
            docs: self.docs.clone(),
            methods: self.methods.iter().map(|method| method.info.clone()).collect(),
            refused: self.refused.clone(),
            rolled_back_from: None,
            rolled_back_because: None,
            rejected,
            quarantined: self.watch.quarantine().map(|told| told.to_string()),
        }
    }

    fn add_methods(
        &mut self,
        exported: Vec<Exported>,
        names: &TypeNames,
        docs: &Documentation,
    ) -> Result<(), Rejection> {
        self.docs = docs.plugin().map(str::to_owned);
        if exported.len() > MAX_FUNCTIONS {
            return Err(Rejection::TooManyFunctions {
                count: exported.len(),
                limit: MAX_FUNCTIONS,
            });
        }
        let mut shorts: HashMap<String, usize> = HashMap::new();
        for function in &exported {
            *shorts.entry(function.name.clone()).or_default() += 1;
        }
        let mut description = Description::new(docs);
        for function in exported {
            match MethodPlan::new(
                &function.name,
                &function.ty,
                function.interface.as_deref(),
                names,
            ) {
                Ok(plan) => {
                    let unique = shorts.get(&function.name) == Some(&1);
                    let name = if unique { function.name.clone() } else { function.qualified() };
                    self.add_method(name, function, plan, &mut description);
                }
                Err(refusal) => self.refused.push(RefusedFunction {
                    name: function.qualified(),
                    reason: refusal.to_string(),
                }),
            }
        }
        if self.methods.is_empty() {
            return Err(Rejection::NothingToCall(std::mem::take(&mut self.refused)));
        }
        Ok(())
    }

    fn add_method(
        &mut self,
        name: String,
        function: Exported,
        plan: MethodPlan,
        description: &mut Description<'_>,
    ) {
        let qualified = function.qualified();
        let signature = plan.signature();
        let info = MethodInfo {
            wit: signature.to_wit(&function.name),
            params_schema: signature.params_schema(),
            result_schema: signature.result_schema(),
            signature: signature.clone(),
            docs: description.docs.method(&qualified).map(str::to_owned),
            hidden: function.is_tool_made(),
            name: name.clone(),
            qualified: qualified.clone(),
        };
        if !description.takes(&info) {
            let reason = format!("the plugin's description would pass {MAX_DESCRIPTION} bytes");
            return self.refused.push(RefusedFunction { name: qualified, reason });
        }
        let index = self.methods.len();
        let (plan, habit) = (Arc::new(plan), Habit::of_method());
        let label = info.name.as_str().into();
        self.methods.push(Method { info, plan, index: function.index, habit, label });
        self.names.insert(name, index);
        self.names.insert(qualified, index);
    }
}

/// Exported functions of one plugin. A generated library of a large interface has some hundreds.
const MAX_FUNCTIONS: usize = 4096;

/// An error with its causes, on one line.
fn chain(error: &wasmtime::Error) -> String {
    format!("{error:#}")
}
