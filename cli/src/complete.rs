//! What a shell may put behind the cursor. Asked by the script of `jackfield completions`.
//!
//! Never prints an error and never hangs: no answer is better than either.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory as _;
use clap_complete::{CompleteEnv, CompletionCandidate};
use jackfield_host::HostFile;
use jackfield_wire::registry::Instance;

use crate::args::{Cli, Common, DEFAULT_REGISTRY, RegistryAddress};
use crate::config::{ConfigFile, Section};
use crate::terminal::ColorChoice;
use crate::{discover, setup};

/// The variable that tells this binary that a shell asks.
pub(crate) const VARIABLE: &str = "JACKFIELD_COMPLETE";

/// Answers and ends the process if a shell asks; otherwise does nothing.
pub(crate) fn answer_shell() {
    let folder = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(Cli::command)
        .var(VARIABLE)
        .try_complete(std::env::args_os(), folder.as_deref());
    match asked {
        Ok(false) => {}
        Ok(true) | Err(_) => std::process::exit(0),
    }
}

/// Completes `SERVICE.METHOD`.
pub(crate) fn targets(typed: &OsStr) -> Vec<CompletionCandidate> {
    candidates(typed, |instance| {
        let service = &instance.service;
        instance
            .methods
            .iter()
            .map(|method| (format!("{service}.{}", method.name), Some(method.wit.clone())))
            .collect()
    })
}

/// Completes `SERVICE`.
pub(crate) fn services(typed: &OsStr) -> Vec<CompletionCandidate> {
    candidates(typed, |instance| vec![(instance.service.to_string(), None)])
}

/// Completes `SERVICE@HOST`.
pub(crate) fn instances_by_id(typed: &OsStr) -> Vec<CompletionCandidate> {
    candidates(typed, |instance| vec![(instance.id.to_string(), Some(instance.address.clone()))])
}

/// Completes `SERVICE[.METHOD]`: services until there is a dot.
pub(crate) fn services_or_targets(typed: &OsStr) -> Vec<CompletionCandidate> {
    let dotted = typed.to_str().is_some_and(|typed| typed.contains('.'));
    if dotted { targets(typed) } else { services(typed) }
}

fn candidates(
    typed: &OsStr,
    names: impl Fn(&Instance) -> Vec<(String, Option<String>)>,
) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else {
        return Vec::new();
    };
    let mut found: Vec<(String, Option<String>)> = instances()
        .iter()
        .flat_map(|instance| names(instance))
        .filter(|(name, _)| name.starts_with(typed) && is_plain(name))
        .collect();
    found.sort();
    found.dedup_by(|(a, _), (b, _)| a == b);
    found
        .into_iter()
        .map(|(name, help)| {
            let help = help.map(|help| jackfield_wire::status::printable(&help).into());
            CompletionCandidate::new(name).help(help)
        })
        .collect()
}

/// A name that a shell can insert as it is. Others, such as qualified ones, need quotes: which
/// ones depends on the shell.
fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@/".contains(c))
}

/// What the registry of the command line knows; nothing if it does not answer in time.
fn instances() -> Vec<Arc<Instance>> {
    let typed: Vec<String> =
        std::env::args_os().filter_map(|argument| argument.into_string().ok()).collect();
    ask(&typed).unwrap_or_default()
}

fn ask(typed: &[String]) -> Option<Vec<Arc<Instance>>> {
    let file = option(typed, "--config", "JACKFIELD_CONFIG");
    let file = file.and_then(|path| ConfigFile::read(Path::new(&path)).ok());
    let found = |key: &str| {
        let variable = format!("JACKFIELD_{}", key.to_uppercase());
        let typed = option(typed, &format!("--{key}"), &variable);
        typed.or_else(|| of_file(file.as_ref()?, key))
    };
    let common = Common {
        log: None,
        color: ColorChoice::Never,
        state: found("state").map(PathBuf::from),
        identity: found("identity").map(PathBuf::from),
        config: None,
        host: HostFile::default(),
    };
    let registry = found("registry").unwrap_or_else(|| DEFAULT_REGISTRY.into());
    let namespace = found("namespace");
    let registry = RegistryAddress {
        registry: registry.split(',').map(str::to_owned).collect(),
        namespace: namespace.and_then(|name| name.parse().ok()).unwrap_or_default(),
    };
    let runtime = setup::client_runtime().ok()?;
    let asked = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, discover::known(&registry, &common)).await
    });
    runtime.shutdown_background();
    asked.ok()?.ok()
}

/// What the settings file says for commands that ask.
fn of_file(file: &ConfigFile, key: &str) -> Option<String> {
    let values = &file.given(Section::Client, key)?.values;
    values.join(OsStr::new(",")).into_string().ok()
}

/// The value of an option on the line that is being typed, or of its variable.
fn option(typed: &[String], name: &str, variable: &str) -> Option<String> {
    let mut rest = typed.iter();
    while let Some(word) = rest.next() {
        match word.strip_prefix(name) {
            Some("") => return rest.next().cloned(),
            Some(value) if value.starts_with('=') => return Some(value[1..].to_owned()),
            _ => {}
        }
    }
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Longer than a registry on this machine takes, shorter than a person waits for a key.
const PATIENCE: Duration = Duration::from_millis(700);

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_registry_of_the_line_is_asked() {
        let typed = words("jackfield -- jackfield call --registry a:1 c");
        assert_eq!(option(&typed, "--registry", "NO_SUCH_VARIABLE").as_deref(), Some("a:1"));
        let typed = words("jackfield -- jackfield call --registry=b:2 c");
        assert_eq!(option(&typed, "--registry", "NO_SUCH_VARIABLE").as_deref(), Some("b:2"));
        assert_eq!(option(&typed, "--state", "NO_SUCH_VARIABLE"), None);
    }

    #[test]
    fn names_that_need_quotes_are_not_proposed() {
        assert!(is_plain("calc.add-two"));
        assert!(!is_plain("calc.demo:math/calc#add"));
        assert!(!is_plain("calc.a\u{1b}"));
    }
}
