//! `check`: what a host would say of a file, without a host.

use std::fs;

use jackfield_host::CheckReport;
use jackfield_wire::reflect::ServiceInfo;
use serde_json::json;

use crate::args::CheckArgs;
use crate::exit::Exit;
use crate::json;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;
use crate::view::service::{self, Hidden};

/// Checks a file.
pub(crate) fn run(args: CheckArgs, terminal: Terminal) -> Outcome {
    let file = args.file.display().to_string();
    if let Err(error) = fs::metadata(&args.file) {
        return Err(Problem::new(Exit::NotFound, format!("cannot read {file}: {error}")));
    }
    match jackfield_host::check(&args.file) {
        CheckReport::Serves(info) => serves(&args, &file, &info, &terminal),
        CheckReport::Rejected(rejection) => {
            let reason = rejection.to_string();
            if !args.json {
                return Err(Problem::new(Exit::Rejected, format!("{file}: {reason}")));
            }
            let report = json!({ "file": file, "rejected": reason });
            terminal.out(json::show(&report.to_string(), &terminal))?;
            Err(Problem::silent(Exit::Rejected))
        }
    }
}

fn serves(args: &CheckArgs, file: &str, info: &ServiceInfo, terminal: &Terminal) -> Outcome {
    if args.json {
        let report = json!({ "file": file, "service": info });
        return Ok(terminal.out(json::show(&report.to_string(), terminal))?);
    }
    let text = service::service(info, Hidden::of_flag(args.all), terminal);
    Ok(terminal.out(text.trim_end())?)
}
