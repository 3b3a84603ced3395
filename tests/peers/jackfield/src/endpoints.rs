//! What many endpoints cost a client: they are registered by one process and chosen from by another,
//! and nobody ever connects to them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jackfield_client::{Client, PickerKind, Registration, RegistrationState};
use jackfield_transport::{Identity, Role, StateDir};
use jackfield_wire::ServiceName;
use jackfield_wire::registry::{Instance, Kind};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::PATIENCE;

/// Registers `count` endpoints, says `holding`, and keeps them until stdin ends.
pub(crate) async fn hold(registry: &str, count: usize) -> Result<()> {
    let (state, service) = (StateDir::resolve(None)?, ServiceName::new(SERVICE)?);
    let mut held = Vec::new();
    for first in (0..count).step_by(PER_HOST) {
        let host = format!("far-{first}");
        let endpoints = (first..count.min(first + PER_HOST)).map(|n| Instance {
            kind: Kind::Endpoint,
            ..Instance::new(service.clone(), &format!("{host}:{n}"), address(n))
        });
        let identity = Identity::local(&state, Role::Host, &host)?;
        let registration =
            Registration::spawn(identity, &[registry.to_owned()], endpoints.collect())?;
        let mut now = registration.state();
        let registered = now.wait_for(|now| *now != RegistrationState::Waiting);
        let now = tokio::time::timeout(PATIENCE, registered).await??.clone();
        ensure!(now == RegistrationState::Registered, "{host}: {now:?}");
        held.push(registration);
    }
    println!("holding {count}");
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// Prints what a client needs that knows `count` of them: milliseconds until it does, KiB for knowing
/// them, and nanoseconds for an `execute` of nothing by each picker: all of a call but its exchange.
pub(crate) async fn choose(registry: &str, count: usize, time: Duration) -> Result<()> {
    let resident = resident()?;
    let begin = Instant::now();
    let client = Client::builder().registry(registry).build().await?;
    tokio::time::timeout(PATIENCE, known(&client, count)).await??;
    let ready_ms = begin.elapsed().as_secs_f64() * 1e3;
    let resident_kib = self::resident()?.saturating_sub(resident);
    client.close().await;
    let mut figures = json!({ "ready_ms": ready_ms, "resident_kib": resident_kib });
    for picker in PICKERS {
        let client = Client::builder().registry(registry).picker(picker).build().await?;
        tokio::time::timeout(PATIENCE, known(&client, count)).await??;
        figures[picker.to_string()] = json!(execute(&client, time).await?);
        client.close().await;
    }
    println!("{figures}");
    Ok(())
}

async fn known(client: &Client, count: usize) -> Result<()> {
    let mut changes = client.changes();
    while client.instances().len() < count {
        changes.changed().await?;
    }
    Ok(())
}

/// Nanoseconds of one.
async fn execute(client: &Client, time: Duration) -> Result<f64> {
    let (mut begin, mut made) = (Instant::now(), 0_u32);
    // The first ones compute the set that all others find.
    for warm in [true, false] {
        let limit = if warm { time / 3 } else { time };
        (begin, made) = (Instant::now(), 0);
        while begin.elapsed() < limit {
            for _ in 0..BATCH {
                client.execute(SERVICE, async |_| Ok(())).await?;
            }
            made += BATCH;
        }
    }
    Ok(begin.elapsed().as_secs_f64() * 1e9 / f64::from(made))
}

/// An address that nobody answers at.
fn address(n: usize) -> String {
    format!("127.{}.{}.1:4000", n / 250 + 1, n % 250 + 1)
}

/// KiB of this process in memory.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

const SERVICE: &str = "far";
const PICKERS: [PickerKind; 3] =
    [PickerKind::RoundRobin, PickerKind::LeastLoaded, PickerKind::PeakEwma];

/// A registry takes 256 of one host.
const PER_HOST: usize = 250;

/// Between looks at the clock, whose cost disappears.
const BATCH: u32 = 100;
