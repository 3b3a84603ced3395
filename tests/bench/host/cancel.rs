//! Calls that are given up at random moments: before they are sent, while they wait, while the
//! guest runs, sleeps or answers. Afterwards everything is as it was.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use anyhow::Result;
use jackfield_client::{CallOptions, Client};
use tokio::task::JoinSet;

use crate::guests;
use crate::options::Options;
use crate::place::{HostProcess, Place};
use crate::random::Random;
use crate::report::{Cell, Table};

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let calls = options.count(1_000_000, 2_000);
    let place = Place::new()?;
    place.put("small.wasm", &guests::versioned(1, 0)?)?;
    place.put("spin.wasm", &jackfield_guests::fixture("spin"))?;
    place.put("never.wasm", &jackfield_guests::fixture("poll-never"))?;
    place.put("trap.wasm", &jackfield_guests::fixture("trap"))?;
    // Of this one's calls most go well, so that it is never quarantined and traps all the time.
    place.put("brittle.wasm", &guests::marked(&jackfield_guests::fixture("trap"), 1))?;
    // A host by default closes a connection on which so many calls are given up.
    let mut host = place.forgiving_host().await?;
    let client = host.client().await?;
    // A start of the same kind, so that what is kept once and for all is there before.
    storm(&client, calls / 50, SEED + 1).await?;
    let before = Held::of(&mut host, usize::MAX).await?;
    let began = Instant::now();
    let ends = storm(&client, calls, SEED).await?;
    let took = began.elapsed();
    let after = Held::of(&mut host, before.tasks).await?;
    let mut figures =
        Table::of_figures(format!("cancel: {calls} calls, given up at random (seed {SEED})"));
    figures.figure("calls per second", Cell::rate(f64::from(calls) / took.as_secs_f64()));
    figures.figure("calls given up", ends.given_up.into());
    figures.figure("calls that ended before", ends.ended.into());
    figures.none("open stores afterwards", after.stores);
    figures.none("calls in flight afterwards", after.calls);
    let more = after.tasks.saturating_sub(before.tasks);
    figures.none("tasks more than before", more as u64);
    let mut table = Table::new("cancel: what the host holds", &["", "before", "after"]);
    let count = |what: &str, of: fn(&Held) -> Cell| vec![what.into(), of(&before), of(&after)];
    table.row(count("open stores", |held| held.stores.into()));
    table.row(count("tasks", |held| (held.tasks as u64).into()));
    table.row(count("file descriptors", |held| held.descriptors.into()));
    table.row(count("memory", |held| held.memory.map(Cell::bytes).into()));
    if after.descriptors > before.descriptors {
        table.breaks("more file descriptors than before");
    }
    host.end().await?;
    Ok(vec![figures, table])
}

/// What a host holds when it rests.
struct Held {
    stores: u64,
    calls: u64,
    tasks: usize,
    descriptors: Option<u64>,
    memory: Option<u64>,
}

impl Held {
    async fn of(host: &mut HostProcess, tasks: usize) -> Result<Self> {
        let look = host.rests_with(tasks).await?;
        Ok(Self {
            stores: look.stores as u64,
            calls: u64::from(look.in_flight + look.queued),
            tasks: look.tasks,
            descriptors: host.descriptors(),
            memory: host.memory(),
        })
    }
}

/// How calls ended.
#[derive(Default)]
struct Ends {
    given_up: u64,
    ended: u64,
}

/// `calls` calls of [`CALLERS`] callers, each given up after a random number of its steps.
async fn storm(client: &Client, calls: u32, seed: u64) -> Result<Ends> {
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let client = client.clone();
        let mut random = Random::new(seed * 1000 + u64::from(number));
        callers.spawn(async move {
            let mut ends = Ends::default();
            for _ in 0..calls / CALLERS {
                match given_up(&client, &mut random).await? {
                    true => ends.given_up += 1,
                    false => ends.ended += 1,
                }
            }
            anyhow::Ok(ends)
        });
    }
    let mut all = Ends::default();
    while let Some(ends) = callers.join_next().await {
        let ends = ends??;
        all.given_up += ends.given_up;
        all.ended += ends.ended;
    }
    Ok(all)
}

/// Calls something and drops the call after some steps; says whether it had not ended by then.
async fn given_up(client: &Client, random: &mut Random) -> Result<bool> {
    let target = target(random.below(256));
    let ends = !target.starts_with("spin") && !target.starts_with("never");
    // A fourth of those that end are left to end, however long it takes.
    let left = random.below(4) == 0 && ends;
    let magnitude = random.below(STEPS);
    let mut steps = random.below(1 << magnitude);
    // What is refused in quarantine has ended: to try again would be to wait for its end.
    let once = CallOptions::new().max_retries(0);
    let mut call = pin!(client.request(target)?.options(once).send());
    Ok(poll_fn(|context| {
        if call.as_mut().poll(context).is_ready() {
            return Poll::Ready(false);
        }
        if left {
            return Poll::Pending;
        }
        if steps == 0 {
            return Poll::Ready(true);
        }
        steps -= 1;
        // Again after the other callers, whether the call has news or not.
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await)
}

/// Mostly what ends soon; eight in 256 never do, of which two take all of a core while they last.
/// One that only traps is in quarantine most of the time; another traps on a third of its calls.
fn target(choice: u32) -> &'static str {
    match choice {
        0 => "spin.spin",
        1 => "never.ask",
        2..8 => "never.block",
        8..12 => "trap.unreachable",
        12..24 => "brittle.unreachable",
        24..48 => "brittle.ping",
        48..140 => "small.ping",
        _ => "small.version",
    }
}

const CALLERS: u32 = 64;

/// Polls after which a call is given up, as a power of two at the most: as many calls are given up
/// among the first steps as among the last.
const STEPS: u32 = 9;

const SEED: u64 = 3;
