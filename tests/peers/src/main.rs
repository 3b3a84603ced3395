//! Runs Jackfield beside its peers and prints ratios: `cargo run --release` in `tests/peers`.
//!
//! Every server and every client is a process of its own, on loopback. All are measured in turn, round
//! by round, so that whatever else the machine does meets all of them; a ratio compares figures of
//! one round, and the table has medians over the rounds. See the README.

mod curves;
mod goals;
mod jackfield;
mod keys;
mod machine;
mod measure;
mod options;
mod peers;
mod plot;
mod plots;
mod process;
mod report;

use std::fmt::Display;

use anyhow::Result;
use serde::Serialize;

use jackfield::Jackfield;
use measure::Run;
use options::Options;
use peers::{PEERS, Peer};
use plots::Plots;
use report::Report;

fn main() -> Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let machine = machine::describe();
    let chosen: Vec<&Peer> = PEERS.iter().filter(|peer| options.wants(peer.name)).collect();
    let binary = process::build_jackfield(&options)?;
    let failed = process::build_peers(&chosen)?;
    let folder = tempfile::tempdir()?;
    keys::write(folder.path())?;
    let jackfield = Jackfield::start(&binary, folder.path())?;
    let mut run = Run::new(&options, &jackfield, folder.path(), failed);
    run.start_servers(&chosen);
    let mut curves = Vec::new();
    for (_, measure) in curves::ALL.iter().filter(|(name, _)| options.wants_curve(name)) {
        curves.extend(measure(&run, &jackfield)?);
    }
    if !options.curves.is_empty() {
        return print(&Plots::draw(&machine, &options, curves)?, &options);
    }
    run.rounds(&chosen);
    let goals = if options.goals { goals::measure(&mut run, &jackfield) } else { Vec::new() };
    print(&Report::new(&machine, &options, &chosen, run, goals), &options)
}

/// As JSON, or as Markdown, which is text as well.
fn print(report: &(impl Serialize + Display), options: &Options) -> Result<()> {
    if options.json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}
