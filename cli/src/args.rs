//! What was typed, as types. No I/O, no meaning: the commands give it that.

mod author;
pub(crate) mod balancing;
mod call;
mod config;
mod gateway;
mod help;
mod operate;
pub(crate) mod rest;
mod serve;
mod store;
mod top;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{
    Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, ValueHint,
};
use clap_complete::ArgValueCompleter;
use jackfield_host::HostFile;
use jackfield_wire::{Namespace, ServiceName};

use crate::complete;
use crate::config::{ConfigFile, lay};
use crate::problem::Problem;
use crate::terminal::ColorChoice;
pub(crate) use author::{BuildArgs, Language, NewArgs, TestArgs, WitArgs};
pub(crate) use call::{BenchArgs, CallArgs, LoadArgs, RequestArgs};
pub(crate) use config::{ConfigArgs, ConfigTask, DoctorArgs, IdentityArgs, Role};
pub(crate) use gateway::{GatewayArgs, HttpArgs, McpArgs};
pub(crate) use operate::{
    DeregisterArgs, InstanceArgs, InstanceCommand, InstanceSetArgs, RegisterArgs, ServiceArgs,
    ServiceCommand, ServiceSetArgs, Setting, WatchArgs,
};
pub(crate) use serve::{DevArgs, HostArgs, MetricsArgs, RegistryArgs};
pub(crate) use store::RegistryTask;
pub(crate) use top::{Column, TopArgs, View};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "jackfield",
    version,
    about = "Call functions of WebAssembly components over the network",
    long_about = help::ABOUT,
    after_help = help::FIRST_STEPS,
    after_long_help = help::after_long(),
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// What to log on stderr: error, warn, info, debug, trace, or a filter such as
    /// `warn,jackfield_host=debug` [default: info for servers and warn otherwise]
    #[arg(long, global = true, value_name = "FILTER", env = "RUST_LOG", hide_env_values = true)]
    pub(crate) log: Option<String>,

    /// Colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    pub(crate) color: ColorChoice,

    /// Private folder of this user: certificates, compile cache, the registry's files
    /// [default: $XDG_STATE_HOME/jackfield or ~/.local/state/jackfield]
    #[arg(long, global = true, value_name = "DIR", env = "JACKFIELD_STATE", hide_env_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) state: Option<PathBuf>,

    /// Identity set up on purpose: a folder with ca.pem, cert.pem and key.pem. Needed to listen
    /// on anything but loopback
    #[arg(long, global = true, value_name = "DIR", env = "JACKFIELD_IDENTITY", hide_env_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) identity: Option<PathBuf>,

    /// Settings in TOML, of every role: see `jackfield config --help`. What is typed, and the
    /// environment, go before them
    #[arg(long, global = true, value_name = "FILE", env = "JACKFIELD_CONFIG", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// The limits of hosts in that file.
    #[arg(skip)]
    pub(crate) host: HostFile,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a registry and a host together on this machine, reloading plugins as they change
    #[command(after_help = help::DEV)]
    Dev(DevArgs),
    /// Run the registry, where hosts announce themselves and clients find them
    #[command(after_help = help::REGISTRY)]
    Registry(RegistryArgs),
    /// Serve the plugins of a folder
    #[command(after_help = help::HOST)]
    Host(HostArgs),
    /// Let programs call by HTTP and JSON
    #[command(after_help = help::GATEWAY)]
    Gateway(GatewayArgs),
    /// Offer methods as tools to the agent that starts this, by MCP on stdin and stdout
    #[command(after_help = help::MCP)]
    Mcp(McpArgs),
    /// Call a method
    #[command(after_help = help::CALL, override_usage = help::CALL_USAGE)]
    Call(CallArgs),
    /// Call a method over and over, and say how many answers came and how soon
    #[command(after_help = help::BENCH, override_usage = help::BENCH_USAGE)]
    Bench(BenchArgs),
    /// List the services
    #[command(after_help = help::LS)]
    Ls(LsArgs),
    /// Show a service's methods: types, documentation, an example call
    #[command(after_help = help::DESCRIBE)]
    Describe(DescribeArgs),
    /// Return to the version of a service before the one that serves
    #[command(after_help = help::ROLLBACK)]
    Rollback(RollbackArgs),
    /// Show changes of services and settings as they happen
    #[command(after_help = help::WATCH)]
    Watch(WatchArgs),
    /// Show live how services, methods and hosts fare: rates, latency, errors, memory, traps
    #[command(after_help = help::TOP)]
    Top(TopArgs),
    /// Register an endpoint that is no wasm host, such as a model server
    #[command(after_help = help::REGISTER)]
    Register(RegisterArgs),
    /// Take an instance back
    #[command(after_help = help::DEREGISTER)]
    Deregister(DeregisterArgs),
    /// Show an instance, or order something about it that outlives its registrations
    #[command(after_help = help::INSTANCE)]
    Instance(InstanceArgs),
    /// Show or set how a service is called by those who do not say it themselves
    #[command(after_help = help::SERVICE)]
    Service(ServiceArgs),
    /// Write a small plugin project
    #[command(after_help = help::NEW)]
    New(NewArgs),
    /// Give a plugin project the WIT of what Jackfield offers to plugins
    #[command(after_help = help::WIT)]
    Wit(WitArgs),
    /// Build a plugin project with its own tools
    #[command(after_help = help::BUILD)]
    Build(BuildArgs),
    /// Call a plugin in this process and compare its answers with those expected
    #[command(after_help = help::TEST)]
    Test(TestArgs),
    /// Say what a host would make of a plugin and its manifest
    #[command(after_help = help::CHECK)]
    Check(CheckArgs),
    /// Check a settings file, or show what a role would run with
    #[command(after_help = help::CONFIG)]
    Config(ConfigArgs),
    /// Make an identity, for a machine that others talk to over the network
    #[command(after_help = help::IDENTITY)]
    Identity(IdentityArgs),
    /// Say what is wrong with this set-up, and what mends it
    #[command(after_help = help::DOCTOR)]
    Doctor(DoctorArgs),
    /// Print the shell's completion script
    #[command(after_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Compile a plugin for a host, which starts this itself
    #[command(hide = true)]
    Compile,
}

/// Where the registry is.
#[derive(Clone, Debug, Args)]
pub(crate) struct RegistryAddress {
    /// A registry; may be given several times, or separated by commas
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "JACKFIELD_REGISTRY",
        hide_env_values = true,
        value_delimiter = ',',
        default_value = DEFAULT_REGISTRY,
        value_parser = address
    )]
    pub(crate) registry: Vec<String>,
    /// The namespace in which names of services count
    #[arg(
        long,
        value_name = "NAME",
        env = "JACKFIELD_NAMESPACE",
        hide_env_values = true,
        default_value_t = Namespace::default()
    )]
    pub(crate) namespace: Namespace,
}

/// `ls`
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only this service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub(crate) service: Option<String>,
    /// With methods and their signatures
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Also methods that a tool made for its own use
    #[arg(short, long)]
    pub(crate) all: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// `describe`
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// The service, or one method of it
    #[arg(value_name = "SERVICE[.METHOD]", add = ArgValueCompleter::new(complete::services_or_targets))]
    pub(crate) target: String,
    /// Also methods that a tool made for its own use
    #[arg(short, long)]
    pub(crate) all: bool,
    /// As JSON, with JSON Schema
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
    /// Ask this host, without a registry
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    pub(crate) direct: Option<String>,
}

/// `rollback`
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub(crate) service: ServiceName,
    /// On this host alone, by its name in `ls`; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
    /// On the host at this address, without a registry
    #[arg(long, value_name = "ADDR:PORT", value_parser = address, conflicts_with = "host")]
    pub(crate) direct: Option<String>,
}

/// `check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The component, or the manifest of one
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Also methods that a tool made for its own use
    #[arg(short, long)]
    pub(crate) all: bool,
    /// As JSON, with JSON Schema
    #[arg(long)]
    pub(crate) json: bool,
}

/// `completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// The shells that there is a script for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Cli {
    /// Reads the command line, the environment and the settings file that they name.
    ///
    /// # Errors
    /// Clap's: also for `--help` and `--version`, to be printed by [`clap::Error::print`]. And what
    /// is wrong with the settings.
    pub(crate) fn read(typed: Vec<OsString>) -> Result<Self, Unread> {
        let colors = ColorChoice::typed(&typed).into();
        let mut command = Self::command().color(colors);
        command.build();
        let split = rest::split(typed, &command).map_err(|error| error.format(&mut command))?;
        let name = rest::name_of_command(&split.for_clap, &command);
        let path = rest::last_typed(&split.for_clap, "--config")
            .or_else(|| std::env::var_os("JACKFIELD_CONFIG"))
            .filter(|path| !path.is_empty() && takes_settings(&name))
            .map(PathBuf::from);
        let file = match path.as_deref().map(ConfigFile::read) {
            Some(Ok(file)) => Some(file),
            // It says so itself, among everything else.
            Some(Err(_)) if name == "doctor" => None,
            Some(Err(error)) => {
                // Help is given whatever is in the file.
                let plain = lay(Self::command().color(colors), &name, None);
                return Err(match plain.try_get_matches_from(split.for_clap) {
                    Err(asked) if !asked.use_stderr() => asked.into(),
                    _ => error.problem(path.as_deref().unwrap_or(Path::new(""))).into(),
                });
            }
            None => None,
        };
        let mut command = lay(Self::command().color(colors), &name, file.as_ref());
        let matches = command.try_get_matches_from_mut(split.for_clap)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|e| e.format(&mut command))?;
        if takes_settings(&name) && cli.common.config != path {
            return Err(Problem::usage("--config= takes no name that is not UTF-8").into());
        }
        cli.common.host = file.map(|file| file.host).unwrap_or_default();
        if let Some(request) = cli.request() {
            request.words = split.words;
            request.named.extend(split.named);
        }
        Ok(cli)
    }

    fn request(&mut self) -> Option<&mut RequestArgs> {
        match &mut self.command {
            Command::Call(CallArgs { request, .. }) => Some(request),
            Command::Bench(BenchArgs { request, .. }) => Some(request),
            _ => None,
        }
    }
}

/// Why a command line cannot be run.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It was not understood, or asks for help.
    Usage(clap::Error),
    /// The settings that it names.
    Settings(Problem),
}

impl From<clap::Error> for Unread {
    fn from(error: clap::Error) -> Self {
        Self::Usage(error)
    }
}

impl From<Problem> for Unread {
    fn from(problem: Problem) -> Self {
        Self::Settings(problem)
    }
}

/// Whether the command has settings. Those that say what is wrong with a file must not fail for it,
/// and a host's child process has none.
fn takes_settings(command: &str) -> bool {
    !["compile", "completions", "config", "new"].contains(&command)
}

/// The registry's port.
pub(crate) const REGISTRY_PORT: u16 = 9999;

/// Where a gateway listens.
pub(crate) const GATEWAY_PORT: u16 = 8080;

/// Where a registry is looked for.
pub(crate) const DEFAULT_REGISTRY: &str = "127.0.0.1:9999";

/// Text that names a host and a port. The name is looked up when it is used.
fn address(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').map(|(host, port)| {
        let bare_ipv6 = host.contains(':') && !host.ends_with(']');
        (!host.is_empty() && !bare_ipv6).then(|| port.parse::<u16>().ok()).flatten()
    });
    match port {
        Some(Some(port)) if port > 0 => Ok(text.to_owned()),
        _ => Err("write ADDR:PORT, as in 127.0.0.1:9999 or [::1]:9999".into()),
    }
}

/// `NAME=VALUE`
fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write NAME=VALUE, as in --param deadline=5".into()),
    }
}

/// `KEY=VALUE`
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write KEY=VALUE, as in tier=gold".into()),
    }
}

#[cfg(test)]
mod documents;
#[cfg(test)]
mod tests;
