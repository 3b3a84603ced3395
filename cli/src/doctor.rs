//! `doctor`: what is wrong with this set-up, and the command that mends it.
//!
//! Looks at everything and changes nothing but that, as every command does, it makes the private
//! state folder when there is none. One finding never keeps another from being made.

mod finding;
mod identities;
mod machine;
mod plugins;
mod ports;
mod registries;
mod settings;
mod state;
mod tools;

use crate::args::{Common, DoctorArgs};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;
use crate::{json, setup};
use finding::{Finding, Level};
use settings::Settings;

/// Looks, and ends with [`Exit::Failed`] when something is broken.
pub(crate) fn run(args: DoctorArgs, common: &Common, terminal: Terminal) -> Outcome {
    let findings = setup::client_runtime()?.block_on(look(&args, common));
    if args.json {
        let text = serde_json::json!({ "ok": !broken(&findings), "findings": findings });
        terminal.out(json::show(&text.to_string(), &terminal))?;
    } else {
        for finding in &findings {
            finding.show(&terminal)?;
        }
        terminal.out("")?;
        terminal.out(summary(&findings))?;
    }
    if broken(&findings) { Err(Problem::silent(Exit::Failed)) } else { Ok(()) }
}

async fn look(args: &DoctorArgs, common: &Common) -> Vec<Finding> {
    let (settings, mut findings) = Settings::read(common);
    let state = setup::state(common).ok();
    findings.extend(state::look(common));
    findings.extend(identities::look(&settings, state.as_ref()));
    findings.extend(ports::look(&settings));
    findings.extend(registries::look(&args.registry.registry, common, state.as_ref()).await);
    findings.extend(plugins::look(args.folder.clone().or_else(|| settings.folder())));
    findings.extend(machine::look());
    findings.extend(tools::look().await);
    findings
}

fn broken(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.level == Level::Fail)
}

fn summary(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    match (count(Level::Fail), count(Level::Warn)) {
        (0, 0) => "nothing is wrong".into(),
        (failed, warned) => format!("broken: {failed}, doubtful: {warned}"),
    }
}
