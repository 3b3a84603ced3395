//! The registry killed for a long time, and a client that starts meanwhile.

use jackfield_client::Origin;

use crate::fleet::Fleet;
use crate::load::{Load, Shape, explain, failures, latencies};
use crate::report::{Report, micros};
use crate::{Duration, Plan};

pub(crate) async fn run(plan: &Plan, report: &mut Report) {
    let mut fleet = Fleet::start(3).await;
    let file = fleet.last_good();
    let client = fleet.client(|builder| builder.last_good_file(&file)).await;
    // A registry that has just started is not believed to know everyone; nothing is kept before.
    while client.snapshot().origin() != Origin::Registry {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let shape = Shape { rate: plan.rate(1000), deadline: Duration::from_secs(5), mixed: false };
    let load = Load::start(&client, shape);
    tokio::time::sleep(Duration::from_secs(1)).await;
    fleet.registry.kill();
    tokio::time::sleep(plan.outage / 2).await;
    let fresh = fleet.builder().last_good_file(&file).build().await.unwrap();
    let answer = fresh.request("bench.run").unwrap().positional_json("[0]").send().await;
    let started = match answer {
        Ok(_) if fresh.snapshot().origin() == Origin::Disk => "called".to_owned(),
        Ok(_) => format!("called, but by a set from {:?}", fresh.snapshot().origin()),
        Err(error) => error.to_string(),
    };
    fresh.close().await;
    tokio::time::sleep(plan.outage / 2).await;
    fleet.restart_registry();
    fleet.listed(&client).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let calls = load.stop().await;
    explain(&calls);
    let what =
        format!("calls that failed, registry dead for {:?}, {} calls/s", plan.outage, shape.rate);
    report.add("outage", what, format!("{} of {}", failures(&calls).count(), calls.len()), "0");
    let longest = micros(latencies(&calls).max());
    report.add("outage", "the longest call meanwhile", longest, "stated");
    let what = "a client that starts meanwhile, from its file";
    report.add("outage", what, started, "called");
    client.close().await;
}
