//! Guests and files that misbehave, one host for each: how late a guest is stopped after its
//! deadline, what the host's memory grows by, and what a neighbour's calls take meanwhile.

mod sins;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jackfield_client::Client;
use jackfield_wire::Status;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::guests;
use crate::options::Options;
use crate::place::{HostProcess, Place};
use crate::raw::{Ended, Raw};
use crate::report::{Cell, Table};
use crate::traffic::{Tally, Traffic, quantile};
use sins::{Call, Drop, calls, drops};

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let span = options.span(Duration::from_millis(2500));
    let mut guests = Table::new(
        format!("fixtures: guests, {AT_ONCE} calls at once, deadline {DEADLINE:?}"),
        &[
            "guest",
            "ended by",
            "calls",
            "late p50",
            "late max",
            "memory grown",
            "its cap",
            "neighbour p99 alone",
            "beside it",
            "ratio (goal ≤ 2×)",
        ],
    );
    for call in calls().into_iter().filter(|call| options.is_full() || call.quick) {
        guest(&call, span, &mut guests).await.with_context(|| call.name())?;
    }
    let mut files = Table::new(
        "fixtures: files",
        &[
            "file",
            "size",
            "served",
            "decided after",
            "memory grown",
            "neighbour p99 alone",
            "beside it",
            "ratio (goal ≤ 2×)",
        ],
    );
    for drop in drops().into_iter().filter(|drop| options.is_full() || drop.quick) {
        file(&drop, span, &mut files).await.with_context(|| drop.what)?;
    }
    Ok(vec![guests, files])
}

async fn guest(call: &Call, span: Duration, table: &mut Table) -> Result<()> {
    let place = Place::new()?;
    place.put(&format!("{SERVICE}.wasm"), &jackfield_guests::fixture(call.fixture))?;
    let mut scene = Scene::start(&place).await?;
    let alone = scene.neighbour(span).await?;
    let log = scene.host.log_size();
    let before = scene.forget_peak();
    let (stop, stopped) = watch::channel(false);
    let mut callers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let raw = Raw::connect(&scene.host).await?;
        callers.spawn(again(raw, call.method, call.arguments.clone(), stopped.clone()));
    }
    let beside = scene.neighbour(span).await?;
    // Nobody left to tell is as good as told.
    let _ = stop.send(true);
    let mut ends = Vec::new();
    while let Some(ended) = callers.join_next().await {
        ends.extend(ended??);
    }
    let grown = scene.grown(before);
    let stopped = ends.iter().filter(|ended| ended.status == Status::DeadlineExceeded);
    let mut late: Vec<_> = stopped.map(|ended| ended.after.saturating_sub(DEADLINE)).collect();
    table.row(vec![
        call.name().into(),
        how(&ends).into(),
        (ends.len() as u64).into(),
        (!late.is_empty()).then(|| quantile(&mut late, 0.5)).into(),
        late.iter().max().copied().into(),
        grown.map(Cell::bytes).into(),
        Cell::bytes(u64::from(AT_ONCE) * MEMORY),
        alone.at(0.99).into(),
        beside.at(0.99).into(),
        ratio(&alone, &beside),
    ]);
    let name = call.name();
    let failed = alone.failed() + beside.failed();
    if failed > 0 {
        table.breaks(format!("{name}: {failed} calls of the neighbour: {:?}", beside.failures));
    }
    if grown.is_some_and(|grown| grown > u64::from(AT_ONCE) * MEMORY + BESIDES) {
        table.breaks(format!("{name}: memory beyond its cap"));
    }
    let logged = scene.host.log_size() - log;
    if logged > LOG_RATE * (2 + 2 * span.as_secs()) {
        table.breaks(format!("{name}: {logged} bytes of log"));
    }
    if scene.host.rests().await?.stores > 0 {
        table.breaks(format!("{name}: stores left behind"));
    }
    scene.host.end().await
}

/// Calls one time after another until it is told to stop.
async fn again(
    raw: Raw,
    method: &'static str,
    arguments: String,
    stopped: watch::Receiver<bool>,
) -> Result<Vec<Ended>> {
    let mut ends = Vec::new();
    while !*stopped.borrow() {
        let ended = raw.call(SERVICE, method, &arguments, DEADLINE).await?;
        // Told to come back later: as a client would.
        if ended.status == Status::ResourceExhausted || ended.status == Status::Unavailable {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ends.push(ended);
    }
    Ok(ends)
}

/// What ended the calls, in a few words of the host.
fn how(ends: &[Ended]) -> String {
    let Some(ended) = ends.iter().find(|ended| ended.status != Status::Ok) else {
        return "itself".into();
    };
    if ended.status == Status::DeadlineExceeded {
        return "its deadline".into();
    }
    let words = ended.message.trim_start_matches("wasm trap: ");
    let words = words.split([':', ';', '\n']).next().unwrap_or_default();
    words.chars().take(48).collect()
}

async fn file(drop: &Drop, span: Duration, table: &mut Table) -> Result<()> {
    let place = Place::new()?;
    let mut scene = Scene::start(&place).await?;
    let alone = scene.neighbour(span).await?;
    let bytes = (drop.make)()?;
    let prepared = place.prepare(&format!("{SERVICE}.wasm"), &bytes)?;
    let before = scene.forget_peak();
    let running = traffic().start(&scene.client, |_| {});
    let began = Instant::now();
    prepared.rename()?;
    let served = scene.host.decides(SERVICE).await?;
    let decided = began.elapsed();
    // A decision that comes at once leaves nothing to measure beside.
    tokio::time::sleep((span / 5).saturating_sub(decided)).await;
    let beside = running.end().await?;
    table.row(vec![
        drop.what.into(),
        Cell::bytes(bytes.len() as u64),
        if served { "yes" } else { "refused" }.into(),
        decided.into(),
        scene.grown(before).map(Cell::bytes).into(),
        alone.at(0.99).into(),
        beside.at(0.99).into(),
        ratio(&alone, &beside),
    ]);
    if beside.failed() > 0 {
        table.breaks(format!("{}: calls of the neighbour: {:?}", drop.what, beside.failures));
    }
    scene.host.end().await
}

/// A host with a plugin that behaves, and whoever calls it.
struct Scene {
    host: HostProcess,
    client: Client,
}

impl Scene {
    async fn start(place: &Place) -> Result<Self> {
        place.put("neighbour.wasm", &guests::versioned(1, 0)?)?;
        let host = place.host().await?;
        let client = host.client().await?;
        traffic().during(&client, Duration::from_millis(200)).await?;
        Ok(Self { host, client })
    }

    /// What the neighbour's callers meet for `span`.
    async fn neighbour(&self, span: Duration) -> Result<Tally> {
        traffic().during(&self.client, span).await
    }

    /// Measures the peak of memory from now on; what there is now.
    fn forget_peak(&self) -> Option<u64> {
        self.host.forget_peak();
        self.host.peak()
    }

    fn grown(&self, before: Option<u64>) -> Option<u64> {
        Some(self.host.peak()?.saturating_sub(before?))
    }
}

fn traffic() -> Traffic {
    Traffic::of("neighbour.ping", 4).at(400)
}

fn ratio(alone: &Tally, beside: &Tally) -> Cell {
    Cell::times(beside.at(0.99).as_secs_f64() / alone.at(0.99).as_secs_f64())
}

const SERVICE: &str = "sinner";

const AT_ONCE: u32 = 4;

const DEADLINE: Duration = Duration::from_millis(200);

/// The default limit of an instance's memory.
const MEMORY: u64 = 128 << 20;

/// What a host takes for itself while it serves.
const BESIDES: u64 = 64 << 20;

/// The default limit of a plugin's output in the log, in a second.
const LOG_RATE: u64 = 64 << 10;
