//! `build`: runs a project's own tools and puts the component beside its sources.
//!
//! C gets the bindings of `wit/` before, and a core module becomes a component after: both are done
//! here, because their tools are in no distribution. What the tools make has no documentation, because
//! the component encoding drops it: the text of `wit/` goes along in a section of its own. The file is replaced by a rename, so a
//! host that serves the folder never sees half of one; a build that fails leaves the last one.

mod bindings;
mod cargo;
mod component;
mod scripts;
mod tool;
mod wit;

use std::fs;
use std::path::{Path, PathBuf};

use jackfield_host::documented;

use crate::args::{BuildArgs, CheckArgs, Common};
use crate::check;
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::project::{Kind, Project};
use crate::setup;
use crate::terminal::Terminal;
pub(crate) use scripts::{MAKE, NODE, PYTHON};

/// Builds, and says what a host would make of it.
pub(crate) fn run(args: BuildArgs, common: &Common, terminal: Terminal) -> Outcome {
    let project = Project::at(&args.dir)?;
    let component = setup::client_runtime()?.block_on(build(&project))?;
    let size = fs::metadata(&component).map(|file| file.len()).unwrap_or_default();
    terminal.out(format!("built {} ({size} bytes)", component.display()))?;
    terminal.out("")?;
    let check = CheckArgs { file: component, all: false, json: false };
    check::run(check, common, terminal)
}

/// Builds, and gives the component's path. The tools' output goes to stderr as it comes.
///
/// # Cancel safety
/// Dropping it ends the tool that runs.
///
/// # Errors
/// A tool that is missing, with the command that installs it; a build that failed. The component of
/// the last build stays.
pub(crate) async fn build(project: &Project) -> Outcome<PathBuf> {
    let raw = match project.kind() {
        Kind::Rust => cargo::build(project).await?,
        Kind::JavaScript => made(project, scripts::javascript).await?,
        Kind::Python => made(project, scripts::python).await?,
        Kind::Make => made(project, scripts::make).await?,
    };
    let bytes = fs::read(&raw).map_err(|error| {
        Problem::new(
            Exit::Failed,
            format!("cannot read what was built, {}: {error}", raw.display()),
        )
    })?;
    let bytes = component::of(bytes)?;
    let bytes = match wit::text(project) {
        Some(text) => documented(bytes, &text),
        None => bytes,
    };
    let component = project.component();
    replace(&component, &bytes).map_err(|error| {
        Problem::new(Exit::Denied, format!("cannot write {}: {error}", component.display()))
    })?;
    Ok(component)
}

/// Builds with tools that leave `build/plugin.wasm`.
async fn made(project: &Project, run: impl AsyncFnOnce(&Project) -> Outcome) -> Outcome<PathBuf> {
    let raw = project.raw();
    // What an earlier build left must not pass for this one's.
    let folder = raw.parent().unwrap_or(project.dir());
    let cleared = fs::create_dir_all(folder).and_then(|()| match raw.exists() {
        true => fs::remove_file(&raw),
        false => Ok(()),
    });
    cleared.map_err(|error| {
        Problem::new(Exit::Denied, format!("cannot write to {}: {error}", folder.display()))
    })?;
    run(project).await?;
    if !raw.is_file() {
        let what = format!("{} ended well, but made no {}", project.kind().word(), raw.display());
        return Err(Problem::new(Exit::Failed, what).next("let it write the component there"));
    }
    Ok(raw)
}

/// Whether Rust can make components of a project in `dir`.
pub(crate) async fn check_rust(dir: &Path) -> Outcome {
    cargo::check_target(dir).await
}

/// Whether a program is where the shell would find it.
pub(crate) fn is_installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // Hidden: hosts do not look at it.
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = file.with_file_name(format!(".{name}.new"));
    fs::write(&new, bytes)?;
    fs::rename(&new, file)
}
