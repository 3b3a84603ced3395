//! `check`: what a host would say of a plugin and its manifest, without a host.

use std::fs;

use jackfield_host::{CheckReport, Checked, PluginSettings, Trial};
use serde_json::{Map, Value, json};

use crate::args::{CheckArgs, Common};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;
use crate::view::service::{self, Hidden};
use crate::view::settings;
use crate::{host, json, setup};

/// Checks a file.
pub(crate) fn run(args: CheckArgs, common: &Common, terminal: Terminal) -> Outcome {
    let file = args.file.display().to_string();
    if let Err(error) = fs::metadata(&args.file) {
        return Err(Problem::new(Exit::NotFound, format!("cannot read {file}: {error}")));
    }
    let state = setup::state(common)?;
    let checked = jackfield_host::check(&args.file, &common.host, host::compiler(), &state);
    match setup::server_runtime()?.block_on(Box::pin(checked)) {
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
    let Checked { info, settings, warnings, trial, .. } = checked;
    if args.json {
        let report = json!({
            "file": file, "service": info, "settings": as_json(settings), "warnings": warnings,
            "tried": *trial == Trial::Passed,
        });
        return Ok(terminal.out(json::show(&report.to_string(), terminal))?);
    }
    let text = service::service(info, Hidden::of_flag(args.all), terminal);
    terminal.out(text.trim_end())?;
    terminal.out("")?;
    terminal.out(settings::settings(settings, warnings, terminal))?;
    terminal.out("")?;
    Ok(terminal.out(told(*trial))?)
}

/// What was tried, and what only a host can tell.
fn told(trial: Trial) -> &'static str {
    match trial {
        Trial::Passed => {
            "tried: it starts, and passes its self-test if it has one\n\
             not known here: whether it breaks callers of a version that serves"
        }
        _ => {
            "not tried: its start-up and self-test; its grants let them leave something behind, so \
             only a host runs them\n\
             not known here: whether it breaks callers of a version that serves"
        }
    }
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
