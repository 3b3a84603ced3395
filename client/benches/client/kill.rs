//! `kill -9` of one of three hosts under load, again and again.

use std::time::Instant;

use jackfield_wire::Executed;

use crate::fleet::Fleet;
use crate::load::{Done, Load, Shape, explain, failures};
use crate::report::{Report, micros};
use crate::{Duration, Plan};

/// What all rounds came to.
#[derive(Default)]
struct Sum {
    calls: usize,
    failed_idempotent: usize,
    failed_once_only: usize,
    of_unknown_outcome: usize,
    /// In milliseconds, of each round.
    ejected: Vec<f64>,
    stall: Duration,
}

pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let mut fleet = Fleet::start(3).await;
    let client = fleet.client(|builder| builder).await;
    let shape = Shape { rate: plan.rate(1000), deadline: Duration::from_secs(5), mixed: true };
    let mut sum = Sum::default();
    let mut once_only = Vec::new();
    for round in 0..plan.rounds {
        let victim = round % 3;
        let load = Load::start(&client, shape);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let killed = Instant::now();
        fleet.hosts[victim].kill();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let calls = load.stop().await;
        sum.add(&calls, killed, fleet.hosts[victim].address);
        once_only.extend(calls.iter().filter(|call| !call.idempotent).map(|call| call.id));
        explain(&calls);
        fleet.restart(victim);
        fleet.listed(&client).await;
        // Back in the choice before the next one dies.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let counts = fleet.executions();
    let twice =
        once_only.iter().filter(|id| counts.get(id).is_some_and(|count| *count > 1)).count();
    sum.report(plan, shape, twice, report);
    client.close().await;
}

impl Sum {
    fn add(&mut self, calls: &[Done], killed: Instant, victim: std::net::SocketAddr) {
        self.calls += calls.len();
        for call in failures(calls) {
            let unknown = call.failure.as_ref().is_some_and(|(run, _)| *run == Executed::Unknown);
            self.of_unknown_outcome += usize::from(unknown);
            if call.idempotent {
                self.failed_idempotent += 1;
            } else {
                self.failed_once_only += 1;
            }
        }
        let tried = |call: &&Done| {
            call.attempts.iter().any(|attempt| attempt.address == victim.to_string())
        };
        let last =
            calls.iter().filter(|call| call.due > killed).filter(tried).map(|call| call.due).max();
        self.ejected.push(last.map_or(0.0, |last| (last - killed).as_secs_f64() * 1e3));
        let stall = calls.iter().filter(|call| call.failure.is_none()).map(|call| call.took).max();
        self.stall = self.stall.max(stall.unwrap_or_default());
    }

    fn report(mut self, plan: &Plan, shape: Shape, twice: usize, report: &mut Report) {
        self.ejected.sort_by(f64::total_cmp);
        let (rounds, half) = (plan.rounds, self.calls / 2);
        let mut add = |what: &str, figure: String, goal| report.add("kill", what, figure, goal);
        add("kill -9 of one of three", format!("{rounds}× at {} calls/s", shape.rate), "");
        add("idempotent calls that failed", format!("{} of {half}", self.failed_idempotent), "0");
        add("other calls executed twice", format!("{twice} of {half}"), "0");
        let failed =
            format!("{} ({} of unknown outcome)", self.failed_once_only, self.of_unknown_outcome);
        add("other calls that failed", failed, "");
        let (median, most) = (self.ejected[rounds / 2], self.ejected[rounds - 1]);
        add(
            "last call that chose the dead host",
            format!("median {median:.0} ms, most {most:.0} ms"),
            "< 250 ms",
        );
        add(
            "longest stall of a call that succeeded",
            micros(self.stall.as_micros() as u64),
            "stated",
        );
    }
}
