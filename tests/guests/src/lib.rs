//! Guests for tests and for the demo: the example plugins and the fixtures, built when first needed.
//!
//! - [`plugin`], [`all_plugins`] and [`fixture`] are what tests call. They panic with the whole story when a guest cannot
//!   be had, because a test has nothing better to do. [`prepare`] returns the same story as an error.
//! - Where Rust's `wasm32-wasip2` target is installed, one nested cargo call per process builds the Rust guests into
//!   `guests/` of the running program's own target folder; elsewhere the components checked in beside their sources serve.
//!   `JACKFIELD_GUESTS=checked-in` asks for the latter.
//! - [`check`] proves that the checked-in components match their sources, and [`refresh`] makes them so.
//!
//! There is no build script: building, checking or linting the native crates never builds a guest.

mod cargo;
mod freshness;
mod record;
mod sources;

use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use cargo::{Toolchain, target_dir};
pub use freshness::{Verdict, check, refresh};

/// Where the components of this process are.
#[derive(Debug)]
pub struct Guests {
    components: BTreeMap<&'static str, PathBuf>,
    /// Whether they were built just now, and if not, why.
    pub toolchain: Toolchain,
}

/// Builds the guests, or finds the checked-in ones. The first call of a process does the work, the others wait for it.
///
/// # Errors
/// A guest does not build: the text holds the command and what it wrote to stderr.
pub fn prepare() -> Result<&'static Guests> {
    static GUESTS: OnceLock<Result<Guests, String>> = OnceLock::new();
    let made = GUESTS.get_or_init(|| Guests::make().map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|story| anyhow!("{story}"))
}

/// The file of a Rust or C guest, an example plugin or a fixture: `calc`, `greeter-c`, `echo`.
/// Its stem is the name, so that a host serves it under that name.
///
/// # Panics
/// There is no such guest, or it cannot be built.
pub fn plugin(name: &str) -> PathBuf {
    prepare().and_then(|guests| guests.path(name)).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The files of all example plugins, without the fixtures: what the demo serves.
///
/// # Panics
/// They cannot be built.
pub fn all_plugins() -> Vec<PathBuf> {
    sources::PLUGINS.iter().map(|guest| plugin(guest.name)).collect()
}

/// The bytes of a fixture: a WAT file of `plugins/fixtures` by its stem (`spin`), else any guest that [`plugin`] knows.
///
/// # Panics
/// There is no such fixture, or it cannot be built.
pub fn fixture(name: &str) -> Vec<u8> {
    try_fixture(name).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The names of all fixtures, in WAT and in Rust: for a test that every one of them is used.
///
/// # Panics
/// `plugins/fixtures` cannot be read.
pub fn fixture_names() -> Vec<String> {
    sources::wat_names()
        .unwrap_or_else(|error| panic!("{error:#}"))
        .into_iter()
        .chain(sources::FIXTURES.iter().map(|guest| guest.name.to_owned()))
        .collect()
}

impl Guests {
    /// The file of one guest.
    ///
    /// # Errors
    /// There is none of that name: the text lists those that there are.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        self.components.get(name).cloned().with_context(|| {
            let known: Vec<_> = self.components.keys().copied().collect();
            format!("no guest is called {name:?}; there are {}", known.join(", "))
        })
    }

    fn make() -> Result<Self> {
        let toolchain = Toolchain::find();
        let built = match &toolchain {
            Toolchain::Present { .. } => Some(cargo::build()?),
            Toolchain::Absent { .. } => None,
        };
        let components = sources::all().map(|guest| {
            let path = built.as_deref().filter(|_| guest.is_rust()).map(|dir| guest.built(dir));
            (guest.name, path.unwrap_or_else(|| guest.checked_in()))
        });
        let guests = Self { components: components.collect(), toolchain };
        guests.components.values().try_for_each(|path| exists(path))?;
        Ok(guests)
    }
}

fn exists(path: &Path) -> Result<()> {
    if !path.is_file() {
        bail!("the component {} is missing; `git checkout` it or build the guests", path.display());
    }
    Ok(())
}

fn try_fixture(name: &str) -> Result<Vec<u8>> {
    let wat = sources::plugins_dir().join("fixtures").join(format!("{name}.wat"));
    if wat.is_file() {
        return wat::parse_file(&wat)
            .with_context(|| format!("{} is not valid WAT", wat.display()));
    }
    let path = prepare()?.path(name).with_context(|| {
        format!(
            "no WAT fixture either; those are {}",
            sources::wat_names().unwrap_or_default().join(", ")
        )
    })?;
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}
