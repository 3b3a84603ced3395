//! `dev --watch`: builds a project, and again whenever its sources change.
//!
//! A build that fails changes nothing of what serves: the component of the last good one stays.

use std::path::PathBuf;
use std::time::Instant;

use jackfield_wire::status::printable;

use super::sources::Sources;
use crate::build::build;
use crate::duration;
use crate::problem::{Outcome, enumerate};
use crate::project::Project;
use crate::terminal::{Style, Terminal};

/// A project that is built again and again.
pub(super) struct Builder {
    project: Project,
    sources: Sources,
    terminal: Terminal,
}

impl Builder {
    /// A builder that has not built yet.
    pub(super) fn new(project: Project, terminal: Terminal) -> Self {
        // Before the first build, so that a change during it is not missed.
        let sources = Sources::of(project.dir());
        Self { project, sources, terminal }
    }

    /// Builds once, and says how it went.
    ///
    /// # Cancel safety
    /// Dropping it ends the tools.
    ///
    /// # Errors
    /// Only that nothing can be said.
    pub(super) async fn build(&self) -> Outcome {
        let start = Instant::now();
        match build(&self.project).await {
            Ok(_) => {
                let word = self.terminal.paint(Style::Good, "built   ");
                let took = duration::show(start.elapsed());
                Ok(self.terminal.out(format!("{word}  {} in {took}", self.project.name()))?)
            }
            Err(problem) => {
                self.terminal.report(&problem);
                let word = self.terminal.paint(Style::Bad, "failed  ");
                let rest = match self.project.component().exists() {
                    true => "the version before goes on serving",
                    false => "nothing serves yet",
                };
                Ok(self.terminal.out(format!("{word}  {}: {rest}", self.project.name()))?)
            }
        }
    }

    /// Builds after each change, for ever.
    ///
    /// # Cancel safety
    /// Dropping it ends the tools.
    ///
    /// # Errors
    /// Only that nothing can be said.
    pub(super) async fn keep_building(&mut self) -> Outcome {
        loop {
            let changed: Vec<String> = paths(self.sources.changed().await);
            let word = self.terminal.paint(Style::Faint, "changed ");
            self.terminal.out(format!("{word}  {}", printable(&enumerate(&changed))))?;
            self.build().await?;
        }
    }
}

fn paths(changed: Vec<PathBuf>) -> Vec<String> {
    changed.iter().map(|path| path.display().to_string()).collect()
}
