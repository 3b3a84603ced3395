//! Runs this program again under callgrind, and compares what it counts.
//!
//! Callgrind counts while [`counted`] runs and writes one dump each time it returns, so the dumps
//! and the parts go in the same order.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};

use crate::counts::{Counts, Row};
use crate::{Part, say};

/// What callgrind starts this program with.
pub(crate) const COUNT: &str = "--count";

/// Holds the counts of now against those in `file`.
pub(crate) fn check(file: &Path) -> Result<ExitCode> {
    let now = count()?;
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("{}; {BLESS} writes it", file.display()))?;
    let kept: Counts = text.parse().with_context(|| format!("{}", file.display()))?;
    let rows = kept.compare(&now);
    rows.iter().for_each(|row| say(&row.to_string()));
    if kept.tools != now.tools {
        say(&format!("compared loosely: counted with {}, this is {}", kept.tools, now.tools));
    }
    if !rows.iter().any(Row::fails) {
        return Ok(ExitCode::SUCCESS);
    }
    let file = file.display();
    say(&format!(
        "The parts do not take what {file} says. Mend what became slower, or take the new counts \
         in by `{BLESS}` and say in the commit why."
    ));
    Ok(ExitCode::FAILURE)
}

/// Writes the counts of now to `file`.
pub(crate) fn bless(file: &Path) -> Result<ExitCode> {
    let now = count()?;
    std::fs::write(file, now.to_string()).with_context(|| format!("{}", file.display()))?;
    say(&format!("{} parts in {}", now.parts.len(), file.display()));
    Ok(ExitCode::SUCCESS)
}

/// Runs each part where callgrind sees it, and says their names.
pub(crate) fn run(parts: Vec<Part>) -> Result<ExitCode> {
    for Part { name, mut run } in parts {
        // What only the first runs do is no part's own.
        for _ in 0..WARM_UP {
            run();
        }
        counted(&mut run);
        say(&name);
    }
    Ok(ExitCode::SUCCESS)
}

/// What callgrind counts; it knows it by this name.
#[inline(never)]
fn counted(run: &mut dyn FnMut()) {
    for _ in 0..RUNS {
        run();
    }
}

fn count() -> Result<Counts> {
    let valgrind = version("valgrind")?;
    let folder = tempfile::tempdir()?;
    let dumps = folder.path().join("dump");
    let ended = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--smc-check=all-non-file"])
        .args([format!("--toggle-collect={COUNTED}"), format!("--dump-after={COUNTED}")])
        .arg(format!("--callgrind-out-file={}", dumps.display()))
        .arg(std::env::current_exe()?)
        .arg(COUNT)
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(ended.stdout)?;
    ensure!(ended.status.success(), "under callgrind it ended with {}: {text}", ended.status);
    let dump = |number| total(&folder.path().join(format!("dump.{number}")));
    let part = |(name, number): (&str, u32)| {
        Ok((name.to_owned(), dump(number).context(name.to_owned())? / u64::from(RUNS)))
    };
    let parts = text.lines().zip(1..).map(part).collect::<Result<_>>()?;
    Ok(Counts { tools: format!("{}, {valgrind}", version("rustc")?), parts })
}

/// The instructions of one dump.
fn total(dump: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(dump);
    let text = text.with_context(|| format!("callgrind saw nothing of {COUNTED}"))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.context("a dump of callgrind without totals")?.trim().parse()?)
}

fn version(tool: &str) -> Result<String> {
    let said = Command::new(tool).arg("--version").output();
    let said = said.with_context(|| format!("{tool} --version; is it installed?"))?;
    ensure!(said.status.success(), "{tool} --version ended with {}", said.status);
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}

/// What takes new counts in.
pub(crate) const BLESS: &str = "tests/parts.sh --bless";

/// [`counted`], as valgrind writes it. `--dump-after` heeds no pattern.
const COUNTED: &str = "jackfield_parts::guard::counted";

/// Runs before the counted ones: tables grow, lazy things are made.
const WARM_UP: u32 = 3;

/// Counted runs, of which the mean is taken: what happens at each tenth only, such as growth, is a
/// part of the cost.
const RUNS: u32 = 50;
