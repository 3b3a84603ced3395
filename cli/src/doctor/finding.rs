//! What was found, as people and programs are told.

use serde::Serialize;

use jackfield_wire::status::printable;

use crate::problem::Outcome;
use crate::terminal::{Style, Terminal};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// Nothing is wrong, and something is not there that some people need.
    Note,
    /// It works, and may not go on to.
    Warn,
    /// Something does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What part of the set-up it is about, in a word.
    pub(super) about: &'static str,
    pub(super) what: String,
    /// The commands that mend it, or say more.
    pub(super) mend: Vec<String>,
}

impl Finding {
    fn new(level: Level, about: &'static str, what: impl AsRef<str>) -> Self {
        Self { level, about, what: printable(what.as_ref()), mend: Vec::new() }
    }

    pub(super) fn ok(about: &'static str, what: impl AsRef<str>) -> Self {
        Self::new(Level::Ok, about, what)
    }

    pub(super) fn note(about: &'static str, what: impl AsRef<str>) -> Self {
        Self::new(Level::Note, about, what)
    }

    pub(super) fn warn(about: &'static str, what: impl AsRef<str>) -> Self {
        Self::new(Level::Warn, about, what)
    }

    pub(super) fn fail(about: &'static str, what: impl AsRef<str>) -> Self {
        Self::new(Level::Fail, about, what)
    }

    /// Adds a command that mends it.
    pub(super) fn mend(mut self, command: impl AsRef<str>) -> Self {
        self.mend.push(printable(command.as_ref()));
        self
    }

    /// Prints it.
    pub(super) fn show(&self, terminal: &Terminal) -> Outcome {
        let (word, style) = match self.level {
            Level::Ok => ("ok", Style::Good),
            Level::Note => ("note", Style::Faint),
            Level::Warn => ("warn", Style::Doubtful),
            Level::Fail => ("fail", Style::Bad),
        };
        let word = terminal.paint(style, &format!("{word:<4}"));
        terminal.out(format!("{word}  {:<10}  {}", self.about, self.what))?;
        for command in &self.mend {
            let arrow = terminal.paint(Style::Strong, "→");
            terminal.out(format!("{:18}{arrow} {command}", ""))?;
        }
        Ok(())
    }
}
