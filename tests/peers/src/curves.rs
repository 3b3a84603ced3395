//! What a call costs as something grows, as plots and tables.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use peer_load::Measured;
use serde::Serialize;
use serde_json::Value;

use crate::jackfield::{Jackfield, address};
use crate::measure::{Run, median};
use crate::peers::{FRESH, PEERS, Peer, QUINN, Scenario, WARM};
use crate::process::{self, Process, program};

/// One plot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Curve {
    /// Of its file.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// One line of it, by ascending x.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What grows, and how it is measured.
pub(crate) type Measure = fn(&Run<'_>, &Jackfield) -> Result<Vec<Curve>>;

/// By the names that `--curves` takes.
pub(crate) const ALL: [(&str, Measure); 5] = [
    ("plugins", plugins),
    ("connections", connections),
    ("in-flight", in_flight),
    ("payload", payload),
    ("endpoints", endpoints),
];

/// What was measured of one server as x grew.
struct Series {
    name: &'static str,
    points: Vec<(f64, Measured)>,
}

impl Series {
    fn new(name: &'static str) -> Self {
        Self { name, points: Vec::new() }
    }

    fn line(&self, name: &'static str, of: impl Fn(&Measured, f64) -> f64) -> Line {
        let points = self.points.iter().map(|(x, measured)| (*x, of(measured, *x)));
        Line { name, points: points.collect() }
    }

    /// Processor time of a call on each side.
    fn sides(&self) -> Vec<Line> {
        let client = self.line("client", |measured, _| measured.client_us);
        vec![self.line("host", |measured, _| measured.server_us), client]
    }

    /// That of both together.
    fn both(&self) -> Line {
        self.line(self.name, |measured, _| measured.client_us + measured.server_us)
    }
}

/// One host with ever more plugins, which 64 calls in flight go to by turns.
fn plugins(run: &Run<'_>, jackfield: &Jackfield) -> Result<Vec<Curve>> {
    let (mut series, mut resident) = (Series::new("jackfield"), Vec::new());
    for count in THOUSAND {
        eprintln!("plugins: {count}");
        let host = jackfield.host_of_greeters(count)?;
        let idle = host.resident()? as f64 / 1e6;
        let samples = rounds(run, || spread(run, &host, 1, count))?;
        series.points.push((count as f64, samples));
        resident.push((count as f64, idle));
    }
    let memory = vec![Line { name: "before the first call", points: resident }];
    let (x, y) = ("plugins of one host, called by turns", COST);
    Ok(vec![
        Curve { name: "plugins", title: "Plugins", x, y, lines: series.sides() },
        Curve {
            name: "plugins-memory",
            title: "Plugins: memory of the host",
            x: "plugins of one host",
            y: "MB resident",
            lines: memory,
        },
    ])
}

/// One host and ever more connections, which 64 calls in flight go over by turns.
fn connections(run: &Run<'_>, jackfield: &Jackfield) -> Result<Vec<Curve>> {
    let mut series = Series::new("jackfield");
    let host = jackfield.host_of_greeters(1)?;
    for count in THOUSAND {
        eprintln!("connections: {count}");
        let samples = rounds(run, || spread(run, &host, count, 1))?;
        series.points.push((count as f64, samples));
    }
    let (x, y) = ("connections, used by turns", COST);
    Ok(vec![Curve { name: "connections", title: "Connections", x, y, lines: series.sides() }])
}

/// One connection and ever more calls at the same time.
fn in_flight(run: &Run<'_>, _: &Jackfield) -> Result<Vec<Curve>> {
    let all = beside(run, &[FRESH, WARM, QUINN], "in flight", &IN_FLIGHT, |in_flight| Scenario {
        name: "in flight",
        in_flight,
        echo: 0,
    })?;
    let x = "calls in flight on one connection";
    let p50 = |series: &Series| series.line(series.name, |measured, _| measured.p50_us);
    let calls = |series: &Series| series.line(series.name, |measured, _| measured.calls);
    let curve = |name, title, y, lines| Curve { name, title, x, y, lines };
    Ok(vec![
        curve("in-flight", "Calls in flight", COST_BOTH, all.iter().map(Series::both).collect()),
        curve("in-flight-calls", "Calls in flight", "calls/s", all.iter().map(calls).collect()),
        curve(
            "in-flight-p50",
            "Calls in flight",
            "µs, median latency",
            all.iter().map(p50).collect(),
        ),
    ])
}

/// Ever longer lists of bytes, there and back.
fn payload(run: &Run<'_>, _: &Jackfield) -> Result<Vec<Curve>> {
    let all = beside(run, &[FRESH, WARM, QUINN], "bytes", &BYTES, |echo| Scenario {
        name: "bytes",
        in_flight: 16,
        echo,
    })?;
    let x = "bytes of a list<u8>, there and back, 16 in flight";
    let rate = |series: &Series| series.line(series.name, |measured, x| measured.calls * x / 1e6);
    let curve = |name, title, y, lines| Curve { name, title, x, y, lines };
    Ok(vec![
        curve("payload", "Payload", COST_BOTH, all.iter().map(Series::both).collect()),
        curve("payload-rate", "Payload", "MB/s each way", all.iter().map(rate).collect()),
    ])
}

/// A client that knows ever more endpoints of a service. Each count has a registry of its own.
fn endpoints(run: &Run<'_>, jackfield: &Jackfield) -> Result<Vec<Curve>> {
    let program = program("peer-jackfield")?;
    let seconds = run.options.seconds.to_string();
    let names = ["round-robin", "least-loaded", "peak-ewma", "ready_ms", "resident_kib"];
    let mut lines = names.map(|name| Line { name, points: Vec::new() });
    for count in TEN_THOUSAND {
        eprintln!("endpoints: {count}");
        let registry = jackfield.another_registry()?;
        let (place, number) = (address(&registry)?, count.to_string());
        let _held = Process::start(&mut jackfield.command(&program, &["hold", &place, &number]))?;
        let mut figures = Vec::new();
        for _ in 0..run.options.rounds {
            let choose = jackfield.command(&program, &["choose", &place, &number, &seconds]);
            let text = process::run(choose, limit(run) * 4)?;
            figures.push(serde_json::from_str::<Value>(&text)?);
        }
        for line in &mut lines {
            let figure = |figures: &Value| figures[line.name].as_f64().context("no figure");
            let middle = median(figures.iter().map(figure).collect::<Result<_>>()?);
            line.points.push((count as f64, middle.context("no rounds")?));
        }
    }
    let [a, b, c, mut ready, mut memory] = lines;
    ready.name = "until all are known";
    memory.name = "resident, beyond an empty client";
    let x = "endpoints of one service that a client knows";
    let curve = |name, title, y, lines| Curve { name, title, x, y, lines };
    Ok(vec![
        curve(
            "endpoints",
            "Endpoints: a choice",
            "ns for all of a call but its exchange",
            vec![a, b, c],
        ),
        curve("endpoints-ready", "Endpoints: a client's start", "ms", vec![ready]),
        curve("endpoints-memory", "Endpoints: a client's memory", "KiB", vec![memory]),
    ])
}

/// The same for several peers, in turn at each x.
fn beside(
    run: &Run<'_>,
    names: &[&'static str],
    what: &str,
    xs: &[usize],
    scenario: fn(usize) -> Scenario,
) -> Result<Vec<Series>> {
    let peers: Vec<&Peer> = PEERS.iter().filter(|peer| names.contains(&peer.name)).collect();
    let mut all: Vec<Series> = peers.iter().map(|peer| Series::new(peer.name)).collect();
    for x in xs {
        eprintln!("{what}: {x}");
        let mut samples = vec![Vec::new(); peers.len()];
        for _ in 0..run.options.rounds {
            for (peer, samples) in peers.iter().zip(&mut samples) {
                samples.push(run.load(peer, scenario(*x)).with_context(|| peer.name)?);
            }
        }
        for (series, samples) in all.iter_mut().zip(&samples) {
            series.points.push((*x as f64, middle(samples)?));
        }
    }
    Ok(all)
}

/// Over so many connections to so many services of a host.
fn spread(run: &Run<'_>, host: &Process, connections: usize, services: usize) -> Result<Measured> {
    let variant = format!("spread:{connections}:{services}");
    run.ask("peer-jackfield", &variant, (address(host)?, host.id()), MANY)
}

fn rounds(run: &Run<'_>, measure: impl Fn() -> Result<Measured>) -> Result<Measured> {
    let samples: Result<Vec<Measured>> = (0..run.options.rounds).map(|_| measure()).collect();
    middle(&samples?)
}

/// The median of each figure.
fn middle(samples: &[Measured]) -> Result<Measured> {
    ensure!(!samples.is_empty(), "no rounds");
    let of = |figure: fn(&Measured) -> f64| {
        median(samples.iter().map(figure).collect()).context("no rounds")
    };
    Ok(Measured {
        calls: of(|measured| measured.calls)?,
        p50_us: of(|measured| measured.p50_us)?,
        p99_us: of(|measured| measured.p99_us)?,
        client_us: of(|measured| measured.client_us)?,
        server_us: of(|measured| measured.server_us)?,
    })
}

fn limit(run: &Run<'_>) -> Duration {
    Duration::from_secs_f64(run.options.seconds) + Duration::from_secs(60)
}

const MANY: Scenario = Scenario { name: "64 in flight", in_flight: 64, echo: 0 };

const THOUSAND: [usize; 7] = [1, 3, 10, 32, 100, 316, 1_000];
const IN_FLIGHT: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const BYTES: [usize; 9] = [16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
const TEN_THOUSAND: [usize; 5] = [1, 10, 100, 1_000, 10_000];

const COST: &str = "µs of processor time for a call";
const COST_BOTH: &str = "µs of processor time for a call, both sides";
