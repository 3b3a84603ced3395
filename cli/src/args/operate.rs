//! What operators type: endpoints, orders, settings.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;
use jackfield_wire::ServiceName;
use jackfield_wire::registry::RetryFactor;
use jackfield_wire::units::parse_duration;

use super::{RegistryAddress, address, pair};
use crate::complete;

/// `watch`
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Only this service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub(crate) service: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// `register`
#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// The service that it offers
    #[arg(value_name = "SERVICE")]
    pub(crate) service: ServiceName,
    /// Where it is
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub(crate) address: String,
    /// Its share of calls for weighted pickers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) weight: u32,
    /// Something to tell callers, such as a prompt template; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// Its version
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// Which part of the network it is in
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Its name, unique within the service [default: its address]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Vouch for it by heartbeats until Ctrl-C, which takes it back. Without this it stays, whatever
    /// becomes of it, until `jackfield deregister`
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// `deregister`
#[derive(Debug, Args)]
pub(crate) struct DeregisterArgs {
    /// Which: SERVICE@HOST, as `jackfield ls` shows it
    #[arg(value_name = "SERVICE@HOST", required = true, add = ArgValueCompleter::new(complete::instances_by_id))]
    pub(crate) instances: Vec<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// `instance`
#[derive(Debug, Args)]
pub(crate) struct InstanceArgs {
    #[command(subcommand)]
    pub(crate) command: InstanceCommand,
}

/// What to do with an instance.
#[derive(Debug, Subcommand)]
pub(crate) enum InstanceCommand {
    /// Show all that is known of it
    Show(InstanceShowArgs),
    /// Order something about it
    Set(InstanceSetArgs),
    /// Take back everything that was ordered about it
    Unset(InstanceUnsetArgs),
}

/// `instance show`
#[derive(Debug, Args)]
pub(crate) struct InstanceShowArgs {
    /// Which: SERVICE@HOST
    #[arg(value_name = "SERVICE@HOST", add = ArgValueCompleter::new(complete::instances_by_id))]
    pub(crate) instance: String,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// `instance unset`
#[derive(Debug, Args)]
pub(crate) struct InstanceUnsetArgs {
    /// Which: SERVICE@HOST
    #[arg(value_name = "SERVICE@HOST", add = ArgValueCompleter::new(complete::instances_by_id))]
    pub(crate) instance: String,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// `instance set`
#[derive(Debug, Args)]
pub(crate) struct InstanceSetArgs {
    /// Which: SERVICE@HOST
    #[arg(value_name = "SERVICE@HOST", add = ArgValueCompleter::new(complete::instances_by_id))]
    pub(crate) instance: String,
    /// Take it out of service
    #[arg(long, conflicts_with = "enable")]
    pub(crate) disable: bool,
    /// Take it into service again
    #[arg(long)]
    pub(crate) enable: bool,
    /// Send it nothing new; it finishes what it has
    #[arg(long, conflicts_with = "undrain")]
    pub(crate) drain: bool,
    /// Send it calls again
    #[arg(long)]
    pub(crate) undrain: bool,
    /// Its share of calls, whatever its host says
    #[arg(long, value_name = "N")]
    pub(crate) weight: Option<u32>,
    /// A remark for people; empty to remove it
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// `service`
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    pub(crate) command: ServiceCommand,
}

/// What to do with a service.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Show its settings; those of every service when none is named
    Show(ServiceShowArgs),
    /// Set some of them
    Set(ServiceSetArgs),
    /// Take settings back
    Unset(ServiceUnsetArgs),
}

/// `service show`
#[derive(Debug, Args)]
pub(crate) struct ServiceShowArgs {
    /// Which
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub(crate) service: Option<ServiceName>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// `service unset`
#[derive(Debug, Args)]
pub(crate) struct ServiceUnsetArgs {
    /// Which
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub(crate) service: ServiceName,
    /// Which settings [default: all]
    #[arg(value_name = "SETTING")]
    pub(crate) settings: Vec<Setting>,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// The settings of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Setting {
    Timeout,
    MaxRetries,
    RetryDelay,
    RetryBackoff,
    Picker,
}

/// `service set`
#[derive(Debug, Args)]
pub(crate) struct ServiceSetArgs {
    /// Which; nobody needs to serve it yet
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::services))]
    pub(crate) service: ServiceName,
    /// How long a call may take with every attempt
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// How often a call is tried again
    #[arg(long, value_name = "N")]
    pub(crate) max_retries: Option<u32>,
    /// The longest pause before the first repetition
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) retry_delay: Option<Duration>,
    /// By what that grows with each further one, from 1 to 100
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub(crate) retry_backoff: Option<RetryFactor>,
    /// How to choose among instances
    #[arg(long, value_name = "NAME", value_parser = picker)]
    pub(crate) picker: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

fn factor(text: &str) -> Result<RetryFactor, String> {
    let number: f64 = text.parse().map_err(|_| "write a number from 1 to 100".to_owned())?;
    RetryFactor::new(number).map_err(|error| error.to_string())
}

fn picker(text: &str) -> Result<String, String> {
    match text.parse::<jackfield_client::PickerKind>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
