//! Makes `docs/reference/` of the code, and holds what is there against it.
//!
//! Tests alone: `JACKFIELD_BLESS=1 cargo test -p jackfield reference` writes the pages anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Arg, Command, CommandFactory as _};
use jackfield_host::HostLimits;
use jackfield_wire::Status;

use crate::args::Cli;
use crate::config::{self, Section};
use crate::exit::Exit;

#[test]
fn the_reference_of_the_command_line_is_that_of_the_code() {
    same("cli.md", &command_line());
}

#[test]
fn the_reference_of_the_settings_is_that_of_the_code() {
    same("settings.md", &settings());
}

#[test]
fn the_reference_of_statuses_and_exit_codes_is_that_of_the_code() {
    same("statuses.md", &statuses());
}

/// The page says what the code says; blessed, it is made to.
#[track_caller]
fn same(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    if std::env::var_os("JACKFIELD_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let pairs = made.lines().zip(found.lines()).enumerate();
    let differs = pairs.filter(|(_, (made, found))| made != found).map(|(at, _)| at + 1).next();
    assert!(
        made == found,
        "docs/reference/{name} is not what the code says (first at line {differs:?}): \
         JACKFIELD_BLESS=1 cargo test -p jackfield reference"
    );
}

const MADE: &str = "<!-- Made of the code by cli/src/reference.rs: do not edit. -->\n";

/// The long help of every command.
fn command_line() -> String {
    let mut text = format!(
        "# The command line\n\n{MADE}\nWhat `--help` says. Exit codes are in [statuses.md](statuses.md), what each option is called in a \
         file and in the environment in [settings.md](settings.md).\n"
    );
    let mut cli = Cli::command().term_width(WIDTH);
    cli.build();
    let names = cli.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<String> = names.map(|command| command.get_name().to_owned()).collect();
    text.push_str("\n## Options of every command\n\n");
    let common = cli.get_arguments().filter(|arg| arg.is_global_set()).cloned();
    let only = Command::new("jackfield").term_width(WIDTH).disable_help_flag(true);
    let only = only.args(common).help_template("{options}");
    help(&mut text, only);
    for name in names {
        let mut cli = config::lay(Cli::command().term_width(WIDTH), &name, None);
        cli.build();
        let command = cli.find_subcommand(&name).expect("it was found above").clone();
        section(&mut text, &command, "##");
    }
    text
}

fn section(text: &mut String, command: &Command, level: &str) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    write!(text, "\n{level} {name}\n\n").expect("a String takes all");
    let command = command.clone().term_width(WIDTH);
    let nested: Vec<Command> = command.get_subcommands().cloned().collect();
    help(text, command.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg }));
    for nested in nested.iter().filter(|nested| nested.get_name() != "help") {
        section(text, nested, "###");
    }
}

fn help(text: &mut String, mut command: Command) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim().lines().map(str::trim_end).collect();
    write!(text, "```text\n{}\n```\n", lines.join("\n")).expect("a String takes all");
}

/// Every key of the settings file.
fn settings() -> String {
    let mut text = format!(
        "# Settings, key by key\n\n{MADE}\nWhich of several places counts is told in [configuration.md](../configuration.md).\n"
    );
    let common: Vec<String> = Section::Common.options().iter().map(config::key).collect();
    for section in Section::ALL {
        write!(text, "\n## `[{}]`\n\n", section.name()).expect("a String takes all");
        let own = |arg: &Arg| section == Section::Common || !common.contains(&config::key(arg));
        let options: Vec<Arg> = section.options().into_iter().filter(own).collect();
        text.push_str(match section {
            Section::Common => "For every command, where its own section says nothing.\n\n",
            Section::Client => {
                "The keys of `[common]`, for every command that calls, asks or orders.\n"
            }
            Section::Registry => "The keys of `[common]` but `registry` and `namespace`, and:\n\n",
            _ => "The keys of `[common]`, and:\n\n",
        });
        if options.is_empty() {
            continue;
        }
        text.push_str("| key | default | variable | what it is |\n|---|---|---|---|\n");
        for arg in &options {
            text.push_str(&row(section, arg));
        }
        if section == Section::Host {
            limits(&mut text);
        }
    }
    text
}

fn row(section: Section, arg: &Arg) -> String {
    let key = config::key(arg);
    let defaults: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    let default =
        if defaults.is_empty() { "-".into() } else { format!("`{}`", defaults.join(",")) };
    let own = arg.get_env().map(|name| name.to_string_lossy().into_owned());
    let variable = own.or_else(|| section.variable(&key)).map(|name| format!("`{name}`"));
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let help = help.replace('|', "\\|").replace('\n', " ");
    format!("| `{key}` | {default} | {} | {help} |\n", variable.unwrap_or_else(|| "-".into()))
}

fn limits(text: &mut String) {
    text.push_str(
        "\nThe limits of the host, which a file alone gives; [plugins.md](../plugins.md#the-hosts-settings) says what each bounds, and has \
         the keys of `[plugins]`:\n\n| key | default |\n|---|---|\n",
    );
    for (key, value) in HostLimits::default().in_words() {
        writeln!(text, "| `{key}` | {value} |").expect("a String takes all");
    }
}

/// How a call ends, and how the command does.
fn statuses() -> String {
    let mut text = format!(
        "# Statuses and exit codes\n\n{MADE}\nHow a call ends is one of a closed set. Beside it every failure says whether the method was \
         executed, and retries look at nothing else. What each is over HTTP is told in [gateway.md](../gateway.md).\n\n\
         | status | means | exit code |\n|---|---|---|\n"
    );
    for (status, meaning) in documented() {
        let exit = Exit::of_status(status).code();
        writeln!(text, "| `{status}` | {meaning} | {exit} |").expect("a String takes all");
    }
    text.push_str("\n## Exit codes\n\n| code | means |\n|---|---|\n");
    for exit in Exit::ALL {
        writeln!(text, "| {} | {} |", exit.code(), exit.meaning()).expect("a String takes all");
    }
    text
}

/// Every status and its first line of documentation: what is said of it is said once.
fn documented() -> Vec<(Status, String)> {
    let source = include_str!("../../wire/src/status.rs");
    let body = source.split("pub enum Status {").nth(1).expect("the enum is there");
    let body = body.split("\n}").next().expect("it ends");
    let mut all = Vec::new();
    let mut meaning = String::new();
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            meaning = format!("{meaning}{text}");
        } else if let Some(name) = line.strip_suffix(',') {
            let kebab = name.char_indices().map(|(at, c)| match c.is_uppercase() && at > 0 {
                true => format!("-{}", c.to_lowercase()),
                false => c.to_lowercase().to_string(),
            });
            let name = serde_json::Value::String(kebab.collect());
            let status = serde_json::from_value(name).expect("it is a status");
            all.push((status, std::mem::take(&mut meaning).trim().to_owned()));
        }
    }
    all
}

/// Columns of the pages.
const WIDTH: usize = 100;
