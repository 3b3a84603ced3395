//! Processor time of processes, from `/proc`: Linux alone.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// What a process has used so far, user and system together, in steps of 10 ms.
pub(crate) fn processor_time(process: &str) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let line = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // Behind the name, which may hold anything: fields 14 and 15 of the line, in hundredths.
    let (_, fields) = line.rsplit_once(") ").with_context(|| format!("{path} is cut"))?;
    let mut fields = fields.split(' ').skip(11).map(str::parse::<u64>);
    let mut next = || fields.next().with_context(|| format!("{path} is cut"))?.context("no number");
    Ok(Duration::from_millis((next()? + next()?) * 10))
}
