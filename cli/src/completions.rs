//! `completions`: the script that makes a shell ask this binary for candidates.

use std::ffi::OsStr;

use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::args::{CompletionsArgs, Shell};
use crate::complete::VARIABLE;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;

/// Prints the script.
pub(crate) fn run(args: CompletionsArgs, terminal: Terminal) -> Outcome {
    Ok(terminal.out(script(args.shell, &completer())?.trim_end())?)
}

fn script(shell: Shell, completer: &str) -> Outcome<String> {
    let engine: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    engine
        .write_registration(VARIABLE, NAME, NAME, completer, &mut script)
        .map_err(|error| Problem::internal(format!("cannot write the script: {error}")))?;
    String::from_utf8(script).map_err(|error| Problem::internal(error.to_string()))
}

/// What the shell shall run: the name, found by PATH; for a binary that was run by its path, as
/// from a build folder, that path.
fn completer() -> String {
    let by_path = std::env::args_os().next().is_some_and(|typed| OsStr::new(NAME) != typed);
    match std::env::current_exe() {
        Ok(path) if by_path => path.display().to_string(),
        _ => NAME.into(),
    }
}

const NAME: &str = "jackfield";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_gets_a_script_that_asks_this_binary() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell, "/opt/jackfield").unwrap();
            assert!(script.contains("/opt/jackfield") && script.contains(VARIABLE), "{script}");
        }
    }
}
