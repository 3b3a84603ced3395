//! What is typed to run a registry, a host, or both.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use jackfield_wire::units::parse_duration;

use super::store::{RegistryTask, StoreArgs};
use super::{HttpArgs, REGISTRY_PORT, RegistryAddress, pair};

/// `dev`
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// The folder with the plugins [default: plugins; with --watch, this folder]
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
    /// DIR is a plugin's project (see `jackfield build`): build it, and again when its sources
    /// change
    #[arg(long)]
    pub(crate) watch: bool,
    /// The registry's port; 0 picks a free one
    #[arg(short, long, value_name = "PORT", default_value_t = REGISTRY_PORT)]
    pub(crate) port: u16,
    /// The HTTP gateway's port [default: 8080; a free one where that is taken, or with -p 0]
    #[arg(long, value_name = "PORT")]
    pub(crate) gateway_port: Option<u16>,
    /// No HTTP gateway
    #[arg(long, conflicts_with = "gateway_port")]
    pub(crate) no_gateway: bool,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
}

/// Where operators look.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct MetricsArgs {
    /// Serve metrics for Prometheus, and probes, over HTTP there: /metrics, /healthz, /readyz
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
}

/// `registry`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RegistryArgs {
    #[command(subcommand)]
    pub(crate) task: Option<RegistryTask>,
    /// The address to listen on
    #[arg(short, long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,
    /// The port to listen on; 0 picks a free one
    #[arg(short, long, value_name = "PORT", default_value_t = REGISTRY_PORT)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Time without a heartbeat after which a host is gone
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(crate) ttl: Duration,
    /// Time between the heartbeats that hosts are asked for
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_duration)]
    pub(crate) heartbeat: Duration,
    /// A client whose orders are obeyed, by the name in its certificate; may be given several times
    /// [default: every client of this user; with --identity, nobody]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) operator: Vec<String>,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
}

/// `host`
#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// The folder with the plugins: every *.wasm in it is served
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// The address to listen on
    #[arg(short, long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,
    /// The port to listen on; 0 picks a free one
    #[arg(short, long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
    /// The host's name, unique in the registry [default: this machine's name and a number]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Take new versions of plugins also when they break callers of the ones that serve
    #[arg(long)]
    pub(crate) accept_breaking_changes: bool,
    /// Who may roll services back: the name in a client's certificate; may be given several times
    /// [default: every client of this user, on this machine; nobody with --identity]
    #[arg(long, value_name = "NAME")]
    pub(crate) operator: Vec<String>,
    /// The address that clients shall use, where it is not the one listened on
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) advertise: Option<SocketAddr>,
    /// Which part of the network it is in: clients can prefer hosts of their own
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// What its instances say of themselves, for callers that choose by it; may be given several
    /// times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
}
