//! Lays the environment and the settings file under the options of a command.
//!
//! Clap then has the order that is documented: what is typed, the environment, the file, the
//! default.

use clap::{Arg, ArgAction, Command};

use super::file::ConfigFile;
use super::section::{Section, is_switch, key};

/// The whole command line, for one that begins with the command `name`.
pub(crate) fn lay(cli: Command, name: &str, file: Option<&ConfigFile>) -> Command {
    let section = Section::of_command(name);
    let cli = cli.mut_args(|arg| under(arg, section, file));
    if cli.find_subcommand(name).is_none() {
        return cli;
    }
    cli.mut_subcommand(name, |command| lay_deep(command, section, file))
}

fn lay_deep(command: Command, section: Section, file: Option<&ConfigFile>) -> Command {
    command
        .mut_args(|arg| under(arg, section, file))
        .mut_subcommands(|command| lay_deep(command, section, file))
}

fn under(arg: Arg, section: Section, file: Option<&ConfigFile>) -> Arg {
    let key = key(&arg);
    let mut arg = if section.is_role() { switchable(arg) } else { arg };
    if let Some(variable) = section.variable(&key).filter(|_| arg.get_env().is_none()) {
        arg = arg.env(variable).hide_env(true);
    }
    match file.and_then(|file| file.given(section, &key)) {
        Some(given) => arg.default_values(&given.values).required(false),
        None => arg,
    }
}

/// A switch that the file has turned on can be turned off.
fn switchable(arg: Arg) -> Arg {
    if !is_switch(&arg) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .value_parser(clap::value_parser!(bool))
        .value_name("BOOL")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value("false")
        .hide_default_value(true)
        .hide_possible_values(true)
}
