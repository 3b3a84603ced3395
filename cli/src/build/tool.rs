//! Runs one tool of somebody else's.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::Command;

use crate::exit::Exit;
use crate::problem::{Outcome, Problem};

/// A tool, and how to get it.
pub(super) struct Tool<'a> {
    /// What it is called when people are told.
    pub(super) name: &'a str,
    /// The command that installs it.
    pub(super) install: &'a str,
}

impl Tool<'_> {
    /// Runs `program` in `dir`; all that it says goes to stderr.
    ///
    /// # Cancel safety
    /// Dropping it kills the program.
    ///
    /// # Errors
    /// When it is missing, or did not end well.
    pub(super) async fn run<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
        dir: &Path,
    ) -> Outcome {
        let mut command = Command::new(program);
        // Stdout is for results: a copy of stderr stands in for it.
        command
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(io::stderr())
            .kill_on_drop(true);
        let status = command.status().await.map_err(|error| self.not_started(&error))?;
        self.check(status)
    }

    /// A tool that ended otherwise than well.
    pub(super) fn check(&self, status: ExitStatus) -> Outcome {
        if status.success() {
            return Ok(());
        }
        let how = match status.code() {
            Some(code) => format!("exit code {code}"),
            None => "a signal".into(),
        };
        Err(Problem::new(Exit::Failed, format!("the build failed: {} ended with {how}", self.name))
            .next("what it said is above"))
    }

    /// A tool that could not be started.
    pub(super) fn not_started(&self, error: &io::Error) -> Problem {
        if error.kind() == io::ErrorKind::NotFound {
            return self.missing();
        }
        Problem::new(Exit::Failed, format!("cannot start {}: {error}", self.name))
    }

    /// A tool that is not there.
    pub(super) fn missing(&self) -> Problem {
        Problem::new(Exit::NotFound, format!("{} is missing", self.name))
            .next(format!("install it: {}", self.install))
    }
}
