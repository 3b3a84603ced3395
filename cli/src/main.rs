//! `jackfield`, the one binary: a table of contents.
//!
//! What was typed becomes types in [`args`]; each command is a module; [`terminal`] is the only
//! door to stdout and stderr; every run ends in one [`exit`] code.

mod args;
mod bench;
mod build;
mod call;
mod check;
mod complete;
mod completions;
mod config;
mod describe;
mod dev;
mod discover;
mod doctor;
mod duration;
mod exit;
mod gateway;
mod host;
mod identity;
mod instance;
mod json;
mod logging;
mod ls;
mod mcp;
mod new;
mod observe;
mod operator;
mod problem;
mod project;
#[cfg(test)]
mod reference;
mod register;
mod registry;
mod rollback;
mod service;
mod services;
mod setup;
mod signals;
mod table;
mod terminal;
mod test;
mod top;
mod view;
mod watch;
mod wit;
mod words;

use std::process::ExitCode;

use args::{Cli, Command, Unread};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use exit::Exit;
use problem::Outcome;
use terminal::{ColorChoice, Terminal};

fn main() -> ExitCode {
    complete::answer_shell();
    let cli = match Cli::read(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(Unread::Usage(error)) => return usage(&error),
        Err(Unread::Settings(problem)) => {
            Terminal::detect(ColorChoice::Auto).report(&problem);
            return problem.exit().into();
        }
    };
    if matches!(cli.command, Command::Compile) {
        return jackfield_host::compile_child();
    }
    let terminal = Terminal::detect(cli.common.color);
    let exit = match run(cli, terminal) {
        Ok(()) => Exit::Ok,
        Err(problem) => {
            terminal.report(&problem);
            problem.exit()
        }
    };
    exit.into()
}

fn run(cli: Cli, terminal: Terminal) -> Outcome {
    logging::start(&cli, &terminal)?;
    let common = &cli.common;
    match cli.command {
        Command::Dev(args) => dev::run(args, common, terminal),
        Command::Registry(args) => registry::run(args, common, terminal),
        Command::Host(args) => host::run(args, common, terminal),
        Command::Gateway(args) => gateway::run(args, common, terminal),
        Command::Mcp(args) => mcp::run(args, common, terminal),
        Command::Call(args) => call::run(args, common, terminal),
        Command::Bench(args) => bench::run(args, common, terminal),
        Command::Ls(args) => ls::run(args, common, terminal),
        Command::Describe(args) => describe::run(args, common, terminal),
        Command::Rollback(args) => rollback::run(args, common, terminal),
        Command::Top(args) => top::run(args, common, terminal),
        Command::Watch(args) => watch::run(args, common, terminal),
        Command::Register(args) => register::run(args, common, terminal),
        Command::Deregister(args) => register::take_back(args, common, terminal),
        Command::Instance(args) => instance::run(args, common, terminal),
        Command::Service(args) => service::run(args, common, terminal),
        Command::New(args) => new::run(args, terminal),
        Command::Wit(args) => wit::run(args, terminal),
        Command::Build(args) => build::run(args, common, terminal),
        Command::Test(args) => test::run(args, common, terminal),
        Command::Check(args) => check::run(args, common, terminal),
        Command::Config(args) => config::run(args, common, terminal),
        Command::Identity(args) => identity::run(args, terminal),
        Command::Doctor(args) => doctor::run(args, common, terminal),
        Command::Completions(args) => completions::run(args, terminal),
        Command::Compile => unreachable!("main has done it"),
    }
}

/// Prints what clap has to say: help and version to stdout, anything else to stderr. Failing to
/// print it changes nothing: the exit code says it too.
fn usage(error: &clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::MissingSubcommand {
        // Clap shows the help by itself only while no variable of the environment is set.
        let _ = Terminal::detect(ColorChoice::Auto).err(Cli::command().render_help().to_string());
    } else {
        let _ = error.print();
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}
