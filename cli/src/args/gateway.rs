//! What is typed of gateways for callers that do not speak Jackfield's protocol.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use jackfield_gateway::{ConsoleMode, GatewayLimits, Origin};
use jackfield_wire::ServiceName;
use jackfield_wire::units::{parse_duration, parse_size};

use super::{GATEWAY_PORT, MetricsArgs, RegistryAddress};
use crate::complete;

/// `gateway`
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// The address to listen on
    #[arg(short, long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,
    /// The port to listen on; 0 picks a free one
    #[arg(short, long, value_name = "PORT", default_value_t = GATEWAY_PORT)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
    /// Listen where other machines can reach it. Everybody who does calls every method: let only a
    /// proxy that knows who is who do so
    #[arg(long)]
    pub(crate) open_to_network: bool,
    /// Threads that serve, from 1 to 64. A call that passes from one to another costs half as much
    /// again: more help only where one is always busy and this machine has cores to spare
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
}

/// `mcp`
#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    /// A service whose methods are tools; may be given several times [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',', add = ArgValueCompleter::new(complete::services))]
    pub(crate) service: Vec<ServiceName>,
    /// How long a call may take in all [default: as the service's settings say, or 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) deadline: Option<Duration>,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// Who may use a gateway, and how much.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub(crate) struct HttpArgs {
    /// A name that the gateway is called by, beside its address and localhost; may be given several
    /// times
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = name)]
    allow_host: Vec<String>,
    /// Pages of browsers that may call, as in `https://app.example`; may be given several times
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    allow_origin: Vec<Origin>,
    /// What the web console at /console/ is for: nothing, looking and calling, or also orders about
    /// instances, which everybody may give then who reaches it [default: view; of `dev`: orders]
    #[arg(long, value_name = "MODE", value_enum)]
    console: Option<ConsoleChoice>,
    /// The longest body of a request [default: 4 MiB]
    #[arg(long, value_name = "SIZE", value_parser = body)]
    max_body: Option<usize>,
    /// Requests at once, beyond which others are answered 429 [default: 256]
    #[arg(long, value_name = "COUNT")]
    max_in_flight: Option<NonZeroUsize>,
    /// Requests in a second from one address [default: no limit]
    #[arg(long, value_name = "COUNT")]
    rate: Option<NonZeroU32>,
    /// A service whose methods are tools for agents, at /mcp; may be given several times
    /// [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',', add = ArgValueCompleter::new(complete::services))]
    mcp_service: Vec<ServiceName>,
}

/// What can be typed of the console.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ConsoleChoice {
    Off,
    View,
    Orders,
}

impl HttpArgs {
    /// Puts what was typed into the settings.
    pub(crate) fn apply(self, config: &mut jackfield_gateway::GatewayConfig) {
        config.names = self.allow_host;
        config.origins = self.allow_origin;
        config.mcp.services = self.mcp_service;
        config.console = match self.console {
            None => config.console,
            Some(ConsoleChoice::Off) => ConsoleMode::Off,
            Some(ConsoleChoice::View) => ConsoleMode::View,
            Some(ConsoleChoice::Orders) => ConsoleMode::Orders,
        };
        let limits = &mut config.limits;
        limits.body = self.max_body.unwrap_or(limits.body);
        limits.in_flight = self.max_in_flight.map_or(limits.in_flight, NonZeroUsize::get);
        limits.rate = self.rate;
    }
}

/// A name alone: with a port or a scheme it would never be the one in a request.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || !text.chars().all(fits) {
        return Err("write the name alone, without scheme and port, as in api.example".into());
    }
    Ok(text.to_owned())
}

/// No host takes longer arguments than the default.
fn body(text: &str) -> Result<usize, String> {
    let most = GatewayLimits::default().body;
    match usize::try_from(parse_size(text)?) {
        Ok(size) if size <= most => Ok(size),
        _ => Err("no host takes arguments of more than 4 MiB".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_without_scheme_and_port() {
        assert_eq!(name("api.example").as_deref(), Ok("api.example"));
        for text in ["", "api.example:80", "http://api.example", "a b"] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
