//! What went wrong, as a person reads it: what, where, and what to do next.

use std::io;

use jackfield_transport::chain;
use jackfield_wire::status::printable;

use crate::exit::Exit;

/// A failed run. Printed once, by `main`.
#[derive(Debug)]
pub(crate) struct Problem {
    exit: Exit,
    /// What is wrong, and where.
    what: String,
    /// What to do next, one step a line.
    next: Vec<String>,
    quiet: bool,
}

/// What every step of the command gives.
pub(crate) type Outcome<T = ()> = Result<T, Problem>;

impl Problem {
    /// Names what is wrong. Control characters are escaped: parts of the text often come from the
    /// network.
    pub(crate) fn new(exit: Exit, what: impl AsRef<str>) -> Self {
        Self { exit, what: printable(what.as_ref()), next: Vec::new(), quiet: false }
    }

    /// Wrong usage, or arguments that do not fit.
    pub(crate) fn usage(what: impl AsRef<str>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// A fault that the user did not make.
    pub(crate) fn internal(what: impl AsRef<str>) -> Self {
        Self::new(Exit::Internal, what)
    }

    /// An error of a library with everything that caused it.
    pub(crate) fn caused(exit: Exit, error: &dyn std::error::Error) -> Self {
        Self::new(exit, chain(error))
    }

    /// Ends the run with a code, after everything worth saying has been said.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { quiet: true, ..Self::new(exit, "") }
    }

    /// Adds a step that helps.
    pub(crate) fn next(mut self, step: impl AsRef<str>) -> Self {
        self.next.push(printable(step.as_ref()));
        self
    }

    /// Says what was being done, where that is not what was asked for.
    pub(crate) fn during(mut self, step: &str) -> Self {
        self.what = printable(&format!("{step}: {}", self.what));
        self
    }

    /// How the run ends.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// What to print, unless everything was said: the text after `error: `, and the steps.
    pub(crate) fn text(&self) -> Option<(&str, &[String])> {
        (!self.quiet).then_some((&*self.what, &*self.next))
    }
}

impl From<io::Error> for Problem {
    /// Of writing to stdout or stderr. A reader that has gone (`jackfield ls | head -1`) has
    /// what it wanted: that is no failure.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(Exit::Ok),
            _ => Self::internal(format!("cannot write the output: {error}")),
        }
    }
}

/// `a, b, c`, or `a, b and 7 more`.
pub(crate) fn enumerate<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A list in an error message stays readable.
const MOST: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let problem = Problem::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(problem.exit(), Exit::Ok);
        assert!(problem.text().is_none());
    }

    #[test]
    fn text_from_the_network_cannot_move_the_cursor() {
        let problem = Problem::usage("\u{1b}[2J").next("\u{1b}[2J");
        let (what, next) = problem.text().unwrap();
        assert_eq!((what, &*next[0]), ("\\u{1b}[2J", "\\u{1b}[2J"));
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        assert!(enumerate(&names).ends_with("11 and 8 more"));
        assert_eq!(enumerate(&["a", "b"]), "a, b");
    }
}
