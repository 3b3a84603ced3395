//! The log, on stderr: quiet for those who ask, informative for those who serve.

use jackfield_observe::SpanLayer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::args::{Cli, Command};
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;

/// Starts logging, as `--log`, RUST_LOG, the settings file or the command say.
pub(crate) fn start(cli: &Cli, terminal: &Terminal) -> Outcome {
    let filter = filter(cli.common.log.as_deref(), &cli.command)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(terminal.log_colors())
        .with_filter(filter);
    let spans = jackfield_observe::span_layer();
    tracing_subscriber::registry()
        .with(lines)
        .with(spans.map(|layer| layer.with_filter(SpanLayer::filter())))
        .try_init()
        .map_err(|error| Problem::internal(format!("cannot start the log: {error}")))
}

fn filter(typed: Option<&str>, command: &Command) -> Outcome<EnvFilter> {
    let text = typed.filter(|text| !text.is_empty()).unwrap_or(default_filter(command));
    EnvFilter::builder().parse(text).map_err(|error| {
        let from = "--log, RUST_LOG or the settings file";
        Problem::usage(format!("{text:?} is no log filter, from {from}: {error}")).next(
            "write a level (error, warn, info, debug, trace) or, say, warn,jackfield_host=debug",
        )
    })
}

fn default_filter(command: &Command) -> &'static str {
    match command {
        Command::Registry(_) | Command::Host(_) => "info",
        Command::Dev(_) => DEV,
        // Lines on stderr would stand in the picture.
        Command::Top(args) if !args.once && !args.json => "off",
        _ => CLIENTS,
    }
}

/// That an agent asks for what is not there is nobody's fault here.
const CLIENTS: &str = "warn,rmcp=error";

/// What plugins print, and what `dev` does not print itself in fewer words.
const DEV: &str = "warn,rmcp=error,jackfield::guest=info,jackfield_host::reload=error,\
                   jackfield_host::registration=error";

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Command {
        let typed = line.split(' ').map(Into::into).collect();
        Cli::read(typed).unwrap().command
    }

    #[test]
    fn servers_tell_more_than_clients() {
        assert_eq!(default_filter(&command("jackfield registry")), "info");
        assert!(default_filter(&command("jackfield ls")).starts_with("warn,"));
    }

    #[test]
    fn a_bad_filter_is_told_how_to_write_one() {
        let problem = filter(Some("a=b=c"), &command("jackfield ls")).unwrap_err();
        let (what, next) = problem.text().unwrap();
        assert!(what.contains("--log") && next[0].contains("debug"), "{what}");
    }
}
