//! A few figures in half a minute: `cargo bench --bench quick`.
//!
//! One host process, one registry process, this process as the client: calls per second of
//! `greeter.greet` with 1 and 64 in flight over one connection, and the time from a file's rename
//! into the folder to the first answer. Absolute figures; compare them within one run only.

use std::time::{Duration, Instant};

use anyhow::Result;
use jackfield_client::Client;
use jackfield_harness::{Stage, eventually};
use tokio::task::JoinSet;

fn main() -> Result<()> {
    if std::env::args().any(|word| word == "--test" || word == "--list") {
        return Ok(());
    }
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<()> {
    let stage = Stage::new(env!("CARGO_BIN_EXE_jackfield"))?;
    let folder = stage.folder("host")?;
    folder.add("greeter")?;
    let registry = stage.registry()?;
    let _host = stage.host(&folder, registry.address())?;
    let client = stage.client(registry.address()).await?;
    eventually("greeter answers", async || greet(&client).await.ok()).await;
    for in_flight in [1, 64] {
        calls_per_second(&client, in_flight, WARM_UP).await?;
        let mut taken = calls_per_second(&client, in_flight, MEASURE).await?;
        taken.sort_unstable();
        let per_second = taken.len() as f64 / MEASURE.as_secs_f64();
        let [p50, p99] = [at(&taken, 0.50), at(&taken, 0.99)];
        say(&format!(
            "greet, {in_flight:>2} in flight: {per_second:>8.0} calls/s, p50 {p50:?}, p99 {p99:?}"
        ));
    }
    let mut taken = Vec::new();
    for round in 0..DROPS {
        taken.push(drop_to_answer(&client, &folder, &format!("greeter-{round}")).await?);
    }
    taken.sort_unstable();
    say(&format!(
        "file drop to first answer, {DROPS} drops: p50 {:?}, max {:?}",
        at(&taken, 0.50),
        at(&taken, 1.0)
    ));
    Ok(())
}

async fn calls_per_second(
    client: &Client,
    in_flight: u32,
    span: Duration,
) -> Result<Vec<Duration>> {
    let end = Instant::now() + span;
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        let client = client.clone();
        callers.spawn(async move {
            let mut taken = Vec::new();
            while Instant::now() < end {
                let begin = Instant::now();
                greet(&client).await?;
                taken.push(begin.elapsed());
            }
            anyhow::Ok(taken)
        });
    }
    let mut all = Vec::new();
    while let Some(taken) = callers.join_next().await {
        all.extend(taken??);
    }
    Ok(all)
}

async fn greet(client: &Client) -> Result<String> {
    Ok(client
        .call("greeter.greet", ("a name of some length, for a message of ~100 bytes",))
        .await?)
}

async fn drop_to_answer(
    client: &Client,
    folder: &jackfield_harness::PluginFolder,
    service: &str,
) -> Result<Duration> {
    // Never seen before, so that no compile cache helps: a custom section makes the bytes new.
    let mut bytes = std::fs::read(jackfield_guests::plugin("greeter"))?;
    let name = service.as_bytes();
    let name_len = u8::try_from(name.len())?;
    bytes.extend([0, name_len + 1, name_len]);
    bytes.extend(name);
    let begin = Instant::now();
    folder.put(service, &bytes)?;
    let mut changes = client.changes();
    loop {
        if client.call::<_, String>(&format!("{service}.greet"), ("Ada",)).await.is_ok() {
            return Ok(begin.elapsed());
        }
        changes.changed().await?;
    }
}

fn at(sorted: &[Duration], share: f64) -> Duration {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the length")]
    let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "printing is what a benchmark is for")]
fn say(text: &str) {
    println!("{text}");
}

const WARM_UP: Duration = Duration::from_secs(1);
const MEASURE: Duration = Duration::from_secs(5);
const DROPS: usize = 20;
