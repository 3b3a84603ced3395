//! Jackfield's side: a registry and a host from the binary, as users start them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{Process, here};

/// The processes that serve, and where everything of them is.
#[derive(Debug)]
pub(crate) struct Jackfield {
    pub(crate) binary: PathBuf,
    folder: PathBuf,
    pub(crate) registry: String,
    pub(crate) host: Process,
    _registry: Process,
}

impl Jackfield {
    /// Starts them, with `greeter` and `echo` under two names each: fresh instances are the
    /// default, `warm` ones are kept.
    ///
    /// # Errors
    /// When one does not start.
    pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let plugins = folder.join("plugins");
        fs::create_dir(&plugins)?;
        for (guest, name) in [("greeter", ""), ("fixtures/echo", "-echo")] {
            for kind in ["fresh", "warm"] {
                fs::copy(component(guest)?, plugins.join(format!("{kind}{name}.wasm")))?;
            }
            let manifest = "[instances]\nstrategy = \"reuse\"\ncalls = 1000\n";
            fs::write(plugins.join(format!("warm{name}.toml")), manifest)?;
        }
        let command = |args: &[&str]| {
            let mut command = Command::new(binary);
            command
                .args(args)
                .args(["--log", "error"])
                .env("JACKFIELD_STATE", folder.join("state"));
            command
        };
        let first = Process::start(&mut command(&["registry", "-p", "0", "--store", "memory:"]))?;
        let registry = address(&first)?;
        let plugins = plugins.to_str().context("a temporary folder has a plain name")?;
        let host = Process::start(&mut command(&["host", plugins, "--registry", &registry]))?;
        let (binary, folder) = (binary.to_owned(), folder.to_owned());
        Ok(Self { binary, folder, registry, host, _registry: first })
    }

    /// A command with this run's state folder.
    pub(crate) fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("JACKFIELD_STATE", self.folder.join("state"));
        command.env("JACKFIELD_REGISTRY", &self.registry);
        command
    }

    /// A host by itself that serves `greeter` under `count` names, `p0` and on, and has started before,
    /// so that nothing had to be compiled.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn host_of_greeters(&self, count: usize) -> Result<Process> {
        let folder = self.folder.join(format!("greeters-{count}"));
        fs::create_dir_all(&folder)?;
        for number in 0..count {
            fs::copy(component("greeter")?, folder.join(format!("p{number}.wasm")))?;
        }
        let settings = folder.join("host.settings");
        fs::write(&settings, format!("[host]\nplugins = {}\n", count.max(1)))?;
        let [folder, settings] = [&folder, &settings].map(|path| path.to_str());
        let (folder, settings) = folder.zip(settings).context("a plain name")?;
        let start = || {
            let args = ["host", folder, "--config", settings, "--log", "error"];
            let mut command = self.command(&self.binary, &args);
            Process::start(command.env_remove("JACKFIELD_REGISTRY"))
        };
        drop(start()?);
        start()
    }

    /// A registry that knows nobody.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn another_registry(&self) -> Result<Process> {
        let args = ["registry", "-p", "0", "--store", "memory:", "--log", "error"];
        Process::start(&mut self.command(&self.binary, &args))
    }

    /// A folder with `count` plugins, the examples over and over.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn folder_of(&self, count: usize) -> Result<PathBuf> {
        let folder = self.folder.join(format!("plugins-{count}"));
        fs::create_dir_all(&folder)?;
        for number in 0..count {
            let guest = ["greeter", "calc", "text", "shapes"][number % 4];
            // `fresh` is what the client's program calls.
            let name = if number == 0 { "fresh".into() } else { format!("{guest}-{number}") };
            fs::copy(component(guest)?, folder.join(format!("{name}.wasm")))?;
        }
        Ok(folder)
    }
}

/// Where a process that has said so listens.
pub(crate) fn address(process: &Process) -> Result<String> {
    let mut words = process.line.split_whitespace();
    let address = words.find_map(|word| word.parse::<std::net::SocketAddr>().ok());
    Ok(address.with_context(|| format!("no address in {:?}", process.line))?.to_string())
}

/// The component that is checked in.
fn component(guest: &str) -> Result<PathBuf> {
    let name = guest.rsplit('/').next().context("a guest has a name")?;
    let path = here().join("../../plugins").join(guest).join(format!("{name}.wasm"));
    path.canonicalize().with_context(|| format!("no component {}", path.display()))
}
