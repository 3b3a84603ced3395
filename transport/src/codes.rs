//! Every number that ends a connection or a stream, and what an end means for a caller.
//!
//! Numbers are part of the protocol: they are never reused for something else.

use std::fmt;

use quinn::{ConnectionError, VarInt};

/// Why one side closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CloseCode {
    /// The side that closed has no more use for it.
    Done = 0,
    /// The process shuts down.
    ShuttingDown = 1,
    /// The peer's certificate ran out while the connection was open.
    CertificateExpired = 2,
    /// The peer opened and reset streams faster than it used them.
    ResetFlood = 3,
    /// The peer broke the protocol above the frames.
    Misbehaved = 4,
    /// Nothing listens at the peer's address any more.
    PeerGone = 5,
}

impl CloseCode {
    /// The number as it travels.
    pub(crate) fn varint(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    fn from_varint(code: VarInt) -> Option<Self> {
        const ALL: [CloseCode; 6] = [
            CloseCode::Done,
            CloseCode::ShuttingDown,
            CloseCode::CertificateExpired,
            CloseCode::ResetFlood,
            CloseCode::Misbehaved,
            CloseCode::PeerGone,
        ];
        ALL.into_iter().find(|known| known.varint() == code)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Done => "connection no longer needed",
            Self::ShuttingDown => "shutting down",
            Self::CertificateExpired => "certificate expired during the connection",
            Self::ResetFlood => "too many streams reset",
            Self::Misbehaved => "protocol broken",
            Self::PeerGone => "nothing listens at the peer's address any more",
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Why one side ended a stream before its regular end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum StreamCode {
    /// The rest of a message is not wanted. Not an error.
    NotNeeded = 0,
    /// The caller gave up.
    Cancelled = 1,
    /// The server takes no new exchanges: this one was not executed, elsewhere it may work.
    Unavailable = 2,
    /// What arrived were not frames, or too long ones.
    Malformed = 3,
    /// The handler ended without an answer; it may have panicked.
    Failed = 4,
}

impl StreamCode {
    /// The number as it travels.
    pub(crate) fn varint(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// An unknown number is taken for [`StreamCode::Failed`], which promises nothing.
    pub(crate) fn from_varint(code: VarInt) -> Self {
        const ALL: [StreamCode; 4] = [
            StreamCode::NotNeeded,
            StreamCode::Cancelled,
            StreamCode::Unavailable,
            StreamCode::Malformed,
        ];
        ALL.into_iter().find(|known| known.varint() == code).unwrap_or(Self::Failed)
    }
}

impl fmt::Display for StreamCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNeeded => "not needed",
            Self::Cancelled => "cancelled",
            Self::Unavailable => "unavailable",
            Self::Malformed => "malformed message",
            Self::Failed => "failed without an answer",
        })
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("closed by this side")]
    Local,
    /// The peer closed it.
    #[error("closed by the peer: {}", code.map_or("unknown code", CloseCode::text))]
    Peer {
        /// Why; `None` for a number that this version does not know.
        code: Option<CloseCode>,
        /// How many of this side's exchanges the peer took, when it said so: later ones were
        /// not executed.
        taken: Option<u64>,
    },
    /// This side refused the peer's certificate. The text says why.
    #[error("the peer's certificate is not accepted: {0}")]
    CertificateRejected(String),
    /// The peer refused this side's certificate: nothing was executed. The text says why.
    #[error("the peer refused this side's certificate: {0}")]
    CertificateRefused(String),
    /// Nothing listens at the peer's address any more: its process died.
    #[error("the peer is gone: nothing listens at its address any more")]
    PeerGone,
    /// Nothing arrived for the idle timeout.
    #[error("timed out: nothing heard from the peer")]
    TimedOut,
    /// The peer does not know the connection: it was restarted.
    #[error("the peer was restarted")]
    Restarted,
    /// QUIC itself failed. The text is for people.
    #[error("transport failure: {0}")]
    Transport(String),
}

impl CloseReason {
    /// What a closing side attaches: how many of the peer's exchanges it took.
    pub(crate) fn parting(taken: u64) -> Vec<u8> {
        format!("{TAKEN}{taken}").into_bytes()
    }

    /// Whether the exchange with this index on its connection cannot have been executed.
    pub(crate) fn before(&self, index: u64) -> bool {
        match self {
            Self::Peer { taken: Some(taken), .. } => index >= *taken,
            Self::CertificateRefused(_) | Self::CertificateRejected(_) => true,
            _ => false,
        }
    }
}

impl From<&ConnectionError> for CloseReason {
    fn from(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::LocallyClosed => Self::Local,
            ConnectionError::ApplicationClosed(close) => Self::Peer {
                code: CloseCode::from_varint(close.error_code),
                taken: taken_from(&close.reason),
            },
            ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
                Some(alert) if is_about_certificate(alert) => {
                    Self::CertificateRefused(peer_text(&close.reason, alert))
                }
                _ => Self::Transport(jackfield_wire::status::printable(&close.to_string())),
            },
            ConnectionError::TransportError(error) => match alert(error.code) {
                Some(alert) if is_about_certificate(alert) => {
                    Self::CertificateRejected(peer_text(error.reason.as_bytes(), alert))
                }
                _ => Self::Transport(jackfield_wire::status::printable(&error.to_string())),
            },
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::Reset => Self::Restarted,
            other => Self::Transport(jackfield_wire::status::printable(&other.to_string())),
        }
    }
}

/// The TLS alert inside a QUIC error code (RFC 9001, 4.8).
pub(crate) fn alert(code: quinn::TransportErrorCode) -> Option<u8> {
    let code = u64::from(code);
    (0x100..0x200).contains(&code).then_some((code & 0xff) as u8)
}

/// `bad_certificate` to `unknown_ca`, `access_denied`, `decrypt_error`, `certificate_required`.
fn is_about_certificate(alert: u8) -> bool {
    matches!(alert, 42..=46 | 48 | 49 | 51 | 116)
}

fn peer_text(reason: &[u8], alert: u8) -> String {
    if reason.is_empty() {
        return format!("TLS alert {alert}");
    }
    let text = String::from_utf8_lossy(reason);
    jackfield_wire::status::printable(crate::tls::readable(&text))
}

fn taken_from(reason: &[u8]) -> Option<u64> {
    std::str::from_utf8(reason).ok()?.strip_prefix(TAKEN)?.parse().ok()
}

const TAKEN: &str = "taken=";

#[cfg(test)]
mod tests {
    use super::*;

    fn closed_by_peer(code: u32, reason: Vec<u8>) -> CloseReason {
        CloseReason::from(&ConnectionError::ApplicationClosed(quinn::ApplicationClose {
            error_code: VarInt::from_u32(code),
            reason: reason.into(),
        }))
    }

    #[test]
    fn exchanges_beyond_those_taken_were_not_executed() {
        let reason = closed_by_peer(1, CloseReason::parting(3));
        let code = Some(CloseCode::ShuttingDown);
        assert_eq!(reason, CloseReason::Peer { code, taken: Some(3) });
        assert!(!reason.before(2));
        assert!(reason.before(3));
    }

    #[test]
    fn a_parting_word_that_is_not_ours_promises_nothing() {
        for text in ["taken=", "taken=-1", "taken=99999999999999999999", "bye"] {
            let reason = closed_by_peer(77, text.into());
            assert_eq!(reason, CloseReason::Peer { code: None, taken: None });
            assert!(!reason.before(u64::MAX));
        }
    }

    #[test]
    fn an_unknown_stream_code_promises_nothing() {
        assert_eq!(StreamCode::from_varint(VarInt::from_u32(99)), StreamCode::Failed);
    }
}
