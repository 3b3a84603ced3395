//! The rounds: every peer in turn, in every scenario.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use peer_load::Measured;

use crate::jackfield::{Jackfield, address};
use crate::options::Options;
use crate::peers::{Peer, SCENARIOS, Scenario};
use crate::process::{self, Process, program};

/// What is measured so far.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) options: &'a Options,
    jackfield: &'a Jackfield,
    keys: PathBuf,
    servers: BTreeMap<&'static str, Process>,
    /// Of packages that could not be built, and of peers that could not be started or failed.
    pub(crate) failed: BTreeMap<&'static str, String>,
    /// By scenario and peer, one for each round.
    pub(crate) samples: BTreeMap<(Scenario, &'static str), Vec<Measured>>,
}

impl<'a> Run<'a> {
    /// Nothing is measured yet.
    pub(crate) fn new(
        options: &'a Options,
        jackfield: &'a Jackfield,
        keys: &Path,
        failed: BTreeMap<&'static str, String>,
    ) -> Self {
        let (servers, samples) = (BTreeMap::new(), BTreeMap::new());
        Self { options, jackfield, keys: keys.to_owned(), servers, failed, samples }
    }

    /// Starts the server of each peer but Jackfield, whose host runs.
    pub(crate) fn start_servers(&mut self, peers: &[&Peer]) {
        for peer in peers {
            let why = match self.failed.get(peer.package) {
                Some(why) => why.clone(),
                None if is_jackfield(peer) => continue,
                None => match self.serve(peer) {
                    Ok(server) => {
                        self.servers.insert(peer.name, server);
                        continue;
                    }
                    Err(error) => format!("does not start: {error:#}"),
                },
            };
            self.fail(peer, why);
        }
    }

    /// Measures all, `--rounds` times.
    pub(crate) fn rounds(&mut self, peers: &[&Peer]) {
        for round in 1..=self.options.rounds {
            for scenario in SCENARIOS {
                eprintln!("round {round} of {}: {}", self.options.rounds, scenario.name);
                for peer in peers {
                    if self.failed.contains_key(peer.name) || scenario.echo > 0 && !peer.echoes {
                        continue;
                    }
                    match self.load(peer, scenario) {
                        Ok(measured) => {
                            self.samples.entry((scenario, peer.name)).or_default().push(measured);
                        }
                        Err(error) => self.fail(peer, format!("{}: {error:#}", scenario.name)),
                    }
                }
            }
        }
    }

    /// A peer that failed once has no figures: those of a part of the rounds do not compare.
    fn fail(&mut self, peer: &Peer, why: String) {
        eprintln!("{}: {why}", peer.name);
        self.samples.retain(|(_, name), _| *name != peer.name);
        self.failed.insert(peer.name, why);
    }

    fn serve(&self, peer: &Peer) -> Result<Process> {
        let mut command = Command::new(program(peer.package)?);
        command.args(["serve", peer.variant]).arg(&self.keys);
        Process::start(&mut command)
    }

    /// Measures a peer once.
    ///
    /// # Errors
    /// When it fails in any way.
    pub(crate) fn load(&self, peer: &Peer, scenario: Scenario) -> Result<Measured> {
        let server = match self.servers.get(peer.name) {
            Some(server) => (address(server)?, server.id()),
            None => (self.jackfield.registry.clone(), self.jackfield.host.id()),
        };
        self.ask(peer.package, peer.variant, server, scenario)
    }

    /// Runs the client of `package` once, against a server at an address and with a process id.
    ///
    /// # Errors
    /// When it fails in any way.
    pub(crate) fn ask(
        &self,
        package: &str,
        variant: &str,
        (address, server): (String, u32),
        scenario: Scenario,
    ) -> Result<Measured> {
        let seconds = self.options.seconds;
        let warm_up = (seconds / 3.0).min(1.0).to_string();
        let (in_flight, echo) = (scenario.in_flight.to_string(), scenario.echo.to_string());
        let mut command = self.jackfield.command(&program(package)?, &[]);
        command.args(["load", variant]).arg(&self.keys).args([&address, &server.to_string()]);
        command.args([in_flight, warm_up, seconds.to_string(), echo]);
        let text = process::run(command, Duration::from_secs_f64(seconds) * 2 + PATIENCE)?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The median of a figure.
    pub(crate) fn median(
        &self,
        scenario: Scenario,
        peer: &'static str,
        figure: impl Fn(&Measured) -> f64,
    ) -> Option<f64> {
        median(self.samples.get(&(scenario, peer))?.iter().map(figure).collect())
    }

    /// The median over the rounds of a figure of `one` divided by that of `other`.
    pub(crate) fn ratio(
        &self,
        scenario: Scenario,
        one: &'static str,
        other: &'static str,
        figure: impl Fn(&Measured) -> f64,
    ) -> Option<f64> {
        let one = self.samples.get(&(scenario, one))?;
        let other = self.samples.get(&(scenario, other))?;
        median(one.iter().zip(other).map(|(one, other)| figure(one) / figure(other)).collect())
    }
}

fn is_jackfield(peer: &Peer) -> bool {
    peer.package == "peer-jackfield"
}

/// The middle of them; of an even number, the mean of the two in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let upper = figures.len() / 2;
    let lower = figures.len().checked_sub(1)? / 2;
    Some((figures[lower] + figures[upper]) / 2.0)
}

/// For connecting and for the last answers.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
