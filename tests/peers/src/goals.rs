//! The figures that have goals, of which some only Jackfield is asked.

use std::time::Duration;

use anyhow::{Context, Result};
use peer_load::Measured;
use serde::Serialize;
use serde_json::Value;

use crate::jackfield::{Jackfield, address};
use crate::measure::{Run, median};
use crate::peers::{BYTES, FRESH, MANY, ONE, QUINN, Scenario, TONIC, WARM, WRPC_WASM};
use crate::process::{self, Process, program};

/// A figure beside what it should be.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) figure: String,
    /// What was measured, or why nothing was.
    pub(crate) measured: Result<f64, String>,
    pub(crate) unit: &'static str,
    /// None where the figure is to be stated alone.
    pub(crate) goal: Option<Bound>,
}

/// What is good enough.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub(crate) fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
        }
    }
}

/// All of them, in the order of the issue.
pub(crate) fn measure(run: &mut Run<'_>, jackfield: &Jackfield) -> Vec<Goal> {
    let mut goals = ratios(run);
    for (name, service, peer) in [("fresh", "fresh", FRESH), ("warm", "warm", WARM)] {
        eprintln!("70 % of peak, {name}");
        goals.push(goal(
            &format!("p99 / p50 at 70 % of peak, open loop, {name}"),
            open_loop(run, jackfield, service, peer),
            "×",
            Some(Bound::AtMost(5.0)),
        ));
    }
    eprintln!("memory and start");
    let idle = idle_host(jackfield);
    let part =
        |pick: fn(&Idle) -> f64| idle.as_ref().map(pick).map_err(|e| anyhow::anyhow!("{e:#}"));
    let mb = Some(Bound::AtMost(40.0));
    goals.push(goal("idle host with 10 plugins, resident", part(|idle| idle.host), "MB", mb));
    goals.push(goal("each plugin more, resident", part(|idle| idle.plugin), "KiB", None));
    let kib = Some(Bound::AtMost(64.0));
    goals.push(goal("each idle connection, resident", part(|idle| idle.connection), "KiB", kib));
    goals.push(goal(
        "first answer after `jackfield dev` starts, cached plugins",
        first_answer(run, jackfield),
        "ms",
        Some(Bound::AtMost(150.0)),
    ));
    goals
}

fn ratios(run: &Run<'_>) -> Vec<Goal> {
    let calls = |measured: &Measured| measured.calls;
    let p50 = |measured: &Measured| measured.p50_us;
    let rows: [(&str, Scenario, &str, &str, fn(&Measured) -> f64, Bound); 7] = [
        ("fresh, calls/s, against tonic", MANY, FRESH, TONIC, calls, Bound::AtLeast(1.5)),
        ("fresh, calls/s, against wRPC wasm", MANY, FRESH, WRPC_WASM, calls, Bound::AtLeast(5.0)),
        ("warm, calls/s, against tonic", MANY, WARM, TONIC, calls, Bound::AtLeast(3.0)),
        ("warm, calls/s, against raw quinn", MANY, WARM, QUINN, calls, Bound::AtLeast(0.6)),
        ("warm, p50, against raw quinn", ONE, WARM, QUINN, p50, Bound::AtMost(1.3)),
        ("fresh, p50, against raw quinn", ONE, FRESH, QUINN, p50, Bound::AtMost(1.6)),
        ("bytes/s, against raw quinn", BYTES, FRESH, QUINN, calls, Bound::AtLeast(0.5)),
    ];
    let mut goals: Vec<Goal> = rows
        .into_iter()
        .map(|(figure, scenario, one, other, of, bound)| {
            let one = crate::peers::PEERS.iter().find(|peer| peer.name == one).map(|p| p.name);
            let other = crate::peers::PEERS.iter().find(|peer| peer.name == other).map(|p| p.name);
            let ratio = one.zip(other).and_then(|(one, other)| run.ratio(scenario, one, other, of));
            let name = format!("{}: {figure}", scenario.name);
            goal(&name, ratio.context("one of them was not measured"), "×", Some(bound))
        })
        .collect();
    let client = |peer| run.median(MANY, peer, |measured| measured.client_us);
    let beyond = client(FRESH).zip(client(QUINN)).map(|(ours, raw)| ours - raw);
    goals.push(goal(
        "client library, processor time for a call beyond the raw stream",
        beyond.context("raw quinn was not measured"),
        "µs",
        Some(Bound::AtMost(2.0)),
    ));
    goals
}

fn goal(figure: &str, measured: Result<f64>, unit: &'static str, goal: Option<Bound>) -> Goal {
    let measured = measured.map_err(|error| format!("{error:#}"));
    Goal { figure: figure.to_owned(), measured, unit, goal }
}

/// By `jackfield bench`, whose latencies count from when a call was due.
fn open_loop(
    run: &Run<'_>,
    jackfield: &Jackfield,
    service: &str,
    peer: &'static str,
) -> Result<f64> {
    let peak = run.median(MANY, peer, |measured| measured.calls).context("no peak")?;
    let (rate, seconds) = ((peak * 0.7).round().to_string(), run.options.seconds);
    let time = format!("{}ms", (seconds * 1e3).round());
    let method = format!("{service}.greet");
    let name = "n".repeat(120);
    let args =
        ["bench", &method, &name, "-c", "256", "--rate", &rate, "--duration", &time, "--json"];
    let mut ratios = Vec::new();
    for _ in 0..run.options.rounds {
        let command = jackfield.command(&jackfield.binary, &args);
        let text = process::run(command, Duration::from_secs_f64(seconds) + LIMIT)?;
        let figures: Value = serde_json::from_str(&text)?;
        let at = |name: &str| figures["latency_us"][name].as_f64().context("no latency");
        ratios.push(at("p99")? / at("p50")?);
    }
    median(ratios).context("no rounds")
}

/// Resident memory of hosts that do nothing.
struct Idle {
    /// In MB, with ten plugins.
    host: f64,
    /// In KiB.
    plugin: f64,
    /// In KiB.
    connection: f64,
}

fn idle_host(jackfield: &Jackfield) -> Result<Idle> {
    // So that connections find no other host, least of all that of the rounds: its memory has grown.
    let registry = jackfield.another_registry()?;
    let place = address(&registry)?;
    let host = |plugins: usize| -> Result<Process> {
        let folder = jackfield.folder_of(plugins)?;
        let folder = folder.to_str().context("a temporary folder has a plain name")?;
        let host = ["host", folder, "--name", "idle", "--log", "error"];
        let start = || {
            let mut command = jackfield.command(&jackfield.binary, &host);
            Process::start(command.env("JACKFIELD_REGISTRY", &place))
        };
        // Twice: the first compiles, which leaves memory behind that no cached start has.
        drop(start()?);
        let process = start()?;
        std::thread::sleep(SETTLE);
        Ok(process)
    };
    let program = program("peer-jackfield")?;
    let hold = |count: usize| -> Result<Process> {
        let count = count.to_string();
        let held = Process::start(&mut jackfield.command(&program, &["idle", &place, &count]))?;
        std::thread::sleep(SETTLE);
        Ok(held)
    };
    let one = host(PLUGINS)?;
    let ten = one.resident()?;
    // The first call of all takes memory that the others find.
    let _first = hold(1)?;
    let before = one.resident()?;
    let _all = hold(CONNECTIONS)?;
    let after = one.resident()?;
    drop(one);
    let more = host(PLUGINS + 40)?.resident()?;
    let each = |more: u64, less: u64, count: usize| {
        more.saturating_sub(less) as f64 / 1024.0 / count as f64
    };
    Ok(Idle {
        host: ten as f64 / 1e6,
        plugin: each(more, ten, 40),
        connection: each(after, before, CONNECTIONS),
    })
}

fn first_answer(run: &Run<'_>, jackfield: &Jackfield) -> Result<f64> {
    let folder = jackfield.folder_of(PLUGINS)?;
    let folder = folder.to_str().context("a temporary folder has a plain name")?;
    let binary = jackfield.binary.to_str().context("the binary has a plain name")?;
    let program = program("peer-jackfield")?;
    let once = || -> Result<f64> {
        let command = jackfield.command(&program, &["first", binary, folder]);
        Ok(process::run(command, LIMIT)?.parse()?)
    };
    // The first may have to compile.
    once()?;
    let times: Result<Vec<f64>> = (0..run.options.rounds).map(|_| once()).collect();
    median(times?).context("no rounds")
}

const PLUGINS: usize = 10;
const CONNECTIONS: usize = 200;

/// For connecting, compiling and the last answers.
const LIMIT: Duration = Duration::from_secs(120);

/// Until start-up work has ended and what it needed was given back.
const SETTLE: Duration = Duration::from_secs(3);
