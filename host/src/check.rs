//! What a host would say of one file, without a host.

use std::path::Path;
use std::sync::Arc;

use jackfield_wire::reflect::ServiceInfo;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::compile::Compiled;
use crate::engine::{self, Concurrency};
use crate::limits::HostLimits;
use crate::plugin::{self, Loader, Rejection};
use crate::reload;

/// What a host would say of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckReport {
    /// It would serve this.
    Serves(ServiceInfo),
    /// It would refuse the file.
    Rejected(Rejection),
}

/// Reads, compiles and links the file, with the default limits, as a host does before it serves it.
///
/// # Cost
/// A compilation: from milliseconds to half a minute, on the calling thread and the machine's other
/// cores. Nothing is cached, and no guest code runs.
pub fn check(path: &Path) -> CheckReport {
    match examine(path) {
        Ok(info) => CheckReport::Serves(info),
        Err(rejection) => CheckReport::Rejected(rejection),
    }
}

fn examine(path: &Path) -> Result<ServiceInfo, Rejection> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let manifest = reload::manifest(path)?;
    let service = match &manifest.service {
        Some(service) => service.clone(),
        None => plugin::service_name(reload::stem(&name))?,
    };
    let limits = Arc::new(HostLimits::default());
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
    let loader = Loader::new(&plain, Arc::clone(&limits), Arc::default())
        .map_err(|error| internal(&error))?;
    let candidate = loader.candidate(service, bytes.into(), (manifest, generation))?;
    let component = match compiled(&plain, candidate.bytes()) {
        Err(Rejection::Async(_)) => compiled(&engine(Concurrency::On)?, candidate.bytes())?,
        component => component?,
    };
    Ok(candidate.link(Compiled { component, in_use: None })?.info(None))
}
