//! The ways to keep instances, each under one caller and under many.

use std::time::Duration;

use anyhow::Result;

use crate::guests;
use crate::options::Options;
use crate::place::{HostProcess, Place};
use crate::report::{Cell, Table};
use crate::traffic::Traffic;

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let place = Place::new()?;
    for (service, plugin, manifest) in WAYS {
        place.put(&format!("{service}.toml"), manifest.as_bytes())?;
        let bytes = match plugin {
            "async-add" => guests::async_add()?,
            _ => std::fs::read(jackfield_guests::plugin(plugin))?,
        };
        place.put(&format!("{service}.wasm"), &bytes)?;
    }
    let mut host = place.host().await?;
    let span = options.span(Duration::from_secs(3));
    let mut table = Table::new(
        "strategies: instances fresh for each call, and kept",
        &["plugin and strategy", "callers", "calls per second", "p50", "p99"],
    );
    for (service, plugin, _) in WAYS {
        for callers in [1, 32] {
            measure(&host, service, plugin, callers, span, &mut table).await?;
        }
    }
    let left = host.look().await?;
    if left.in_flight > 0 {
        table.breaks(format!("{} calls in flight afterwards", left.in_flight));
    }
    host.end().await?;
    Ok(vec![table])
}

async fn measure(
    host: &HostProcess,
    service: &str,
    plugin: &str,
    callers: u32,
    span: Duration,
    table: &mut Table,
) -> Result<()> {
    let client = host.client().await?;
    let (method, arguments) = match plugin {
        "calc" | "async-add" => ("add", "[1, 2]"),
        _ => ("greet", r#"["Ada"]"#),
    };
    let targets = vec![format!("{service}.{method}")];
    let traffic = Traffic { targets, arguments, callers, per_second: None };
    traffic.during(&client, span / 5).await?;
    let tally = traffic.during(&client, span).await?;
    if tally.failed() > 0 {
        table.breaks(format!("{service}: {:?}", tally.failures));
    }
    table.row(vec![
        service.into(),
        u64::from(callers).into(),
        Cell::rate(tally.per_second()),
        tally.at(0.5).into(),
        tally.at(0.99).into(),
    ]);
    Ok(())
}

/// Service, plugin, manifest.
const WAYS: [(&str, &str, &str); 8] = [
    ("calc-fresh", "calc", "[instances]\nstrategy = \"fresh\"\n"),
    ("calc-reuse-100", "calc", "[instances]\nstrategy = \"reuse\"\ncalls = 100\n"),
    ("calc-single", "calc", "[instances]\nstrategy = \"single\"\n"),
    ("greeter-fresh", "greeter", "[instances]\nstrategy = \"fresh\"\n"),
    ("greeter-reuse-100", "greeter", "[instances]\nstrategy = \"reuse\"\ncalls = 100\n"),
    ("greeter-single", "greeter", "[instances]\nstrategy = \"single\"\n"),
    ("async-add-fresh", "async-add", "[instances]\nstrategy = \"fresh\"\n"),
    ("async-add-concurrent", "async-add", "[instances]\nstrategy = \"concurrent\"\n"),
];
