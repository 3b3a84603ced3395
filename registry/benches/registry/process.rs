//! What a process takes of the machine, as Linux tells it.

use std::time::Duration;

/// Bytes of memory that are really there.
pub(crate) fn rss(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs, on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1024
}

/// Time on a processor since its start.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs, on Linux");
    let after_name = stat.rsplit_once(')').expect("a name in brackets").1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = [11, 12].map(|n: usize| fields[n].parse::<u64>().expect("ticks")).iter().sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// What Linux shows to programs, whatever it counts with itself.
const TICKS_PER_SECOND: u64 = 100;
