//! `check`: what a host would say of a plugin and its manifest, without a host.

use std::fs;

use jackfield_host::{CheckReport, Checked, PluginSettings};
use serde_json::{Map, Value, json};

use crate::args::CheckArgs;
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;
use crate::view::service::{self, Hidden};
use crate::view::settings;
use crate::{host, json};

/// Checks a file.
pub(crate) fn run(args: CheckArgs, terminal: Terminal) -> Outcome {
    let file = args.file.display().to_string();
    if let Err(error) = fs::metadata(&args.file) {
        return Err(Problem::new(Exit::NotFound, format!("cannot read {file}: {error}")));
    }
    let host = host::read_settings(&args.settings)?;
    match jackfield_host::check(&args.file, &host) {
        CheckReport::Serves(checked) => serves(&args, &file, &checked, &terminal),
        CheckReport::Manifest(found) => manifest(&args, &file, &found, &terminal),
        CheckReport::Rejected(rejection) => {
            let reason = rejection.to_string();
            if !args.json {
                return Err(Problem::new(Exit::Rejected, format!("{file}: {}", reason.trim_end())));
            }
            let report = json!({ "file": file, "rejected": reason });
            terminal.out(json::show(&report.to_string(), &terminal))?;
            Err(Problem::silent(Exit::Rejected))
        }
        _ => Err(Problem::internal("the check gave what this command does not know")),
    }
}

fn serves(args: &CheckArgs, file: &str, checked: &Checked, terminal: &Terminal) -> Outcome {
    let Checked { info, settings, warnings, .. } = checked;
    if args.json {
        let report = json!({
            "file": file, "service": info, "settings": as_json(settings), "warnings": warnings,
        });
        return Ok(terminal.out(json::show(&report.to_string(), terminal))?);
    }
    let text = service::service(info, Hidden::of_flag(args.all), terminal);
    terminal.out(text.trim_end())?;
    terminal.out("")?;
    Ok(terminal.out(settings::settings(settings, warnings, terminal))?)
}

fn manifest(args: &CheckArgs, file: &str, found: &PluginSettings, terminal: &Terminal) -> Outcome {
    if args.json {
        let report = json!({ "file": file, "settings": as_json(found) });
        return Ok(terminal.out(json::show(&report.to_string(), terminal))?);
    }
    terminal.out(format!("{file} holds; the plugin is not beside it yet"))?;
    terminal.out("")?;
    Ok(terminal.out(settings::settings(found, &[], terminal))?)
}

fn as_json(settings: &PluginSettings) -> Value {
    let limits = settings.limits_in_words().into_iter();
    let limits: Map<_, _> = limits.map(|(key, value)| (key.into(), value.into())).collect();
    json!({
        "limits": limits,
        "instances": settings.instances_in_words(),
        "grants": settings.grants_in_words(),
    })
}
