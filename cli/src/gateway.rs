//! `gateway`: HTTP in front of hosts, until a signal ends it.

use std::net::SocketAddr;
use std::process;

use jackfield_client::Client;
use jackfield_gateway::{Drained, Gateway, GatewayConfig, Reach, SpawnError};

use crate::args::{Common, GatewayArgs};
use crate::discover::{self, Via};
use crate::exit::Exit;
use crate::observe::{self, Gated};
use crate::problem::{Outcome, Problem};
use crate::setup;
use crate::signals::{GRACE, Signals};
use crate::terminal::Terminal;

/// Runs a gateway.
pub(crate) fn run(args: GatewayArgs, common: &Common, terminal: Terminal) -> Outcome {
    setup::runtime_of(args.threads)?.block_on(serve(args, common, terminal))
}

async fn serve(args: GatewayArgs, common: &Common, terminal: Terminal) -> Outcome {
    let mut signals = Signals::listen()?;
    let observation = observe::start("gateway", &args.metrics, &terminal).await?;
    let mut config = GatewayConfig::new(SocketAddr::new(args.listen, args.port));
    if args.open_to_network {
        config.reach = Reach::Anybody;
    }
    args.http.apply(&mut config);
    let name = format!("gateway-{}", process::id());
    let client = discover::connect_as(&name, common, Via::Registry(&args.registry)).await?;
    let spawned = Gateway::spawn(config, client.clone()).await;
    let gateway = spawned.map_err(|error| spawn_problem(&error))?;
    let address = gateway.local_addr();
    terminal.out(format!("gateway listening on {address} (http://{address}/)"))?;
    observation.watch(Gated(gateway.monitor()));
    observation.say_ready(&format!("listening on {address}"));
    signals.next().await;
    observation.say_stopping();
    terminal.err("stopping: finishing requests; a second signal stops it at once")?;
    stop(gateway, client, &mut signals, &terminal).await?;
    observation.finish().await;
    Ok(())
}

/// Finishes the requests in flight.
pub(crate) async fn stop(
    gateway: Gateway,
    client: Client,
    signals: &mut Signals,
    terminal: &Terminal,
) -> Outcome {
    let drained = signals.insist(terminal, gateway.shutdown(GRACE)).await;
    client.close().await;
    if drained == Drained::CutOff {
        terminal.err(format!("the gateway cut off what was not answered after {GRACE:?}"))?;
    }
    Ok(())
}

/// A gateway that did not start.
pub(crate) fn spawn_problem(error: &SpawnError) -> Problem {
    match error {
        SpawnError::NotLoopback(_) => Problem::caused(Exit::Denied, error)
            .next("stay on this machine: leave out -l, or give -l 127.0.0.1")
            .next(
                "or, with a proxy in front that knows who may call, and a network that lets nobody \
                 else in: --open-to-network",
            ),
        SpawnError::InUse(address) => Problem::caused(Exit::Unavailable, error)
            .next("choose another port by -p PORT (-p 0 picks a free one)")
            .next(format!("or see who has it: ss -ltnp 'sport = :{}'", address.port())),
        other => Problem::caused(Exit::Internal, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_beyond_loopback_says_what_it_means() {
        let problem = spawn_problem(&SpawnError::NotLoopback("0.0.0.0:8080".parse().unwrap()));
        assert_eq!(problem.exit(), Exit::Denied);
        let (what, next) = problem.text().unwrap();
        assert!(what.contains("everybody") && next.join("\n").contains("--open-to-network"));
    }
}
