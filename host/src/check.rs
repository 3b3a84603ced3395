//! What a host would say of one file, a plugin or a manifest, without a host.

use std::path::Path;

use jackfield_transport::StateDir;
use jackfield_wire::reflect::ServiceInfo;

use crate::compile::Compiler;
use crate::manifest::{HostFile, PluginSettings};
use crate::plugin::Rejection;
use crate::reload::{self, Workshop};

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
/// behind: see [`Trial`]. Must be called inside a tokio runtime with time and I/O.
///
/// # Cost
/// A compilation: from milliseconds to half a minute, by `compiler`. A start and a self-test, of the
/// plugin's default deadline at most. Compiled code is kept in `state`, where hosts of this user
/// find it, too.
///
/// # Cancel safety
/// Dropping it ends the compiler and the guest.
pub async fn check(
    path: &Path,
    host: &HostFile,
    compiler: Compiler,
    state: &StateDir,
) -> CheckReport {
    let plugin = path.with_extension("wasm");
    let manifest = path.extension().is_some_and(|end| end == "toml");
    let report = match manifest && !plugin.exists() {
        true => alone(path, host),
        false => examine(if manifest { &plugin } else { path }, host, compiler, state).await,
    };
    report.unwrap_or_else(CheckReport::Rejected)
}

fn alone(path: &Path, host: &HostFile) -> Result<CheckReport, Rejection> {
    let manifest = reload::manifest(path)?;
    let settings = manifest.resolve(&host.limits, &host.plugins).map_err(Rejection::Manifest)?;
    Ok(CheckReport::Manifest(Box::new(settings)))
}

async fn examine(
    path: &Path,
    host: &HostFile,
    compiler: Compiler,
    state: &StateDir,
) -> Result<CheckReport, Rejection> {
    let workshop =
        Workshop { only_harmless_trials: true, ..Workshop::alone(host, compiler, state)? };
    let plugin = Box::pin(workshop.load_once(path)).await?;
    let settings = plugin.settings().clone();
    let trial = match settings.grants.have_lasting_effects() {
        true => Trial::NotRun,
        false => Trial::Passed,
    };
    let (info, warnings) = (plugin.info(None), plugin.doubts());
    Ok(CheckReport::Serves(Box::new(Checked { info, settings, warnings, trial })))
}
