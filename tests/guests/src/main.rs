//! Keeps the checked-in components true to their sources: `jackfield-guests refresh` and `jackfield-guests check`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool for developers"
)]

use anyhow::Result;
use jackfield_guests::{Verdict, check, refresh};
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some("refresh") => run_refresh(),
        Some("check") => run_check(),
        _ => {
            eprintln!("usage: cargo run -p jackfield-guests -- refresh|check");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_refresh() -> Result<()> {
    for note in refresh()? {
        println!("note: {note}");
    }
    println!("the checked-in components are those that the sources make");
    Ok(())
}

fn run_check() -> Result<()> {
    match check()? {
        Verdict::Rebuilt => println!("built again and compared: every Rust component matches"),
        Verdict::RecordOnly(reason) => {
            println!("skipped: building and comparing ({reason}); the recorded hashes match");
        }
    }
    Ok(())
}
