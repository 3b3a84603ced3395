//! Every host fails every call without executing it: how much do retries add?

use crate::fleet::Fleet;
use crate::load::{Load, Shape};
use crate::report::Report;
use crate::{Duration, Plan};

pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let mut fleet = Fleet::start(3).await;
    let client = fleet.client(|builder| builder).await;
    fleet.hosts.iter_mut().for_each(|host| host.order("fail on"));
    let shape = Shape { rate: plan.rate(1000), deadline: Duration::from_secs(1), mixed: true };
    // What the budget had saved up is spent first.
    Load::run(&client, shape, plan.for_secs(12, 12)).await;
    let calls = Load::run(&client, shape, plan.for_secs(10, 4)).await;
    let attempts: usize = calls.iter().map(|call| call.attempts.len()).sum();
    let each = attempts as f64 / calls.len() as f64;
    let fixed = 10.0 / f64::from(shape.rate);
    let goal = format!("≤ 1.2 + {fixed:.3} (10/s)");
    let what = format!("attempts per request when all hosts fail, {} calls/s", shape.rate);
    report.add("failing", what, format!("{each:.3}"), &goal);
    client.close().await;
}
