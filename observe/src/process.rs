//! What every process reports of itself.

use std::time::SystemTime;

use jackfield_wire::metric::Metric;
use rustix::time::{ClockId, clock_gettime};

/// Says what the numbers are, and those that never change.
pub(crate) fn describe(role: &'static str) {
    TABLE.iter().for_each(Metric::describe);
    metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION"), "role" => role).set(1.0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!(STARTED).set(since.as_secs_f64());
}

/// Reports what it takes of the machine, as far as the system tells.
pub(crate) fn sample() {
    if let Some(bytes) = resident() {
        metrics::gauge!(RESIDENT).set(bytes);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        let count = u32::try_from(files.count()).unwrap_or(u32::MAX);
        metrics::gauge!(FILES).set(f64::from(count));
    }
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    if let Ok(spent) = std::time::Duration::try_from(spent) {
        metrics::gauge!(CPU).set(spent.as_secs_f64());
    }
}

fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}

const BUILD: &str = "jackfield_build_info";
const STARTED: &str = "process_start_time_seconds";
const RESIDENT: &str = "process_resident_memory_bytes";
const CPU: &str = "process_cpu_seconds";
const FILES: &str = "process_open_fds";

/// Everything that is reported.
const TABLE: [Metric; 5] = [
    Metric::gauge(BUILD, "version, role", "1, for its labels"),
    Metric::gauge(STARTED, "", "When the process started, since 1970").seconds(),
    Metric::gauge(RESIDENT, "", "Memory that the process has in RAM").bytes(),
    Metric::gauge(CPU, "", "CPU time that the process has used").seconds(),
    Metric::gauge(FILES, "", "Files and sockets that the process has open"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_wire::metric;

    #[test]
    fn the_documentation_lists_every_metric_as_it_is() {
        let document = include_str!("../../docs/metrics.md");
        assert_eq!(metric::differences(document, "process_", &TABLE), [""; 0]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory() {
        assert!(resident().unwrap() > 1e5);
    }
}
