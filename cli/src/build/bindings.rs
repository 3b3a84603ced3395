//! C: the bindings of `wit/`, written to `build/` before make runs.
//!
//! They come from the library behind the command `wit-bindgen`, so that a plugin in C needs nothing
//! but a C compiler. A file that would stay the same is left alone: make builds only what changed.

use std::any::Any;
use std::fmt::Display;
use std::fs;
use std::path::Path;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::{PackageId, Resolve};

use super::wit;
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::project::Project;

/// Whether a project has C in `src/`.
pub(super) fn wanted(project: &Project) -> bool {
    let files = fs::read_dir(project.dir().join(SOURCES)).into_iter().flatten().flatten();
    files.map(|file| file.path()).any(|path| path.extension().is_some_and(|end| end == "c"))
}

/// Writes `plugin.c`, `plugin.h` and `plugin_component_type.o`.
///
/// # Errors
/// No WIT; one with a mistake, with its place; one that C has no bindings for.
pub(super) async fn write(project: &Project) -> Outcome {
    if !wit::folder(project).is_dir() {
        let what = format!("{} has C in {SOURCES}/, but no folder wit", project.dir().display());
        return Err(Problem::new(Exit::NotFound, what)
            .next("say in wit/plugin.wit what the plugin offers: docs/tutorial-c.md"));
    }
    let of = project.clone();
    // On a thread of its own also because the generator panics at what it cannot do yet.
    let made = match tokio::task::spawn_blocking(move || generate(&of)).await {
        Ok(made) => made,
        Err(error) => Err(unfinished(error.try_into_panic().ok())),
    };
    let folder = project.dir().join(BUILD);
    for (name, content) in made?.iter() {
        keep(&folder.join(name), content)?;
    }
    Ok(())
}

fn generate(project: &Project) -> Outcome<Files> {
    let (mut resolve, package) = wit::read(project)?;
    let failed = |error: &dyn Display| {
        let folder = wit::folder(project);
        Problem::new(Exit::Failed, format!("no bindings of {}: {error:#}", folder.display()))
    };
    let world = resolve
        .select_world(&[package], world(&resolve, package))
        .map_err(|error| failed(&error).next(format!("call the plugin's world {WORLD}")))?;
    // The Makefile knows one name, whatever the world is called.
    let options = wit_bindgen_c::Opts { rename_world: Some(WORLD.into()), ..Default::default() };
    let mut files = Files::default();
    let made = options.build().generate(&mut resolve, world, &mut files);
    made.map(|()| files).map_err(|error| failed(&error))
}

/// The world to take where a package has several; `None` leaves only one.
fn world(resolve: &Resolve, package: PackageId) -> Option<&'static str> {
    resolve.packages[package].worlds.contains_key(WORLD).then_some(WORLD)
}

fn unfinished(panic: Option<Box<dyn Any + Send>>) -> Problem {
    let said = panic.as_ref().and_then(|panic| {
        panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied())
    });
    let said = said.unwrap_or("the generator ended in the middle");
    let what = format!("wit/ has something that there are no bindings for in C: {said}");
    Problem::new(Exit::Failed, what)
        .next("lists of a fixed length and error-context have none yet: leave them out")
}

fn keep(file: &Path, content: &[u8]) -> Outcome {
    if fs::read(file).is_ok_and(|there| there == content) {
        return Ok(());
    }
    fs::write(file, content).map_err(|error| {
        Problem::new(Exit::Denied, format!("cannot write {}: {error}", file.display()))
    })
}

/// Where a project's sources are.
const SOURCES: &str = "src";

/// Where what is made on the way goes.
const BUILD: &str = "build";

/// What the templates call a plugin's world, and the files of its bindings.
const WORLD: &str = "plugin";
