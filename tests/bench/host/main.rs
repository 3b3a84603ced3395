//! What a host does under fire, in figures: `cargo bench --workspace --bench host`.
//!
//! Each part starts hosts of its own, as processes of their own over loopback, and calls them with
//! the client library. `docs/measured/host.md` says what each figure means. Without `--bench`, as
//! `cargo test --bench host` runs it, everything runs once at a scale that only shows that it works;
//! a figure that is a promise (no failed call, nothing left behind) fails the run at any scale.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark is there to print")]

mod cancel;
mod child;
mod fixtures;
mod guests;
mod many;
mod neighbour;
mod options;
mod place;
mod random;
mod raw;
mod replace;
mod report;
mod strategies;
mod traffic;

use anyhow::{Result, ensure};
use clap::Parser as _;

use options::{Options, Part};
use report::{Report, Table};

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some(spec) = &options.host {
        return runtime.block_on(child::serve(spec));
    }
    let mut report = Report::default();
    for part in options.parts() {
        eprintln!("{}: {}", part.name(), part.about());
        for table in runtime.block_on(run(part, &options))? {
            report.add(table);
            if !options.json {
                println!("{}", report.last(options.markdown));
            }
        }
    }
    if options.json {
        println!("{}", report.json());
    }
    let broken = report.broken();
    ensure!(broken.is_empty(), "promises that were not kept:\n{}", broken.join("\n"));
    Ok(())
}

async fn run(part: Part, options: &Options) -> Result<Vec<Table>> {
    match part {
        Part::Replace => replace::run(options).await,
        Part::Fixtures => fixtures::run(options).await,
        Part::Many => many::run(options).await,
        Part::Cancel => cancel::run(options).await,
        Part::Strategies => strategies::run(options).await,
        Part::Neighbour => neighbour::run(options).await,
    }
}
