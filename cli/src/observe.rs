//! What operators see of a process that serves: its parts, as `jackfield_observe` looks at them.

use jackfield_gateway::GatewayMonitor;
use jackfield_host::HostMonitor;
use jackfield_observe::{Observation, ObserveConfig, ObserveError, Subject};
use jackfield_registry::RegistryMonitor;

use crate::args::MetricsArgs;
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;

/// Starts what observes this process. To be called before its parts are made.
pub(crate) async fn start(
    role: &'static str,
    args: &MetricsArgs,
    terminal: &Terminal,
) -> Outcome<Observation> {
    let mut config = ObserveConfig::new(role);
    config.metrics = args.metrics;
    let started = Observation::start(config).await.map_err(|error| problem(&error))?;
    if let Some(address) = started.local_addr() {
        terminal.err(format!("metrics: http://{address}/metrics, /healthz, /readyz"))?;
    }
    Ok(started)
}

/// Starts what exports over OTLP, if somebody asked for that: for a command that calls and ends.
pub(crate) async fn quietly(role: &'static str) -> Outcome<Observation> {
    Observation::start(ObserveConfig::new(role)).await.map_err(|error| problem(&error))
}

fn problem(error: &ObserveError) -> Problem {
    match error {
        ObserveError::InUse(address) => Problem::caused(Exit::Unavailable, error)
            .next("choose another port by --metrics ADDR:PORT (port 0 picks a free one)")
            .next(format!("or see who has it: ss -ltnp 'sport = :{}'", address.port())),
        ObserveError::Listen { .. } => Problem::caused(Exit::Usage, error)
            .next("give an address of this machine: --metrics 127.0.0.1:9464"),
        ObserveError::Otlp(_) => Problem::caused(Exit::Usage, error),
        other => Problem::caused(Exit::Internal, other),
    }
}

/// A host, observed.
pub(crate) struct Hosted(pub(crate) HostMonitor);

impl Subject for Hosted {
    fn sample(&self) {
        self.0.sample();
    }

    fn ready(&self) -> Result<(), String> {
        self.0.ready().map_err(|why| format!("host: {why}"))
    }
}

/// A registry, observed.
pub(crate) struct Registering(pub(crate) RegistryMonitor);

impl Subject for Registering {
    fn sample(&self) {
        self.0.sample();
    }

    fn ready(&self) -> Result<(), String> {
        self.0.ready().map_err(|why| format!("registry: {why}"))
    }
}

/// A gateway, observed. It reports as it works.
pub(crate) struct Gated(pub(crate) GatewayMonitor);

impl Subject for Gated {
    fn ready(&self) -> Result<(), String> {
        self.0.ready().map_err(|why| format!("gateway: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_for_metrics_says_what_to_do() {
        let problem = problem(&ObserveError::InUse("127.0.0.1:9464".parse().unwrap()));
        assert_eq!(problem.exit(), Exit::Unavailable);
        let steps = problem.text().unwrap().1.join("\n");
        assert!(steps.contains("--metrics") && steps.contains("sport = :9464"), "{steps}");
    }
}
