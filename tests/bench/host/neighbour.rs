//! A small call of one plugin beside calls of another that spin: with how many, how late.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use crate::guests;
use crate::options::Options;
use crate::place::Place;
use crate::raw::Raw;
use crate::report::{Cell, Table};
use crate::traffic::Traffic;

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let place = Place::new()?;
    place.put("small.wasm", &guests::versioned(1, 0)?)?;
    place.put("spin.wasm", &jackfield_guests::fixture("spin"))?;
    let mut host = place.host().await?;
    let client = host.client().await?;
    let traffic = Traffic::of("small.ping", 4).at(400);
    let span = options.span(Duration::from_secs(5));
    traffic.during(&client, span / 5).await?;
    let mut table = Table::new(
        "neighbour: a small call beside calls that spin (goal: p99 ≤ 2×)",
        &["spinning calls", "calls", "p50", "p99", "p99.9", "p99 to alone"],
    );
    let mut alone = None;
    for spinning in [0_u32, 1, 2, 4, 16, 64] {
        let raw = Raw::connect(&host).await?;
        let mut spinners = JoinSet::new();
        for _ in 0..spinning {
            let raw = raw.clone();
            spinners.spawn(async move { raw.call("spin", "spin", "[]", FOR_EVER).await });
        }
        while host.look().await?.in_flight < spinning {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let tally = traffic.during(&client, span).await?;
        let p99 = tally.at(0.99);
        let alone = *alone.get_or_insert(p99);
        table.row(vec![
            u64::from(spinning).into(),
            tally.answered().into(),
            tally.at(0.5).into(),
            p99.into(),
            tally.at(0.999).into(),
            Cell::times(p99.as_secs_f64() / alone.as_secs_f64()),
        ]);
        if tally.failed() > 0 {
            table.breaks(format!("beside {spinning}: {:?}", tally.failures));
        }
        // Takes the guests along.
        spinners.shutdown().await;
        drop(raw);
        if host.rests().await?.stores > 0 {
            table.breaks(format!("{spinning} spinning calls were given up and some still run"));
        }
    }
    host.end().await?;
    Ok(vec![table])
}

/// Longer than any measurement; the host's cap is a minute.
const FOR_EVER: Duration = Duration::from_secs(60);
