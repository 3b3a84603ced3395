//! The closed set of outcomes of a call, and whether the method was executed.
//!
//! Retries look at [`Executed`] and at nothing else.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// How a call ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The method returned; a value follows unless it has no result.
    #[n(0)]
    Ok,
    /// The method returned its own `err`; the typed value follows.
    #[n(1)]
    Application,
    /// An argument does not fit the method's types. Repeating the call cannot help.
    #[n(2)]
    InvalidArgument,
    /// The host has no such service or method.
    #[n(3)]
    NotFound,
    /// The peer's certificate does not say who it is.
    #[n(4)]
    Unauthenticated,
    /// The peer may not do this.
    #[n(5)]
    PermissionDenied,
    /// A limit was reached; later or elsewhere it may work.
    #[n(6)]
    ResourceExhausted,
    /// The host cannot serve now; elsewhere it may work.
    #[n(7)]
    Unavailable,
    /// The deadline passed.
    #[n(8)]
    DeadlineExceeded,
    /// The caller went away.
    #[n(9)]
    Cancelled,
    /// The guest trapped.
    #[n(10)]
    Trapped,
    /// Jackfield's own fault.
    #[n(11)]
    Internal,
}

impl Status {
    /// All there are, each at the place of its number.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::Application,
        Self::InvalidArgument,
        Self::NotFound,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::Unavailable,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::Trapped,
        Self::Internal,
    ];

    /// The name that documents and programs use, such as `not-found`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Application => "application",
            Self::InvalidArgument => "invalid-argument",
            Self::NotFound => "not-found",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission-denied",
            Self::ResourceExhausted => "resource-exhausted",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Cancelled => "cancelled",
            Self::Trapped => "trapped",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the guest's code ran for a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Executed {
    /// Not one instruction of the method ran: repeating the call is safe.
    #[n(0)]
    No,
    /// The method ran, perhaps not to its end.
    #[n(1)]
    Yes,
    /// Nobody can tell, as when a connection breaks before the answer.
    #[n(2)]
    Unknown,
}

impl fmt::Display for Executed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "not executed",
            Self::Yes => "executed",
            Self::Unknown => "execution unknown",
        })
    }
}

/// A call that did not end `ok`, as every part of Jackfield passes it on.
///
/// `message` is for people: what was wrong, where, and what to do. It holds no control characters
/// (see [`Failure::new`]), so it can be printed to a terminal or a log as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct Failure {
    /// How the call ended; never [`Status::Ok`].
    pub status: Status,
    /// Whether the guest's code ran.
    pub executed: Executed,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure whose message has its control characters escaped and is cut at
    /// [`MAX_MESSAGE`] bytes, because parts of it often come from a guest or from the network.
    pub fn new(status: Status, executed: Executed, message: impl AsRef<str>) -> Self {
        Self { status, executed, message: printable(message.as_ref()) }
    }

    /// Refused before any guest code ran.
    pub fn not_executed(status: Status, message: impl AsRef<str>) -> Self {
        Self::new(status, Executed::No, message)
    }
}

/// The longest [`Failure::message`], in bytes: it fits the head frame beside everything else.
pub const MAX_MESSAGE: usize = 4 << 10;

/// `text` with control characters escaped (line feeds and tabs stay), cut at [`MAX_MESSAGE`].
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_MESSAGE));
    for c in text.chars() {
        let escaped = is_harmful(c);
        let mut piece = [0; 4];
        let piece: &str =
            if escaped { &c.escape_unicode().to_string() } else { c.encode_utf8(&mut piece) };
        if out.len() + piece.len() > MAX_MESSAGE - CUT.len() {
            out.push_str(CUT);
            break;
        }
        out.push_str(piece);
    }
    out
}

/// Whether [`printable`] would leave `text` as it is, apart from its length.
pub fn is_printable(text: &str) -> bool {
    !text.chars().any(is_harmful)
}

/// Characters that move a terminal's cursor or colour it, and those that make it show text in
/// another order than it has.
fn is_harmful(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const CUT: &str = "…";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_in_a_message_are_made_visible() {
        let failure = Failure::not_executed(Status::NotFound, "no \u{1b}[2Jmethod\r\u{202e}");
        assert_eq!(failure.message, "no \\u{1b}[2Jmethod\\u{d}\\u{202e}");
        assert!(is_printable(&failure.message) && is_printable("ä\n\t"));
        assert!(!is_printable("\u{1b}") && !is_printable("\u{9b}") && !is_printable("\u{2066}"));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let failure = Failure::not_executed(Status::Internal, "ä".repeat(MAX_MESSAGE));
        assert!(failure.message.len() <= MAX_MESSAGE);
        assert!(failure.message.ends_with("ä…"));
    }

    #[test]
    fn each_status_is_at_the_place_of_its_number() {
        let places: Vec<usize> = Status::ALL.iter().map(|status| *status as usize).collect();
        assert_eq!(places, (0..=Status::Internal as usize).collect::<Vec<_>>());
    }

    #[test]
    fn names_in_text_and_in_json_are_the_same() {
        let json = serde_json::to_value(Status::ResourceExhausted).unwrap();
        assert_eq!(json, Status::ResourceExhausted.name());
    }
}
