//! The only door to stdout and stderr: results to stdout, everything else to stderr.
//!
//! Colours and line breaks are for people: a stream that is no terminal gets neither.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;

use crate::args::rest;
use crate::problem::Problem;

/// Where the output goes, and what can be shown there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    stdout: Stream,
    stderr: Stream,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    is_terminal: bool,
    colors: bool,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl ColorChoice {
    /// What `--color` says, for messages about a command line that cannot be read.
    pub(crate) fn typed(typed: &[OsString]) -> Self {
        let choice = rest::last_typed(typed, "--color");
        choice.and_then(|choice| Self::from_str(choice.to_str()?, false).ok()).unwrap_or_default()
    }
}

impl From<ColorChoice> for clap::ColorChoice {
    fn from(choice: ColorChoice) -> Self {
        match choice {
            ColorChoice::Auto => Self::Auto,
            ColorChoice::Always => Self::Always,
            ColorChoice::Never => Self::Never,
        }
    }
}

/// What a piece of text is, as its colour says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Strong,
    Faint,
    Good,
    Doubtful,
    Bad,
}

impl Terminal {
    /// Looks at the streams of this process.
    pub(crate) fn detect(choice: ColorChoice) -> Self {
        let wanted = wants_color(std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()));
        let stream = |is_terminal| Stream {
            is_terminal,
            colors: match choice {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => is_terminal && wanted,
            },
        };
        Self {
            stdout: stream(io::stdout().is_terminal()),
            stderr: stream(io::stderr().is_terminal()),
        }
    }

    /// Whether a person reads stdout.
    pub(crate) fn is_interactive(&self) -> bool {
        self.stdout.is_terminal
    }

    /// Whether a person reads stdout and types on stdin.
    pub(crate) fn is_dialogue(&self) -> bool {
        self.stdout.is_terminal && io::stdin().is_terminal()
    }

    /// Whether stdout may have colours.
    pub(crate) fn colors(&self) -> bool {
        self.stdout.colors
    }

    /// Whether the log on stderr may have colours.
    pub(crate) fn log_colors(&self) -> bool {
        self.stderr.colors
    }

    /// The columns of stdout, when it is a terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        self.stdout.is_terminal.then_some(usize::from(width.0).max(NARROWEST))
    }

    /// Colours text for stdout.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        paint(self.stdout.colors, style, text)
    }

    /// Colours text for stderr.
    pub(crate) fn paint_err(&self, style: Style, text: &str) -> String {
        paint(self.stderr.colors, style, text)
    }

    /// Writes a line to stdout.
    pub(crate) fn out(&self, line: impl AsRef<str>) -> io::Result<()> {
        write_line(&mut io::stdout().lock(), line.as_ref())
    }

    /// Writes a line to stderr.
    pub(crate) fn err(&self, line: impl AsRef<str>) -> io::Result<()> {
        write_line(&mut io::stderr().lock(), line.as_ref())
    }

    /// Replaces the last line of stderr, on a terminal; empty text takes it away. A line that
    /// cannot be shown is no failure: it only says how far the work is.
    pub(crate) fn status(&self, line: &str) {
        if self.stderr.is_terminal {
            let mut stderr = io::stderr().lock();
            let _ = stderr.write_all(format!("\r{line}\x1b[K").as_bytes());
            let _ = stderr.flush();
        }
    }

    /// Says on stderr why the run failed. Failing to say it changes nothing: the exit code says
    /// it too.
    pub(crate) fn report(&self, problem: &Problem) {
        let Some((what, next)) = problem.text() else {
            return;
        };
        let _ = self.err(format!("{} {what}", self.paint_err(Style::Bad, "error:")));
        for step in next {
            let arrow = self.paint_err(Style::Strong, "  →");
            let _ = self.err(format!("{arrow} {}", step.replace('\n', "\n    ")));
        }
    }
}

fn wants_color(no_color: bool) -> bool {
    !no_color && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn write_line(stream: &mut dyn Write, line: &str) -> io::Result<()> {
    // One write: lines of several tasks do not mix.
    stream.write_all(format!("{line}\n").as_bytes())?;
    stream.flush()
}

fn paint(colors: bool, style: Style, text: &str) -> String {
    let code = match style {
        _ if !colors => return text.into(),
        Style::Plain => return text.into(),
        Style::Strong => 1,
        Style::Faint => 2,
        Style::Good => 32,
        Style::Doubtful => 33,
        Style::Bad => 31,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Tables are not squeezed below this: a terminal that says 0 columns (some do) stays readable.
const NARROWEST: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_of_colours_is_found_on_a_line_that_cannot_be_read() {
        let typed = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            ColorChoice::typed(&words)
        };
        assert_eq!(typed("jackfield --color never lss"), ColorChoice::Never);
        assert_eq!(typed("jackfield lss --color=always"), ColorChoice::Always);
        assert_eq!(typed("jackfield call a.b -- --color never"), ColorChoice::Auto);
        assert_eq!(typed("jackfield --color"), ColorChoice::Auto);
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        let never = Terminal::detect(ColorChoice::Never);
        assert_eq!(never.paint(Style::Bad, "x"), "x");
        let always = Terminal::detect(ColorChoice::Always);
        assert_eq!(always.paint(Style::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(always.paint(Style::Plain, "x"), "x");
    }
}
