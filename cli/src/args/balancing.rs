//! Which host takes a call, and how often it is tried.

use std::time::Duration;

use clap::Args;
use jackfield_client::{CallOptions, Hedge, PickerKind};
use jackfield_wire::units::parse_duration;
use semver::VersionReq;

use super::pair;

/// How to choose among the hosts. What is not said is as the service's settings in the registry
/// say.
#[derive(Debug, Args)]
#[command(next_help_heading = "Choice of the host")]
pub(crate) struct BalancingArgs {
    /// How to choose: round-robin, random, weighted-round-robin, weighted-random, least-loaded,
    /// peak-ewma or consistent-hash [default: the service's setting, or round-robin]
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub(crate) picker: Option<PickerKind>,
    /// Calls with one key go to one host, with --picker consistent-hash
    #[arg(long, value_name = "TEXT")]
    pub(crate) key: Option<String>,
    /// Only this host, instance or address
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// Only where the service has such a version, as in '^1.2' or '>=2, <3'
    #[arg(long, value_name = "VERSION")]
    pub(crate) version_req: Option<VersionReq>,
    /// Hosts of this zone first
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Only instances whose metadata says so; may be given several times
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// Attempts beyond the first [default: the service's setting, or 2]
    #[arg(long, value_name = "COUNT")]
    pub(crate) retries: Option<u32>,
    /// Running the method twice does no harm: try again also when nobody knows whether it ran
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// Ask a second host when the first has not answered for so long, as in 50ms; whoever is first
    /// counts. Says --idempotent, too
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) hedge: Option<Duration>,
}

impl BalancingArgs {
    /// What the client is told.
    pub(crate) fn options(&self) -> CallOptions {
        let mut options = CallOptions::new();
        if let Some(picker) = self.picker {
            options = options.picker(picker);
        }
        if let Some(key) = &self.key {
            options = options.key(key);
        }
        if let Some(endpoint) = &self.endpoint {
            options = options.endpoint(endpoint);
        }
        if let Some(version) = &self.version_req {
            options = options.version(version.clone());
        }
        if let Some(zone) = &self.zone {
            options = options.zone(zone);
        }
        for (key, value) in &self.metadata {
            options = options.metadata(key, value);
        }
        if let Some(retries) = self.retries {
            options = options.max_retries(retries);
        }
        if let Some(wait) = self.hedge {
            options = options.hedged(Hedge::After(wait));
        }
        if self.idempotent { options.idempotent() } else { options }
    }
}
