//! What a host would say of one file, a plugin or a manifest, without a host.

use std::path::Path;
use std::sync::Arc;

use jackfield_wire::reflect::ServiceInfo;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::compile::Compiled;
use crate::engine::{self, Concurrency, Engines, Ticker};
use crate::limits::HostLimits;
use crate::manifest::{HostFile, PluginSettings};
use crate::plugin::{self, Loader, Plugin, Rejection};
use crate::reload;

/// What a host would say of a file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CheckReport {
    /// It would serve this.
    Serves(Box<Checked>),
    /// A manifest that holds, of a plugin that is not there yet: it would run with this.
    Manifest(Box<PluginSettings>),
    /// It would refuse the file.
    Rejected(Rejection),
}

/// A plugin that would serve.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Checked {
    /// What callers would see.
    pub info: ServiceInfo,
    /// What it would run with.
    pub settings: PluginSettings,
    /// What its author may not have meant.
    pub warnings: Vec<String>,
    /// Whether its start-up and its self-test ran.
    pub trial: Trial,
}

/// Whether the start-up and the self-test of a plugin ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trial {
    /// An instance started within its limits, and the self-test passed if there is one.
    Passed,
    /// They would run with grants that let them leave something behind, which is for hosts to do.
    NotRun,
}

/// Reads, compiles, links and tries the file with the manifest beside it, as a host with these
/// settings does before it serves it. A manifest is looked at with the plugin beside it, if that is
/// there. What only a host knows is not looked at: the version that serves and its callers, and the
/// other files of the folder.
///
/// Guest code runs within the plugin's limits, and only where no grant lets it leave something
/// behind: see [`Trial`].
///
/// # Cost
/// A compilation: from milliseconds to half a minute, on the calling thread and the machine's other
/// cores, bounded by the size of the file alone. A start and a self-test, of the plugin's default
/// deadline at most. Nothing is cached.
pub fn check(path: &Path, host: &HostFile) -> CheckReport {
    let plugin = path.with_extension("wasm");
    let manifest = path.extension().is_some_and(|end| end == "toml");
    let report = match manifest && !plugin.exists() {
        true => alone(path, host),
        false => examine(if manifest { &plugin } else { path }, host),
    };
    report.unwrap_or_else(CheckReport::Rejected)
}

fn alone(path: &Path, host: &HostFile) -> Result<CheckReport, Rejection> {
    let manifest = reload::manifest(path)?;
    let settings = manifest.resolve(&host.limits, &host.plugins).map_err(Rejection::Manifest)?;
    Ok(CheckReport::Manifest(Box::new(settings)))
}

fn examine(path: &Path, host: &HostFile) -> Result<CheckReport, Rejection> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let manifest = reload::manifest(path)?;
    let service = match &manifest.service {
        Some(service) => service.clone(),
        None => plugin::service_name(reload::stem(&name))?,
    };
    let limits = Arc::new(host.limits.clone());
    let bytes = reload::read_once(path, limits.plugin_file)?;
    let generation = plugin::generation(&bytes);
    let internal = |error: &dyn std::fmt::Display| Rejection::Internal(error.to_string());
    let engine =
        |concurrency| engine::checking(&limits, concurrency).map_err(|error| internal(&error));
    let compiled = |engine: &Engine, bytes: &[u8]| {
        Component::from_binary(engine, bytes)
            .map_err(|error| Rejection::of_compile_error(&format!("{error:#}")))
    };
    let plain = engine(Concurrency::Off)?;
    let defaults = Arc::new(host.plugins.clone());
    let loader =
        Loader::new(&plain, Arc::clone(&limits), defaults).map_err(|error| internal(&error))?;
    let candidate = loader.candidate(service, bytes.into(), (manifest, generation))?;
    let engines = Engines::new(plain.clone());
    let component = match compiled(&plain, candidate.bytes()) {
        Err(Rejection::Async(_)) => {
            let concurrent = engine(Concurrency::On)?;
            engines.add_concurrent(&concurrent);
            compiled(&concurrent, candidate.bytes())?
        }
        component => component?,
    };
    let plugin = candidate.link(Compiled { component, in_use: None })?;
    Ok(CheckReport::Serves(Box::new(Checked {
        info: plugin.info(None),
        settings: plugin.settings().clone(),
        warnings: plugin.doubts(),
        trial: tried(&plugin, &limits, engines)?,
    })))
}

/// Starts an instance of `plugin` and runs its self-test, where nothing of that lasts.
fn tried(plugin: &Plugin, limits: &HostLimits, engines: Engines) -> Result<Trial, Rejection> {
    if plugin.settings().grants.have_lasting_effects() {
        return Ok(Trial::NotRun);
    }
    let internal = |error: std::io::Error| Rejection::Internal(error.to_string());
    let ticker = Ticker::spawn(Arc::new(engines)).map_err(internal)?;
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(internal)?;
        let _running = ticker.pulse().running();
        let tried = runtime.block_on(reload::trial(plugin, limits));
        // A file that the guest waits for may never have anything to read.
        runtime.shutdown_background();
        tried
    };
    // The calling thread may be one of a runtime, where no other one can be waited for.
    let ended = std::thread::scope(|scope| scope.spawn(run).join());
    let broke = || Rejection::Internal("its trial ended without a word".into());
    ended.unwrap_or_else(|_| Err(broke())).map(|()| Trial::Passed)
}
