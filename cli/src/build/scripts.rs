//! Tools that leave `build/plugin.wasm`: npm's script, componentize-py, make.
//!
//! npm and pip install what a project names before its first build, into the project, and again
//! when that list has changed.

use std::fs;
use std::path::Path;

use super::bindings;
use super::tool::Tool;
use super::wit;
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::project::{Kind, Project};

/// Runs the script `build` of `package.json`.
pub(super) async fn javascript(project: &Project) -> Outcome {
    let dir = project.dir();
    let npm = Tool { name: "npm", install: NODE };
    let install = async || npm.run("npm", ["install", "--no-audit", "--no-fund"], dir).await;
    once(project, "node_modules", install).await?;
    let built = npm.run("npm", ["run", "--silent", "build"], dir).await;
    built.map_err(|problem| wit::explain(problem, project))
}

/// Runs componentize-py over `app.py`.
pub(super) async fn python(project: &Project) -> Outcome {
    let dir = project.dir();
    let python = Tool { name: "python3 with its venv module", install: PYTHON };
    let bin = dir.join(VENV).join("bin");
    let tool = |name: &'static str, install: &'static str| (Tool { name, install }, bin.join(name));
    let install = async || {
        python.run("python3", ["-m", "venv", VENV], dir).await?;
        let (pip, path) = tool("pip", PYTHON);
        pip.run(path, ["install", "--quiet", "-r", Kind::Python.marker()], dir).await
    };
    once(project, VENV, install).await?;
    let (componentize, path) =
        tool("componentize-py", "add componentize-py==0.25.1 to requirements.txt");
    let raw = project.raw();
    let raw = raw.strip_prefix(dir).unwrap_or(&raw).to_string_lossy().into_owned();
    let args = ["--quiet", "--wit-path", wit::FOLDER, "componentize", "app", "--output", &raw];
    componentize.run(path, args, dir).await
}

/// Runs make, where there is C with the bindings made before.
pub(super) async fn make(project: &Project) -> Outcome {
    if bindings::wanted(project) {
        bindings::write(project).await?;
    }
    Tool { name: "make", install: MAKE }.run("make", ["build/plugin.wasm"], project.dir()).await
}

/// Installs into `folder` what the project names, unless that is there already.
async fn once(project: &Project, folder: &str, install: impl AsyncFnOnce() -> Outcome) -> Outcome {
    let list = project.dir().join(project.kind().marker());
    let stamp = project.dir().join(folder).join(STAMP);
    let wanted = fs::read(&list).map_err(|error| {
        Problem::new(Exit::NotFound, format!("cannot read {}: {error}", list.display()))
    })?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install().await?;
    keep(&stamp, &wanted)
}

fn keep(stamp: &Path, content: &[u8]) -> Outcome {
    // A project without a dependency has no folder for them.
    let folder = stamp.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).and_then(|()| fs::write(stamp, content)).map_err(|error| {
        Problem::new(Exit::Denied, format!("cannot write {}: {error}", stamp.display()))
    })
}

/// Holds the list that was installed.
const STAMP: &str = ".jackfield-installed";

/// Where a project keeps its Python tools.
const VENV: &str = ".venv";

pub(crate) const NODE: &str =
    "apt install nodejs npm (or from https://nodejs.org; version 18 or newer)";

pub(crate) const PYTHON: &str = "apt install python3 python3-venv (version 3.10 or newer)";

pub(crate) const MAKE: &str = "apt install make";
