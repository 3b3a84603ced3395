//! A host that is stopped, a network that carries one way, a network that loses.

use jackfield_relay::{Direction, Relay, Weather};
use rustix::process::Signal;

use crate::fleet::Fleet;
use crate::load::{Done, Load, Shape, explain, failures, latencies};
use crate::report::{Report, micros};
use crate::{Duration, Plan};

pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let (fleet, relays) = behind_relays(3).await;
    let client = fleet.client(|builder| builder).await;
    let shape = Shape { rate: plan.rate(1000), deadline: Duration::from_secs(1), mixed: true };
    let bad = plan.for_secs(10, 3);

    let load = Load::start(&client, shape);
    tokio::time::sleep(plan.for_secs(2, 1)).await;
    fleet.hosts[0].signal(Signal::STOP);
    tokio::time::sleep(bad).await;
    fleet.hosts[0].signal(Signal::CONT);
    tokio::time::sleep(plan.for_secs(2, 1)).await;
    tell("SIGSTOP of one of three", &load.stop().await, shape, "", report);

    let load = Load::start(&client, shape);
    tokio::time::sleep(plan.for_secs(2, 1)).await;
    relays[1].set_one(Direction::ToClients, Weather::PARTITION);
    tokio::time::sleep(bad).await;
    relays[1].set(Weather::default());
    tokio::time::sleep(plan.for_secs(2, 1)).await;
    tell("one-way partition of one of three", &load.stop().await, shape, "", report);

    relays.iter().for_each(|relay| relay.set(Weather::losing(0.05)));
    let calls = Load::run(&client, shape, bad).await;
    tell("5 % loss to and from all", &calls, shape, "≥ 99.9 %", report);
    client.close().await;
}

/// Hosts that are listed under the addresses of relays.
async fn behind_relays(hosts: usize) -> (Fleet, Vec<Relay>) {
    let mut fleet = Fleet::unlisted(hosts);
    let mut relays = Vec::new();
    let registry = fleet.registry.address;
    for (seed, host) in (1..).zip(&mut fleet.hosts) {
        let relay = Relay::spawn(seed, host.address).await.unwrap();
        host.order(&format!("register {} {registry}", relay.address()));
        relays.push(relay);
    }
    (fleet, relays)
}

fn tell(what: &str, calls: &[Done], shape: Shape, goal: &str, report: &mut Report) {
    explain(calls);
    let failed = failures(calls).count();
    let well = 100.0 * (calls.len() - failed) as f64 / calls.len() as f64;
    let idempotent = failures(calls).filter(|call| call.idempotent).count();
    let figure =
        format!("{well:.3} % of {} succeeded; {idempotent} idempotent ones failed", calls.len());
    report.add("stall", format!("{what}, {} calls/s", shape.rate), figure, goal);
    // The generator's own lateness is not the client's.
    let over = |call: &Done| (call.took - call.late).saturating_sub(shape.deadline);
    let over = calls.iter().map(over).max().unwrap_or_default();
    let figure = micros(over.as_micros() as u64);
    report.add(
        "stall",
        format!("{what}: latest end after the deadline of 1 s"),
        figure,
        "≤ 100 ms",
    );
    let latencies = latencies(calls);
    let (p99, most) = (micros(latencies.value_at_quantile(0.99)), micros(latencies.max()));
    let what = format!("{what}: latency of those that succeeded");
    report.add("stall", what, format!("p99 {p99}, longest {most}"), "stated");
}
