//! `config`: what a settings file says, and what of it counts.
//!
//! One file serves every role. Its keys are the options of the command line, so there is one list
//! of them, one reader for each and one order: typed, environment, file, default.

mod file;
mod layers;
mod section;

use std::path::Path;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches as _};
use jackfield_host::HostLimits;

use crate::args::{Cli, Common, ConfigArgs, ConfigTask, RegistryArgs, Role};
use crate::exit::Exit;
use crate::json;
use crate::problem::{Outcome, Problem};
use crate::table::{Cell, Table};
use crate::terminal::Terminal;
pub(crate) use file::{ConfigFile, Unread};
pub(crate) use layers::lay;
pub(crate) use section::{Section, key};

/// Checks or shows.
pub(crate) fn run(args: ConfigArgs, common: &Common, terminal: Terminal) -> Outcome {
    match args.task {
        ConfigTask::Check { file } => check(&file, &terminal),
        ConfigTask::Show { role, json } => show(role, json, common, &terminal),
    }
}

/// The file of this command line, where a command does not take it by itself.
pub(crate) fn named(common: &Common) -> Outcome<Option<ConfigFile>> {
    let Some(path) = &common.config else { return Ok(None) };
    ConfigFile::read(path).map(Some).map_err(|error| error.problem(path))
}

fn check(path: &Path, terminal: &Terminal) -> Outcome {
    let file = match ConfigFile::read(path) {
        Ok(file) => file,
        Err(Unread::Wrong(error)) => {
            for problem in error.problems() {
                let (line, column) = (problem.place.line, problem.place.column);
                terminal.err(format!("{}:{line}:{column}: {}", path.display(), problem.text))?;
            }
            if error.more() > 0 {
                terminal.err(format!("{}: and {} more", path.display(), error.more()))?;
            }
            return Err(Problem::silent(Exit::Rejected));
        }
        Err(error) => return Err(error.problem(path)),
    };
    let wrong = contradictions(&file);
    for problem in &wrong {
        terminal.report(problem);
    }
    if !wrong.is_empty() {
        return Err(Problem::silent(Exit::Rejected));
    }
    let counts = Section::ALL.map(|section| (section.name(), file.count(section)));
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(name, count)| format!("[{name}] {count}")).collect();
    let options = if counts.is_empty() { "none".into() } else { counts.join(", ") };
    Ok(terminal.out(format!("{} holds; options given: {options}", path.display()))?)
}

/// What each value alone does not show.
pub(crate) fn contradictions(file: &ConfigFile) -> Vec<Problem> {
    let read = |role: &str| {
        let cli = lay(Cli::command(), role, Some(file));
        let cli =
            cli.mut_subcommand(role, |command| command.mut_args(|arg| arg.env(Resettable::Reset)));
        matches(cli, role)
    };
    let registry = read("registry").and_then(|matches| {
        let args = RegistryArgs::from_arg_matches(&matches)
            .map_err(|error| Problem::usage(error.to_string()))?;
        crate::registry::check(&args)
    });
    let host = read("host").and_then(|matches| {
        let pairs = matches.get_many("metadata").into_iter().flatten().cloned();
        crate::host::metadata(pairs.collect()).map(|_| ())
    });
    let in_section = |(name, outcome): (&str, Outcome)| {
        outcome.err().map(|problem| problem.during(&format!("[{name}] of {}", file.path.display())))
    };
    [("registry", registry), ("host", host)].into_iter().filter_map(in_section).collect()
}

/// What a role would run with when nothing is typed.
pub(crate) fn of_role(role: Role, file: Option<&ConfigFile>) -> Outcome<ArgMatches> {
    let command = role.command();
    matches(lay(Cli::command(), command, file), command)
}

/// The matches of a command that nothing was typed for.
fn matches(cli: clap::Command, command: &str) -> Outcome<ArgMatches> {
    let cli = cli.mut_subcommand(command, |command| command.mut_args(|arg| arg.required(false)));
    let mut matches = cli
        .try_get_matches_from(["jackfield", command])
        .map_err(|error| Problem::usage(error.to_string().trim_start_matches("error: ")))?;
    let (_, matches) = matches.remove_subcommand().expect("one was typed");
    Ok(matches)
}

fn show(role: Role, json: bool, common: &Common, terminal: &Terminal) -> Outcome {
    let file = named(common)?;
    let section = role.section();
    let matches = of_role(role, file.as_ref())?;
    let options = section.options();
    let mut rows: Vec<Row> =
        options.iter().map(|arg| Row::of(arg, &matches, section, file.as_ref())).collect();
    if role == Role::Host {
        rows.extend(limits(file.as_ref()));
    }
    if json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        let text = serde_json::Value::from(rows).to_string();
        return Ok(terminal.out(json::show(&text, terminal))?);
    }
    let mut table = Table::new(["OPTION", "VALUE", "FROM"]);
    for row in rows {
        let value = if row.values.is_empty() { "-".into() } else { row.values.join(", ") };
        table.row([Cell::plain(row.option), Cell::plain(value), Cell::plain(row.from)]);
    }
    for line in table.render(terminal, terminal.width()) {
        terminal.out(line)?;
    }
    Ok(())
}

/// One option, what it is, and who says so.
struct Row {
    option: String,
    values: Vec<String>,
    from: String,
}

impl Row {
    fn of(arg: &Arg, matches: &ArgMatches, section: Section, file: Option<&ConfigFile>) -> Self {
        let (id, key) = (arg.get_id().as_str(), key(arg));
        let raw = matches.get_raw(id).into_iter().flatten();
        let values = raw.map(|value| value.to_string_lossy().into_owned()).collect();
        let from = match (matches.value_source(id), file) {
            (Some(ValueSource::EnvVariable), _) => {
                let own = arg.get_env().map(|name| name.to_string_lossy().into_owned());
                own.or_else(|| section.variable(&key)).unwrap_or_else(|| "environment".into())
            }
            (Some(ValueSource::DefaultValue), Some(file)) => match file.given(section, &key) {
                Some(given) => format!("{}:{}", file.path.display(), given.place.line),
                None => "default".into(),
            },
            _ => "default".into(),
        };
        Self { option: key, values, from }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "option": self.option, "values": self.values, "from": self.from })
    }
}

/// The limits in `[host]`, which only a file gives.
fn limits(file: Option<&ConfigFile>) -> Vec<Row> {
    let usual = HostLimits::default().in_words();
    let given = file.map_or_else(HostLimits::default, |file| file.host.limits.clone()).in_words();
    let from = |same: bool| match file {
        Some(file) if !same => file.path.display().to_string(),
        _ => "default".into(),
    };
    let row = |(usual, given): ((&str, String), (&str, String))| Row {
        option: given.0.into(),
        from: from(usual.1 == given.1),
        values: vec![given.1],
    };
    usual.into_iter().zip(given).map(row).collect()
}

#[cfg(test)]
mod tests;
