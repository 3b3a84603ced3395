//! What `call` and `bench` take: a method, its arguments, and how to reach it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use clap_complete::ArgValueCompleter;
use jackfield_wire::Target;
use jackfield_wire::units::parse_duration;

use super::balancing::BalancingArgs;
use super::{RegistryAddress, address, named};
use crate::complete;

/// One call. `words` and `named` come from [`super::rest::split`], not from clap.
#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// What to call: `calc.add`, or `calc.demo:math/calc@0.1.0#add` where the short name is not
    /// unique
    #[arg(value_name = "SERVICE.METHOD", add = ArgValueCompleter::new(complete::targets))]
    pub(crate) target: Target,
    /// Arguments by position, each read by its parameter's type: text needs no quotes; lists and
    /// records are JSON or WAVE
    #[arg(value_name = "WORDS")]
    pub(crate) words: Vec<String>,
    /// An argument by name, also for a parameter that is called like an option of this command;
    /// `--NAME VALUE` is the short form
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = named)]
    pub(crate) named: Vec<(String, String)>,
    /// Arguments as JSON: an array by position, an object by name. `@FILE` reads a file, `-`
    /// reads stdin
    #[arg(short, long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
    /// Call this host, without a registry
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    pub(crate) direct: Option<String>,
    /// How long the call may take, with every attempt; finding the service is not counted
    /// [default: the service's setting, or 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) deadline: Option<Duration>,
    #[command(flatten)]
    pub(crate) balancing: BalancingArgs,
}

/// `call`
#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    /// Tell host, address, generation, time and attempts on stderr
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// `bench`
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// How much is called, and what becomes of the figures.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load and figures")]
pub(crate) struct LoadArgs {
    /// Calls in flight, over all connections; with --rate at most
    #[arg(short, long, value_name = "COUNT", default_value_t = 64)]
    pub(crate) concurrency: usize,
    /// Clients with a connection each to every host that they call
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) connections: usize,
    /// How long to begin calls; those in flight are then waited for [default: 10s, or until
    /// --count]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// How many calls to make; with --duration whichever ends first
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub(crate) count: Option<u64>,
    /// Calls that are due in each second, whether or not the ones before were answered
    #[arg(long, value_name = "PER-SECOND", allow_negative_numbers = true)]
    pub(crate) rate: Option<f64>,
    /// How long to call before anything counts; 0 for none [default: 1s, or 0 with --count]
    #[arg(long, value_name = "TIME", value_parser = time_or_none)]
    pub(crate) warm_up: Option<Duration>,
    /// The figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the figures in a file, as JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) save: Option<PathBuf>,
    /// Show each figure beside the one of a saved run
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) compare: Option<PathBuf>,
}

/// A time, or `0`.
fn time_or_none(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        _ => parse_duration(text),
    }
}
