//! A plugin's source folder: which tools build it, and what the component is called.
//!
//! The rule is small on purpose. The first of four files that is there says what the project is;
//! `Cargo.toml` and `package.json` hold its name, elsewhere the folder's name is it. Built is
//! `NAME.wasm` in that folder, beside `NAME.toml` if it has a manifest: so the folder can be served
//! as it is.

use std::fs;
use std::path::{Path, PathBuf};

use jackfield_wire::ServiceName;
use serde::Deserialize;

use crate::exit::Exit;
use crate::problem::{Outcome, Problem};

/// A project that can be built.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    dir: PathBuf,
    kind: Kind,
    name: ServiceName,
}

/// Who builds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// cargo
    Rust,
    /// npm
    JavaScript,
    /// componentize-py
    Python,
    /// make: C, and whatever else has a Makefile that leaves `build/plugin.wasm`
    Make,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Rust, Self::JavaScript, Self::Python, Self::Make];

    /// The file by which it is known.
    pub(crate) fn marker(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::JavaScript => "package.json",
            Self::Python => "requirements.txt",
            Self::Make => "Makefile",
        }
    }

    /// The tool that people know.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Rust => "cargo",
            Self::JavaScript => "npm",
            Self::Python => "componentize-py",
            Self::Make => "make",
        }
    }
}

impl Project {
    /// The project in `dir`.
    ///
    /// # Errors
    /// When there is none, or its name cannot be a service's.
    pub(crate) fn at(dir: &Path) -> Outcome<Self> {
        let shown = dir.display();
        if !dir.is_dir() {
            return Err(Problem::new(Exit::NotFound, format!("there is no folder {shown}"))
                .next(format!("to begin a project: jackfield new {} --lang rust", stem(dir))));
        }
        let Some(kind) = Kind::ALL.into_iter().find(|kind| dir.join(kind.marker()).is_file())
        else {
            let markers = Kind::ALL.map(Kind::marker).join(", ");
            return Err(Problem::new(Exit::NotFound, format!("{shown} is no plugin's project"))
                .next(format!("a project has one of these files: {markers}"))
                .next("to begin one: jackfield new NAME --lang rust (or js, python, c)"));
        };
        let dir = std::path::absolute(dir).map_err(|error| Problem::usage(error.to_string()))?;
        let name = match kind {
            Kind::Rust => named_by(&dir.join(kind.marker()), cargo_name)?,
            Kind::JavaScript => named_by(&dir.join(kind.marker()), npm_name)?,
            Kind::Python | Kind::Make => folder_name(&dir)?,
        };
        let name = ServiceName::new(&name).map_err(|error| {
            let what = format!("the project in {shown} is called {name:?}: {error}");
            Problem::usage(what).next("give it a name that a service can have")
        })?;
        Ok(Self { dir, kind, name })
    }

    /// Its folder, as an absolute path.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its name, and its service's unless a manifest says otherwise.
    pub(crate) fn name(&self) -> &ServiceName {
        &self.name
    }

    /// Who builds it.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Where the component is, once built.
    pub(crate) fn component(&self) -> PathBuf {
        self.dir.join(format!("{}.wasm", self.name))
    }

    /// Where tools leave theirs, cargo excepted.
    pub(crate) fn raw(&self) -> PathBuf {
        self.dir.join(BUILD).join("plugin.wasm")
    }
}

/// The folder of what is made on the way.
const BUILD: &str = "build";

fn stem(dir: &Path) -> String {
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "NAME".into())
}

fn folder_name(dir: &Path) -> Outcome<String> {
    // `.` and links lead to the folder that has a name.
    let real = fs::canonicalize(dir).map_err(|error| {
        Problem::new(Exit::NotFound, format!("cannot find {}: {error}", dir.display()))
    })?;
    real.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .ok_or_else(|| Problem::usage("the root folder cannot be a project: it has no name"))
}

fn named_by(file: &Path, read: fn(&str) -> Result<String, String>) -> Outcome<String> {
    let shown = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| Problem::new(Exit::NotFound, format!("cannot read {shown}: {error}")))?;
    read(&text).map_err(|error| Problem::usage(format!("{shown}: {error}")))
}

fn cargo_name(text: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Manifest {
        package: Option<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
    }
    let manifest: Manifest = toml::from_str(text).map_err(|error| error.to_string())?;
    let package = manifest.package.ok_or("it has no [package]; name the folder of one plugin")?;
    Ok(package.name)
}

fn npm_name(text: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Package {
        name: Option<String>,
    }
    let package: Package = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let name = package.name.ok_or("it has no \"name\"; give it one, as in \"name\": \"hello\"")?;
    // `@scope/name`
    Ok(name.rsplit('/').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn project(files: &[(&str, &str)]) -> (TempDir, Outcome<Project>) {
        let folder = TempDir::with_prefix("folder-").unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let project = Project::at(folder.path());
        (folder, project)
    }

    fn refusal(files: &[(&str, &str)]) -> String {
        let (_folder, project) = project(files);
        let problem = project.unwrap_err();
        let (what, next) = problem.text().unwrap();
        format!("{what} {}", next.join(" "))
    }

    #[test]
    fn the_first_file_that_is_there_says_what_it_is() {
        let cargo = ("Cargo.toml", "[package]\nname = \"abc\"");
        let npm = ("package.json", r#"{"name": "@me/def"}"#);
        let make = ("Makefile", "");
        for (files, kind, name) in [
            (&[make, npm, cargo][..], Kind::Rust, "abc"),
            (&[make, npm], Kind::JavaScript, "def"),
            (&[("requirements.txt", ""), make], Kind::Python, "folder-"),
            (&[make], Kind::Make, "folder-"),
        ] {
            let (_folder, project) = project(files);
            let project = project.unwrap();
            assert_eq!(project.kind(), kind);
            assert!(project.name.as_str().starts_with(name), "{project:?}");
        }
    }

    #[test]
    fn what_is_no_project_or_has_no_name_says_what_to_do() {
        assert!(refusal(&[]).contains("Cargo.toml, package.json, requirements.txt, Makefile"));
        assert!(refusal(&[("Cargo.toml", "[workspace]")]).contains("no [package]"));
        assert!(refusal(&[("package.json", "{}")]).contains("no \"name\""));
        assert!(refusal(&[("package.json", "{")]).contains("line 1"));
        assert!(refusal(&[("package.json", r#"{"name": "a b"}"#)]).contains("\"a b\""));
    }
}
