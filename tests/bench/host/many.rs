//! Many plugins in one folder: how long a start takes, what they cost, what one more costs, and
//! whether it matters to a call how many there are.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::guests;
use crate::options::Options;
use crate::place::{HostProcess, PATIENCE, Place};
use crate::report::{Cell, Table};
use crate::traffic::{Tally, Traffic, quantile};

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let count = options.count(1000, 12);
    let span = options.span(Duration::from_secs(5));
    let real = std::fs::read(jackfield_guests::plugin("calc"))?;
    let one = Place::new()?;
    one.put("calc-0.wasm", &real)?;
    let place = Place::new()?;
    for number in 0..count {
        place.put(&format!("calc-{number}.wasm"), &guests::marked(&real, number))?;
    }
    let mut table = Table::of_figures(format!("many: {count} plugins in one folder"));
    let single = one.host().await?;
    let memory_of_one = single.memory();
    let alone = rate(&single, 1, span).await?;
    single.end().await?;

    let cold = place.host().await?;
    table.figure("a plugin's file", Cell::bytes(real.len() as u64));
    table.figure("start, compiled cold", cold.settled_after.into());
    cold.end().await?;
    let mut host = place.host().await?;
    table.figure("start, from the cache", host.settled_after.into());
    let memory = host.memory();
    table.figure("memory of a host with one", memory_of_one.map(Cell::bytes).into());
    table.figure("memory of this one", memory.map(Cell::bytes).into());
    let mut times = Vec::new();
    for extra in count..count + EXTRA {
        times.push(one_more(&mut host, &place, &guests::marked(&real, extra), extra).await?);
    }
    table.figure("rename of one more to its first answer, p50", quantile(&mut times, 0.5).into());
    table.figure("rename of one more to its first answer, max", quantile(&mut times, 1.0).into());
    let all = rate(&host, count, span).await?;
    table.figure("calls per second of a host with one", Cell::rate(alone.per_second()));
    table.figure("calls per second over all of this one", Cell::rate(all.per_second()));
    table.figure("rate to that with one", Cell::times(all.per_second() / alone.per_second()));
    table.none("failed calls", alone.failed() + all.failed());
    let left = host.rests().await?;
    table.none("open stores afterwards", left.stores as u64);
    host.end().await?;
    Ok(vec![table])
}

/// The calls that `count` plugins answer, each in its turn.
async fn rate(host: &HostProcess, count: u32, span: Duration) -> Result<Tally> {
    let client = host.client().await?;
    let targets = (0..count).map(|number| format!("calc-{number}.add")).collect();
    let traffic = Traffic { targets, arguments: "[1, 2]", callers: 16, per_second: None };
    traffic.during(&client, span / 5).await?;
    traffic.during(&client, span).await
}

/// From the rename of a new file to its service's first answer.
async fn one_more(
    host: &mut HostProcess,
    place: &Place,
    bytes: &[u8],
    number: u32,
) -> Result<Duration> {
    let service = format!("calc-{number}");
    let client = host.client().await?;
    let began = place.prepare(&format!("{service}.wasm"), bytes)?.rename()?;
    let target = format!("{service}.add");
    while client.call::<_, f64>(&target, (1, 2)).await.is_err() {
        let waited = Instant::now() - began;
        (waited < PATIENCE).then_some(()).with_context(|| format!("{service} never answered"))?;
    }
    Ok(began.elapsed())
}

/// How often one more is added.
const EXTRA: u32 = 10;
