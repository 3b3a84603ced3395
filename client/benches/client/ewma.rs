//! One of four hosts 5 ms slower, then two: the tail of three pickers.

use jackfield_client::PickerKind;

use crate::fleet::Fleet;
use crate::load::{Done, Load, Shape, failures, latencies};
use crate::report::{Report, micros};
use crate::{Duration, Plan};

pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let mut fleet = Fleet::start(4).await;
    let shape = Shape { rate: plan.rate(4000), deadline: Duration::from_secs(5), mixed: false };
    for picker in [PickerKind::RoundRobin, PickerKind::LeastLoaded, PickerKind::PeakEwma] {
        let client = fleet.client(|builder| builder.picker(picker)).await;
        let mut healthy = 0;
        for slow in 0..3 {
            for (n, host) in fleet.hosts.iter_mut().enumerate() {
                host.order(if n < slow { "delay 5000" } else { "delay 0" });
            }
            Load::run(&client, shape, plan.for_secs(2, 1)).await;
            let calls = Load::run(&client, shape, plan.for_secs(10, 2)).await;
            let p99 = latencies(&calls).value_at_quantile(0.99);
            if slow == 0 {
                healthy = p99;
            }
            let times = p99 as f64 / healthy.max(1) as f64;
            let is_slow =
                |call: &&Done| fleet.hosts[..slow].iter().any(|it| call.at == Some(it.address));
            let share = 100.0 * calls.iter().filter(is_slow).count() as f64 / calls.len() as f64;
            let (p99, failed) = (micros(p99), failures(&calls).count());
            let figure =
                format!("p99 {p99} ({times:.2}×), {share:.2} % to slow ones, {failed} failed");
            let goal = if slow > 0 && picker == PickerKind::PeakEwma { "≤ 1.2×" } else { "" };
            let what = format!("{picker}, {slow} of 4 hosts +5 ms, {} calls/s", shape.rate);
            report.add("ewma", what, figure, goal);
        }
        client.close().await;
    }
}
