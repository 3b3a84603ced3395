//! A host's folder, filled as people fill it: whole files renamed into place.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A folder of plugins.
pub struct PluginFolder(PathBuf);

impl PluginFolder {
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its last part.
    pub fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Puts the example plugin `name` in, under its own name.
    ///
    /// # Errors
    /// When it cannot be built or written.
    pub fn add(&self, name: &str) -> Result<()> {
        self.put(name, &fs::read(jackfield_guests::plugin(name))?)
    }

    /// Puts the fixture `fixture` in as the service `service`.
    ///
    /// # Errors
    /// When it cannot be built or written.
    pub fn put_fixture(&self, service: &str, fixture: &str) -> Result<()> {
        self.put(service, &jackfield_guests::fixture(fixture))
    }

    /// Puts `bytes` in as the plugin file of `service`, in one step, replacing what was there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, service: &str, bytes: &[u8]) -> Result<()> {
        let partial = self.0.join(format!(".{service}.partial"));
        fs::write(&partial, bytes)?;
        fs::rename(&partial, self.file(service)).context("cannot rename into the folder")
    }

    /// Takes the plugin file of `service` out.
    ///
    /// # Errors
    /// When it is not there.
    pub fn remove(&self, service: &str) -> Result<()> {
        fs::remove_file(self.file(service)).with_context(|| format!("cannot remove {service}"))
    }

    fn file(&self, service: &str) -> PathBuf {
        self.0.join(format!("{service}.wasm"))
    }
}
