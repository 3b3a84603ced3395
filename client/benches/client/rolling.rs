//! Five hosts restarted in turn, under calls that may not run twice.

use crate::fleet::Fleet;
use crate::load::{Load, Shape, explain, failures, latencies};
use crate::report::{Report, micros};
use crate::{Duration, Plan};

pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let mut fleet = Fleet::start(5).await;
    let client = fleet.client(|builder| builder).await;
    let shape = Shape { rate: plan.rate(2000), deadline: Duration::from_secs(5), mixed: false };
    let load = Load::start(&client, shape);
    for n in 0..fleet.hosts.len() {
        tokio::time::sleep(plan.for_secs(1, 1)).await;
        fleet.hosts[n].order("drain");
        fleet.hosts[n].ended().await;
        fleet.restart(n);
        fleet.listed(&client).await;
    }
    tokio::time::sleep(plan.for_secs(2, 1)).await;
    let calls = load.stop().await;
    explain(&calls);
    let retried = calls.iter().filter(|call| !call.attempts.is_empty()).count();
    let figure = format!("{} of {} ({retried} repeated)", failures(&calls).count(), calls.len());
    let what = format!("calls that failed while 5 hosts restarted in turn, {} calls/s", shape.rate);
    report.add("rolling", what, figure, "0");
    let histogram = latencies(&calls);
    let figure = format!(
        "p99 {}, most {}",
        micros(histogram.value_at_quantile(0.99)),
        micros(histogram.max())
    );
    report.add("rolling", "latency meanwhile", figure, "");
    client.close().await;
}
