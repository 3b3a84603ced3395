//! Exit codes: one closed table, from which the help text and the tests are made.
//!
//! A code is a promise to scripts: never give an old code a new meaning.

use std::fmt::Write as _;
use std::process::ExitCode;

use jackfield_wire::Status;

/// How a run of the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok,
    Internal,
    Usage,
    NotFound,
    Unavailable,
    Application,
    Deadline,
    Trapped,
    Exhausted,
    Denied,
    Rejected,
    Failed,
    Interrupted,
    Terminated,
}

impl Exit {
    /// Every code, in the order of the help text.
    pub(crate) const ALL: [Self; 14] = [
        Self::Ok,
        Self::Internal,
        Self::Usage,
        Self::NotFound,
        Self::Unavailable,
        Self::Application,
        Self::Deadline,
        Self::Trapped,
        Self::Exhausted,
        Self::Denied,
        Self::Rejected,
        Self::Failed,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Unavailable => 4,
            Self::Application => 5,
            Self::Deadline => 6,
            Self::Trapped => 7,
            Self::Exhausted => 8,
            Self::Denied => 9,
            Self::Rejected => 10,
            Self::Failed => 11,
            // 128 + the signal's number, as shells report it.
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What the code says, for the help text.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "it worked",
            Self::Internal => "a fault of Jackfield itself, or of this machine",
            Self::Usage => "wrong usage, or arguments that do not fit the method",
            Self::NotFound => "no such service, method or file",
            Self::Unavailable => "no registry, no host, or no instance that can answer now",
            Self::Application => "the method ran and returned its own error",
            Self::Deadline => "the deadline passed",
            Self::Trapped => "the plugin trapped",
            Self::Exhausted => "a limit was reached; later or elsewhere it may work",
            Self::Denied => "identity or permission: who you are, or what you may do",
            Self::Rejected => {
                "check, build, test: a host would not load the file; config check: it does not hold"
            }
            Self::Failed => {
                "build: a tool failed; test: a case did not hold; doctor: something is broken"
            }
            Self::Interrupted => "interrupted by Ctrl-C (SIGINT)",
            Self::Terminated => "ended by SIGTERM",
        }
    }

    /// The code for the outcome of a call.
    pub(crate) fn of_status(status: Status) -> Self {
        match status {
            Status::Ok => Self::Ok,
            Status::Application => Self::Application,
            Status::InvalidArgument => Self::Usage,
            Status::NotFound => Self::NotFound,
            Status::Unauthenticated | Status::PermissionDenied => Self::Denied,
            Status::ResourceExhausted => Self::Exhausted,
            Status::Unavailable => Self::Unavailable,
            Status::DeadlineExceeded => Self::Deadline,
            Status::Trapped => Self::Trapped,
            Status::Cancelled | Status::Internal => Self::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The table for `--help`.
pub(crate) fn help_table() -> String {
    let mut text = String::from("Exit codes:\n");
    for exit in Exit::ALL {
        writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning()).expect("a String takes all");
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_outcome_has_a_code_of_its_own() {
        let codes: BTreeSet<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
        assert_eq!(codes.len(), Exit::ALL.len());
    }

    #[test]
    fn the_outcomes_that_a_script_must_tell_apart_differ() {
        let outcomes = [
            Status::InvalidArgument,
            Status::NotFound,
            Status::Unavailable,
            Status::Application,
            Status::DeadlineExceeded,
            Status::Trapped,
            Status::ResourceExhausted,
            Status::PermissionDenied,
            Status::Internal,
        ];
        let codes: BTreeSet<u8> = outcomes.into_iter().map(|s| Exit::of_status(s).code()).collect();
        assert_eq!(codes.len(), outcomes.len());
        assert!(!codes.contains(&0));
    }

    #[test]
    fn the_help_table_names_every_code() {
        let table = help_table();
        for exit in Exit::ALL {
            assert!(table.contains(&format!("  {}  ", exit.code())), "{table}");
        }
    }
}
