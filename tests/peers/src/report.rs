//! The figures as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use peer_load::Measured;
use serde::Serialize;

use crate::goals::{Bound, Goal};
use crate::machine::Machine;
use crate::measure::Run;
use crate::options::Options;
use crate::peers::{FRESH, PEERS, Peer, SCENARIOS, WARM};
use crate::process::here;

/// Everything that came of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    rounds: usize,
    seconds: f64,
    versions: BTreeMap<String, String>,
    tables: Vec<Table>,
    failed: BTreeMap<&'static str, String>,
    goals: Vec<Goal>,
}

#[derive(Debug, Serialize)]
struct Table {
    scenario: &'static str,
    rows: Vec<Row>,
}

/// Medians over the rounds; a ratio is the median of the rounds' ratios.
#[derive(Debug, Serialize)]
struct Row {
    peer: &'static str,
    what: &'static str,
    calls: f64,
    p50_us: f64,
    p99_us: f64,
    client_us: f64,
    server_us: f64,
    /// Calls of Jackfield with fresh instances divided by those of the peer.
    fresh: Option<f64>,
    /// The same with warm ones.
    warm: Option<f64>,
    rounds: Vec<Measured>,
}

impl Report {
    /// Of a run.
    pub(crate) fn new(
        machine: &Machine,
        options: &Options,
        peers: &[&Peer],
        run: Run<'_>,
        goals: Vec<Goal>,
    ) -> Self {
        let tables = SCENARIOS.into_iter().map(|scenario| Table {
            scenario: scenario.name,
            rows: peers.iter().filter_map(|peer| Row::new(&run, scenario, peer)).collect(),
        });
        Self {
            machine: machine.clone(),
            rounds: options.rounds,
            seconds: options.seconds,
            versions: versions(peers),
            tables: tables.collect(),
            goals,
            failed: run.failed,
        }
    }
}

impl Display for Report {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        write!(text, "{}", self.machine)?;
        writeln!(text, "medians of {} rounds of {} s each", self.rounds, self.seconds)?;
        let versions: Vec<String> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        writeln!(text, "{}", versions.join(", "))?;
        for table in &self.tables {
            write!(text, "{table}")?;
        }
        if !self.failed.is_empty() {
            writeln!(text, "\nwithout figures:")?;
        }
        for (name, why) in &self.failed {
            writeln!(text, "- {name}: {why}")?;
        }
        if !self.goals.is_empty() {
            writeln!(text, "\n| figure | measured | goal | |\n|---|---|---|---|")?;
        }
        self.goals.iter().try_for_each(|goal| writeln!(text, "{}", goal_row(goal)))
    }
}

impl Display for Table {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        writeln!(text, "\n### {}\n", self.scenario)?;
        writeln!(
            text,
            "| peer | calls/s | p50 µs | p99 µs | CPU µs client + server | fresh / it | warm / it |"
        )?;
        writeln!(text, "|---|---|---|---|---|---|---|")?;
        for row in &self.rows {
            let Row { peer, what, calls, p50_us, p99_us, client_us, server_us, .. } = row;
            let ratio =
                |ratio: Option<f64>| ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"));
            writeln!(
                text,
                "| {peer}: {what} | {calls:.0} | {p50_us:.0} | {p99_us:.0} | {client_us:.1} + \
                 {server_us:.1} | {} | {} |",
                ratio(row.fresh),
                ratio(row.warm)
            )?;
        }
        Ok(())
    }
}

impl Row {
    fn new(run: &Run<'_>, scenario: crate::peers::Scenario, peer: &Peer) -> Option<Self> {
        let figure = |of: fn(&Measured) -> f64| run.median(scenario, peer.name, of);
        let against = |ours| run.ratio(scenario, ours, peer.name, |measured| measured.calls);
        Some(Self {
            peer: peer.name,
            what: peer.what,
            calls: figure(|measured| measured.calls)?,
            p50_us: figure(|measured| measured.p50_us)?,
            p99_us: figure(|measured| measured.p99_us)?,
            client_us: figure(|measured| measured.client_us)?,
            server_us: figure(|measured| measured.server_us)?,
            fresh: against(FRESH),
            warm: against(WARM),
            rounds: run.samples.get(&(scenario, peer.name))?.clone(),
        })
    }
}

fn goal_row(goal: &Goal) -> String {
    let unit = goal.unit;
    let (bound, verdict) = match (goal.goal, &goal.measured) {
        (None, _) => ("stated".to_owned(), ""),
        (Some(bound), measured) => {
            let text = match bound {
                Bound::AtLeast(least) => format!("≥ {least} {unit}"),
                Bound::AtMost(most) => format!("≤ {most} {unit}"),
            };
            let verdict = measured.as_ref().map(|figure| bound.holds(*figure));
            (text, verdict.map_or("", |holds| if holds { "met" } else { "missed" }))
        }
    };
    let measured = match &goal.measured {
        Ok(figure) => format!("{figure:.2} {unit}"),
        Err(why) => why.clone(),
    };
    format!("| {} | {measured} | {bound} | {verdict} |", goal.figure)
}

/// Of the crates that count, out of the lock file: as `NAME`, or `NAME VERSION, VERSION` where a
/// workspace has several.
fn versions(peers: &[&Peer]) -> BTreeMap<String, String> {
    let lock = std::fs::read_to_string(here().join("Cargo.lock")).unwrap_or_default();
    let named = PEERS.iter().filter(|peer| peers.iter().any(|chosen| chosen.name == peer.name));
    let names = named.flat_map(|peer| peer.crates);
    names.map(|name| ((*name).to_owned(), version(&lock, name))).collect()
}

fn version(lock: &str, name: &str) -> String {
    let wanted = format!("name = \"{name}\"");
    let mut versions = Vec::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        if line == wanted {
            let version = lines.next().and_then(|line| line.strip_prefix("version = "));
            versions.push(version.unwrap_or("?").trim_matches('"'));
        }
    }
    if versions.is_empty() { "?".into() } else { versions.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_out_of_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"ab\"\n\
                    version = \"2.0.0\"\n\n[[package]]\nname = \"a\"\nversion = \"2.0.0\"\n";
        assert_eq!(version(lock, "a"), "1.2.3 and 2.0.0");
        assert_eq!(version(lock, "c"), "?");
    }

    #[test]
    fn a_goal_says_whether_it_is_met() {
        let row = |measured, goal| {
            goal_row(&Goal { figure: "f".into(), measured, unit: "×", goal: Some(goal) })
        };
        assert!(row(Ok(2.0), Bound::AtLeast(1.5)).ends_with("| ≥ 1.5 × | met |"));
        assert!(row(Ok(2.0), Bound::AtMost(1.5)).ends_with("| missed |"));
        assert!(row(Err("no".into()), Bound::AtMost(1.5)).ends_with("| no | ≤ 1.5 × |  |"));
    }
}
