//! A project's `wit/`: what it says of the plugin, and what is wrong with it.

use std::fs;
use std::path::PathBuf;

use wit_bindgen_core::wit_parser::{PackageId, Resolve};

use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::project::Project;

/// Where it is.
pub(super) fn folder(project: &Project) -> PathBuf {
    project.dir().join(FOLDER)
}

/// Its text, if it is in one place: what a host reads documentation from.
pub(super) fn text(project: &Project) -> Option<String> {
    let files = fs::read_dir(folder(project)).ok()?;
    let mut files: Vec<_> = files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "wit"))
        .collect();
    files.sort();
    let texts: Vec<_> = files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// Reads it with everything in `wit/deps`.
///
/// # Errors
/// A mistake in it, with its place.
pub(super) fn read(project: &Project) -> Outcome<(Resolve, PackageId)> {
    let mut resolve = Resolve::default();
    match resolve.push_dir(folder(project)) {
        Ok((package, _)) => Ok((resolve, package)),
        Err(error) => Err(Problem::new(Exit::Failed, resolve.render_error(&error))),
    }
}

/// A build that failed, with the mistake in `wit/` if there is one: not every tool says where it is.
/// Never asked before a build, because a tool may know more of WIT than we do.
pub(super) fn explain(problem: Problem, project: &Project) -> Problem {
    if problem.exit() != Exit::Failed || !folder(project).is_dir() {
        return problem;
    }
    match read(project) {
        Err(mistake) => problem.next(mistake.text().unwrap_or_default().0),
        Ok(_) => problem,
    }
}

/// What it is called.
pub(super) const FOLDER: &str = "wit";
