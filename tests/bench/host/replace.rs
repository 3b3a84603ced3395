//! One plugin is replaced again and again, by good files and bad ones, while callers call it.
//!
//! Every answer says its version and the generation that it comes from. A generation that gives two
//! versions, or a version of two generations, is an answer of mixed generation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jackfield_client::Answer;
use jackfield_wire::Generation;
use tokio::sync::Notify;

use crate::guests;
use crate::options::Options;
use crate::place::{HostProcess, PATIENCE, Place};
use crate::report::{Cell, Table};
use crate::traffic::{Traffic, quantile};

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let rounds = options.count(200, 6);
    Ok(vec![
        measure(
            "every version new: compiled cold",
            rounds,
            |good| good + 1,
            Duration::from_millis(400),
        )
        .await?,
        measure(
            "two versions in turn: from the cache",
            rounds,
            |good| good % 2 + 1,
            Duration::from_millis(50),
        )
        .await?,
    ])
}

/// `rounds` replacements: two good files and a bad one in turn; `version` numbers the good ones.
async fn measure(
    title: &str,
    rounds: u32,
    version: impl Fn(u32) -> u32,
    goal: Duration,
) -> Result<Table> {
    let place = Place::new()?;
    let seen = Arc::new(Seen::default());
    // Both of two versions have been compiled before.
    for number in [2, 1] {
        place.put(FILE, &guests::versioned(number, SIZE)?)?;
        place.host().await?.end().await?;
    }
    let files = (0..rounds).map(|round| file(round, &version)).collect::<Result<Vec<_>>>()?;
    let mut host = place.host().await?;
    let client = host.client().await?;
    let before = host.look().await?;
    let traffic = Traffic::of("v.version", CALLERS).at(CALLS_PER_SECOND);
    let watching = Arc::clone(&seen);
    let running = traffic.start(&client, move |answer| watching.answer(answer));
    let mut times = Vec::new();
    let mut refused = 0_u64;
    for (number, bytes) in &files {
        let prepared = place.prepare(FILE, bytes)?;
        match number {
            Some(number) => times.push(seen.first(*number, || prepared.rename()).await?),
            None => {
                prepared.rename()?;
                host.rejects(FILE).await?;
                refused += 1;
            }
        }
    }
    let tally = running.end().await?;
    let after = host.rests_with(before.tasks).await?;
    let mut table = Table::of_figures(format!("replace: {rounds} replacements, {title}"));
    table.figure("size of the component", Cell::bytes(files[0].1.len() as u64));
    table.figure("calls per second, of 16 callers", Cell::rate(tally.per_second()));
    table.figure("calls answered", tally.answered().into());
    table.none("failed calls", tally.failed());
    for (text, count) in &tally.failures {
        table.breaks(format!("{count} times: {text}"));
    }
    table.none("answers of mixed generation", seen.mixed());
    table.figure("bad files refused", refused.into());
    table.none("old versions after the drain", after.draining as u64);
    table.none("open stores after the drain", after.stores as u64);
    table.none("tasks more than before", after.tasks.saturating_sub(before.tasks) as u64);
    table.figure("rename to first new answer, p50", quantile(&mut times, 0.5).into());
    table.aim("rename to first new answer, p99", quantile(&mut times, 0.99), goal);
    table.figure("a call meanwhile, p50", tally.at(0.5).into());
    table.figure("a call meanwhile, p99", tally.at(0.99).into());
    table.figure("a call meanwhile, p99.9", tally.at(0.999).into());
    end(host).await?;
    Ok(table)
}

async fn end(host: HostProcess) -> Result<()> {
    host.end().await
}

/// The file of one round, and its version when it is a good one.
fn file(round: u32, version: &impl Fn(u32) -> u32) -> Result<(Option<u32>, Vec<u8>)> {
    // Two good ones in every three; the first is not what serves already.
    let good = round / 3 * 2 + round % 3 + 1;
    if round % 3 < 2 {
        let number = version(good);
        return Ok((Some(number), guests::versioned(number, SIZE)?));
    }
    let bad = match round / 3 % 3 {
        // Without the method that callers call.
        0 => guests::around("")?,
        1 => {
            let whole = guests::versioned(good, SIZE)?;
            whole[..whole.len() / 2].to_vec()
        }
        _ => b"no plugin at all".to_vec(),
    };
    Ok((None, bad))
}

/// What the callers have seen.
#[derive(Default)]
struct Seen {
    /// Never held across an await.
    state: Mutex<State>,
    /// The version that is waited for has answered.
    came: Notify,
}

#[derive(Default)]
struct State {
    versions: BTreeMap<Generation, u32>,
    mixed: u64,
    awaited: Option<u32>,
    came_at: Option<Instant>,
}

impl Seen {
    fn answer(&self, answer: &Answer) {
        let now = Instant::now();
        let version: Option<u32> = answer.decode().ok();
        let mut state = self.state.lock().expect("no caller panics with the lock held");
        let (Some(generation), Some(version)) = (answer.generation, version) else {
            state.mixed += 1;
            return;
        };
        let known = *state.versions.entry(generation).or_insert(version);
        let twice = state.versions.values().filter(|&&other| other == version).count() > 1;
        state.mixed += u64::from(known != version || twice);
        if state.awaited == Some(version) {
            state.awaited = None;
            state.came_at = Some(now);
            self.came.notify_one();
        }
    }

    fn mixed(&self) -> u64 {
        self.state.lock().expect("no caller panics with the lock held").mixed
    }

    /// The time from `rename` to the first answer of `version`.
    async fn first(
        &self,
        version: u32,
        rename: impl FnOnce() -> Result<Instant>,
    ) -> Result<Duration> {
        self.state.lock().expect("no caller panics with the lock held").awaited = Some(version);
        let began = rename()?;
        tokio::time::timeout(PATIENCE, self.came.notified())
            .await
            .with_context(|| format!("version {version} never answered"))?;
        let mut state = self.state.lock().expect("no caller panics with the lock held");
        let came = state.came_at.take().context("it came")?;
        ensure!(came > began, "an answer before its version");
        Ok(came - began)
    }
}

const FILE: &str = "v.wasm";

/// What a plugin in Rust with some dependencies has.
const SIZE: usize = 230 << 10;

const CALLERS: u32 = 16;

const CALLS_PER_SECOND: u32 = 1250;
