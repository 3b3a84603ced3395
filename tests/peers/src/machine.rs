//! Where and when: a figure without it says nothing.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::process::Command;

use serde::Serialize;

/// What a reader must know of the machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
    pub(crate) rustc: String,
    /// How busy it was before anything began, over one minute.
    pub(crate) load_average: String,
}

impl Display for Machine {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let Self { date, processor, cores, system, rustc, load_average } = self;
        writeln!(text, "{date}; {processor}, {cores} cores; {system}; {rustc}")?;
        writeln!(text, "load average before the run: {load_average}")
    }
}

/// Asks the machine; what it does not say is `?`.
pub(crate) fn describe() -> Machine {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processors.lines().find_map(|line| line.strip_prefix("model name"));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    Machine {
        date: said("date", &["-u", "+%F %H:%M UTC"]),
        processor: processor.unwrap_or("?").trim_start_matches([' ', '\t', ':']).to_owned(),
        cores: std::thread::available_parallelism().map_or(0, Into::into),
        system: said("uname", &["-sr"]),
        rustc: said("rustc", &["--version"]),
        load_average: load.split(' ').next().unwrap_or("?").to_owned(),
    }
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "?".to_owned())
}
