//! What is typed to see how hosts fare.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jackfield_wire::units::parse_duration;

use super::{RegistryAddress, address};

/// `top`
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Only what has this in its name, as with `/`
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// What to show first
    #[arg(long, value_name = "WHAT", default_value = "services")]
    pub(crate) view: View,
    /// What to sort by, the highest first; names from the first
    #[arg(long, value_name = "COLUMN", default_value = "calls")]
    pub(crate) sort: Column,
    /// Time between two looks, from 200ms to 1h
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub(crate) every: Duration,
    /// Print one table and end; it takes two looks
    #[arg(long)]
    pub(crate) once: bool,
    /// Print services, methods and hosts once, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
    /// Ask this host alone, without a registry
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    pub(crate) direct: Option<String>,
}

/// What the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum View {
    /// A row for each service, over all hosts
    Services,
    /// A row for each method, over all hosts
    Methods,
    /// A row for each host
    Hosts,
}

/// What the columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Column {
    /// The name
    Name,
    /// Calls in a second
    Calls,
    /// Errors in a second
    Errors,
    /// The time that half of the calls did not exceed
    P50,
    /// The time that 99 of 100 calls did not exceed
    P99,
    /// Calls that run or wait
    Running,
    /// Instances
    Instances,
    /// Linear memory of instances
    Memory,
    /// Traps since the hosts started
    Traps,
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    let (least, most) = (Duration::from_millis(200), Duration::from_secs(3600));
    match (least..=most).contains(&time) {
        true => Ok(time),
        false => Err(format!("{text} is not from 200ms to 1h")),
    }
}
