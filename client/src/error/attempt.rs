//! One attempt of a call, as its history tells it.

use std::fmt;
use std::time::Duration;

use jackfield_wire::{Executed, Status};
use serde::{Serialize, Serializer};

/// One attempt that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// Where.
    pub address: String,
    /// On which host, when the registry or its certificate says.
    pub host: Option<String>,
    /// What the attempt was at.
    pub phase: Phase,
    /// How it ended.
    pub status: Status,
    /// Whether the method ran.
    pub executed: Executed,
    /// For people.
    pub message: String,
    /// How long it took; as data, in milliseconds, `elapsed_ms`.
    #[serde(rename = "elapsed_ms", serialize_with = "millis")]
    pub elapsed: Duration,
}

impl Attempt {
    /// Whether the method ran in any of these: yes before unknown before no.
    pub(crate) fn executed_in_any(attempts: &[Self]) -> Executed {
        let any = |which| attempts.iter().any(|attempt| attempt.executed == which);
        match () {
            () if any(Executed::Yes) => Executed::Yes,
            () if any(Executed::Unknown) => Executed::Unknown,
            () => Executed::No,
        }
    }
}

fn millis<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1000.0)
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host} at ")?;
        }
        let (message, executed) = (&self.message, self.executed);
        write!(f, "{}, {:.0?}: {}: {message} ({executed})", self.address, self.elapsed, self.status)
    }
}

/// What a call is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Phase {
    /// Connecting to the host.
    Connect,
    /// Opening a stream on the connection.
    Open,
    /// Sending the request.
    Send,
    /// Waiting for the answer to begin.
    Wait,
    /// Receiving the answer.
    Receive,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Open => "opening a stream",
            Self::Send => "sending the request",
            Self::Wait => "waiting for the answer",
            Self::Receive => "receiving the answer",
        })
    }
}
