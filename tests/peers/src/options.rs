//! What was typed.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::curves;
use crate::peers::{FRESH, PEERS, QUINN, WARM};
use crate::process::here;

/// The words behind the command.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Each peer is measured so often.
    pub(crate) rounds: usize,
    /// For so long each time.
    pub(crate) seconds: f64,
    /// These alone; empty means all.
    pub(crate) only: Vec<String>,
    pub(crate) json: bool,
    /// Jackfield's other figures too.
    pub(crate) goals: bool,
    /// A binary to use instead of building one.
    pub(crate) jackfield: Option<PathBuf>,
    /// Cost curves instead of the rounds; empty means no curves.
    pub(crate) curves: Vec<String>,
    /// Where their plots go.
    pub(crate) out: PathBuf,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// For what is no option or no value of one; the text has all of them.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            rounds: 5,
            seconds: 3.0,
            only: Vec::new(),
            json: false,
            goals: true,
            jackfield: None,
            curves: Vec::new(),
            out: here().join("../../docs/curves"),
        };
        while let Some(word) = words.next() {
            let mut value =
                || words.next().with_context(|| format!("{word} needs a value\n{HELP}"));
            match &*word {
                "--rounds" => {
                    options.rounds = value()?.parse().context("--rounds takes a number")?
                }
                "--seconds" => {
                    options.seconds = value()?.parse().context("--seconds takes a number")?;
                }
                "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
                "--json" => options.json = true,
                "--no-goals" => options.goals = false,
                "--jackfield" => options.jackfield = Some(value()?.into()),
                "--curves" => options.curves.extend(value()?.split(',').map(str::to_owned)),
                "--out" => options.out = value()?.into(),
                "--help" | "-h" => {
                    println!("{HELP}");
                    std::process::exit(0);
                }
                _ => bail!("{word:?} is no option\n{HELP}"),
            }
        }
        ensure!(options.rounds > 0, "--rounds 0 measures nothing");
        ensure!(
            (0.1..=600.0).contains(&options.seconds),
            "--seconds is between 0.1 and 600: below it, processor time has too few steps"
        );
        check(&options.only, "peer", PEERS.iter().map(|peer| peer.name))?;
        check(&options.curves, "curve", curves::ALL.iter().map(|curve| curve.0).chain([ALL]))?;
        Ok(options)
    }

    /// Whether a curve is measured.
    pub(crate) fn wants_curve(&self, name: &str) -> bool {
        self.curves.iter().any(|wanted| wanted == name || wanted == ALL)
    }

    /// Whether a peer is measured. Jackfield always is: the ratios are its own. Curves are beside the
    /// limit alone.
    pub(crate) fn wants(&self, name: &str) -> bool {
        if !self.curves.is_empty() {
            return [FRESH, WARM, QUINN].contains(&name);
        }
        self.only.is_empty() || name.starts_with("jackfield") || self.only.iter().any(|o| o == name)
    }
}

/// Refuses names that there are none of.
fn check(typed: &[String], what: &str, all: impl Iterator<Item = &'static str>) -> Result<()> {
    let all: Vec<&str> = all.collect();
    for name in typed {
        ensure!(all.contains(&&**name), "no {what} {name:?}; there are {}", all.join(", "));
    }
    Ok(())
}

/// Every curve.
const ALL: &str = "all";

const HELP: &str = "\
Options:
  --rounds N         measure each so often, in turn [default: 5]
  --seconds S        for so long each time [default: 3]
  --only NAME,NAME   these peers (and Jackfield) alone
  --json             the figures of every round as JSON
  --no-goals         leave out what only Jackfield is asked
  --jackfield FILE   use this binary instead of building one
  --curves NAME,NAME cost curves instead: plugins, connections, in-flight, payload, endpoints, all
  --out DIR          where their plots go [default: docs/curves of this tree]";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_and_jackfield_is_always_wanted() {
        let options = read("--rounds 7 --seconds 0.5 --only quinn,tonic --json").unwrap();
        assert_eq!((options.rounds, options.seconds, options.json), (7, 0.5, true));
        assert!(options.wants("quinn") && options.wants("jackfield-warm"));
        assert!(!options.wants("axum") && read("").unwrap().wants("axum"));
        let options = read("--curves plugins,payload").unwrap();
        assert!(options.wants("quinn") && !options.wants("tonic"));
        assert!(options.wants_curve("payload") && !options.wants_curve("endpoints"));
        assert!(read("--curves all").unwrap().wants_curve("endpoints"));
    }

    #[test]
    fn what_is_no_option_is_refused_with_all_there_are() {
        for line in [
            "--round 5",
            "--rounds",
            "--rounds x",
            "--rounds 0",
            "--seconds 0",
            "--only x",
            "--curves x",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
