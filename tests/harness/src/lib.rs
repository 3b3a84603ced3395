//! Real processes, folders and waiting, for the scenarios and the demo.
//!
//! A [`Stage`] owns a directory of its own: state, plugin folders, logs. Everything that it starts
//! listens on loopback, on a port that the kernel picked, and is killed when its guard is dropped.

mod folder;
mod load;
mod process;
mod readme;
mod wait;

pub use folder::PluginFolder;
pub use load::{Load, Repeat, Tally};
pub use process::{Finished, Process};
pub use rustix::process::Signal;
pub use wait::{eventually, eventually_blocking};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jackfield_client::Client;
use jackfield_transport::{Identity, Role, StateDir};
use tempfile::TempDir;

/// One user's machine: a state directory, the `jackfield` binary, and room for plugin folders.
pub struct Stage {
    binary: PathBuf,
    home: TempDir,
}

impl Stage {
    /// An empty stage for this `jackfield` binary.
    ///
    /// # Errors
    /// When no temporary directory can be made.
    pub fn new(binary: impl Into<PathBuf>) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("jackfield-").tempdir()?;
        Ok(Self { binary: binary.into(), home })
    }

    /// Where everything of this stage lies.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The state directory: the private authority and caches.
    pub fn state(&self) -> PathBuf {
        self.home().join("state")
    }

    /// An empty plugin folder called `name`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PluginFolder> {
        PluginFolder::create(self.home().join(name))
    }

    /// Starts a registry.
    ///
    /// # Errors
    /// When it does not come up; its log is part of the error.
    pub fn registry(&self) -> Result<Process> {
        self.spawn("registry", &["registry", "-p", "0"])
    }

    /// Starts a registry at an address that one had before.
    ///
    /// # Errors
    /// When it does not come up; its log is part of the error.
    pub fn registry_at(&self, address: SocketAddr) -> Result<Process> {
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        self.spawn("registry", &["registry", "-l", &ip, "-p", &port])
    }

    /// Starts a host of `folder` that registers at `registry`.
    ///
    /// # Errors
    /// When it does not come up; its log is part of the error.
    pub fn host(&self, folder: &PluginFolder, registry: SocketAddr) -> Result<Process> {
        let (name, registry) = (folder.name(), registry.to_string());
        let path = folder.path().to_string_lossy();
        self.spawn(&name, &["host", &path, "--name", &name, "--registry", &registry])
    }

    /// [`Self::host`] within `wrapper`, a command that runs the command after it.
    ///
    /// # Errors
    /// When it does not come up; its log is part of the error.
    pub fn host_in(
        &self,
        wrapper: &[&str],
        folder: &PluginFolder,
        registry: SocketAddr,
    ) -> Result<Process> {
        let (name, registry) = (folder.name(), registry.to_string());
        let (program, rest) = wrapper.split_first().context("a wrapper is a command")?;
        let mut command = self.environment(std::process::Command::new(program));
        command.args(rest).arg(&self.binary).arg("host").arg(folder.path());
        command.args(["--name", &name, "--registry", &registry]);
        Process::spawn(command, &self.home().join(format!("{name}.log")))
            .with_context(|| format!("the host did not start in `{}`", wrapper.join(" ")))
    }

    /// Starts `jackfield ARGS` as a server, and waits until it says where it listens.
    ///
    /// # Errors
    /// When it ends before, or says nothing in time; its log is part of the error.
    pub fn spawn(&self, name: &str, args: &[&str]) -> Result<Process> {
        self.spawn_with(name, args, &[])
    }

    /// [`Self::spawn`] with these variables.
    ///
    /// # Errors
    /// As `spawn`.
    pub fn spawn_with(
        &self,
        name: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Process> {
        let log = self.home().join(format!("{name}.log"));
        let mut command = self.command(args);
        command.envs(variables.iter().copied());
        Process::spawn(command, &log)
            .with_context(|| format!("`jackfield {}` did not start", args.join(" ")))
    }

    /// Runs `jackfield ARGS` to its end.
    ///
    /// # Errors
    /// When the binary cannot be run at all.
    pub fn run(&self, args: &[&str]) -> Result<Finished> {
        Finished::of(self.command(args))
    }

    /// Runs `jackfield COMMAND … --registry REGISTRY` to its end.
    ///
    /// # Errors
    /// When the binary cannot be run at all.
    pub fn run_at(&self, registry: SocketAddr, args: &[&str]) -> Result<Finished> {
        let (command, rest) = args.split_first().context("a command is needed")?;
        let registry = registry.to_string();
        let mut all = vec![*command, "--registry", &registry];
        all.extend(rest);
        self.run(&all)
    }

    /// A library client of this user.
    ///
    /// # Errors
    /// When its identity or its socket cannot be made.
    pub async fn client(&self, registry: SocketAddr) -> Result<Client> {
        let state = StateDir::resolve(Some(&self.state()))?;
        let identity = Identity::local(&state, Role::Client, "scenario")?;
        Ok(Client::builder().registry(registry.to_string()).identity(identity).build().await?)
    }

    /// `jackfield ARGS`, with nothing of the surrounding environment but the path.
    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.environment(std::process::Command::new(&self.binary));
        command.args(args);
        command
    }

    fn environment(&self, mut command: std::process::Command) -> std::process::Command {
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        command.env("JACKFIELD_STATE", self.state()).current_dir(self.home());
        command
    }
}
