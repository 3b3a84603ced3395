//! Why a call failed, in a form that a caller can match and a person can read.

mod attempt;
mod data;
mod text;

use std::time::Duration;

use bytes::Bytes;
use jackfield_wire::name::{NameError, TargetError};
use jackfield_wire::{Executed, ServiceName, Status, Target};
use serde::Serialize;

pub use attempt::{Attempt, Phase};

/// Why a call failed. Each variant's own type tells the particulars; [`CallError::status`],
/// [`CallError::executed`] and [`CallError::attempts`] answer for all of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No instance could be asked. Start one, or look at the name of the service.
    #[error(transparent)]
    NoAvailableInstance(Box<NoAvailableInstance>),
    /// The deadline passed. Whether to repeat the call depends on [`RequestTimeout::executed`].
    #[error(transparent)]
    RequestTimeout(Box<RequestTimeout>),
    /// The host answered that the call failed, or gave no answer that can be read.
    #[error(transparent)]
    ServiceError(Box<ServiceError>),
    /// Every attempt that was allowed failed in a way that allowed another one.
    #[error(transparent)]
    MaxRetriesExceeded(Box<MaxRetriesExceeded>),
    /// A limit was reached, of a host or of this client. Less at once, later or elsewhere it may
    /// work.
    #[error(transparent)]
    LimitExceeded(Box<LimitExceeded>),
    /// The service's name is none.
    #[error(transparent)]
    Service(#[from] NameError),
    /// The target is not `SERVICE.METHOD`.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The arguments cannot be sent as they are.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The result is not what the caller's type expects. The method was executed.
    #[error(transparent)]
    Decode(Box<DecodeError>),
}

/// Nobody to ask.
#[derive(Debug, thiserror::Error)]
#[error("{}", text::no_instance(self))]
pub struct NoAvailableInstance {
    /// The service that was called.
    pub service: ServiceName,
    /// Why there is nobody.
    pub reason: NoInstance,
    /// Attempts before the last instance went away.
    pub attempts: Vec<Attempt>,
}

/// Why there is nobody to ask.
#[derive(Debug)]
#[non_exhaustive]
pub enum NoInstance {
    /// No registry could be asked, and no set was kept from an earlier time.
    NoRegistry(NoRegistry),
    /// The registry knows no such service.
    UnknownService {
        /// Those that it knows.
        known: Vec<ServiceName>,
    },
    /// Every instance of the service is disabled.
    AllDisabled {
        /// How many there are.
        count: usize,
    },
    /// None of the enabled instances is what the call wants.
    NoneMatches {
        /// How many there are.
        count: usize,
        /// What it wants.
        wanted: String,
    },
    /// The instances that were asked could not be connected to, or are not who the registry says;
    /// the attempts tell the reasons.
    Unreachable,
    /// The client goes directly to one host, and finds no instances.
    Direct,
}

/// No registry answered within the time given.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", text::no_registry(self))]
pub struct NoRegistry {
    /// How long the client waited.
    pub waited: Duration,
    /// Each registry with what became of the last try.
    pub tried: Vec<RegistryFailure>,
}

/// What became of the last try to reach a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryFailure {
    /// The registry, as it was given to the client.
    pub registry: String,
    /// For people.
    pub message: String,
}

/// The deadline passed.
#[derive(Debug, thiserror::Error)]
#[error("{}", text::timeout(self))]
pub struct RequestTimeout {
    /// What was called.
    pub target: String,
    /// The deadline that was given.
    pub deadline: Duration,
    /// What the call was at.
    pub phase: Phase,
    /// Whether the method ran.
    pub executed: Executed,
    /// Every attempt, the one that was cut off included.
    pub attempts: Vec<Attempt>,
}

/// The host answered with another status than `ok`, or not at all.
#[derive(Debug, thiserror::Error)]
#[error("{}", text::service(self))]
pub struct ServiceError {
    /// What was called.
    pub target: String,
    /// How the call ended; never `ok`.
    pub status: Status,
    /// Whether the method ran.
    pub executed: Executed,
    /// Whether this is a host's answer; if not, the connection broke or what came is no answer.
    pub is_answered: bool,
    /// The host's words, or the client's.
    pub message: String,
    /// JSON of the method's own error, when the status is `application`.
    pub value: Option<Bytes>,
    /// What the closure of [`Client::execute`](crate::Client::execute) gave as its reason.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Every attempt, this one last.
    pub attempts: Vec<Attempt>,
}

/// All attempts failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", text::retries(self))]
pub struct MaxRetriesExceeded {
    /// What was called.
    pub target: String,
    /// Every attempt; at least two.
    pub attempts: Vec<Attempt>,
    /// Whether the method ran in any of them.
    pub executed: Executed,
    /// What ended the repetitions.
    pub reason: Exhaustion,
}

/// What ends the repetitions of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Exhaustion {
    /// The attempts that one call may make.
    Attempts,
    /// The deadline: it is nearer than the next attempt.
    Deadline,
    /// The budget of all calls of the service.
    Budget,
}

/// A limit was reached.
#[derive(Debug, thiserror::Error)]
#[error("{}", text::limit(self))]
pub struct LimitExceeded {
    /// What was called.
    pub target: String,
    /// Whether the method ran.
    pub executed: Executed,
    /// Which limit, and whose.
    pub message: String,
    /// When the host wants to be asked again, if it said.
    pub retry_after: Option<Duration>,
    /// Every attempt, this one last.
    pub attempts: Vec<Attempt>,
}

/// Arguments that cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// They have no JSON form.
    #[error("the arguments have no JSON form")]
    Json(#[from] serde_json::Error),
    /// They are one bare value.
    #[error(
        "arguments are a tuple or list (by position), a struct or map (by name) or () (none), \
         not {found}; for a single argument write (value,)"
    )]
    Shape {
        /// What they are in JSON.
        found: &'static str,
    },
    /// Everything but the arguments is longer than a frame may be.
    #[error(
        "the request's names and key take {len} bytes, over the limit of {limit} bytes: shorten \
         the method's name or the key"
    )]
    HeadTooLong {
        /// Their length in bytes, as they travel.
        len: usize,
        /// The longest that is sent.
        limit: u32,
    },
    /// They are longer than a frame may be.
    #[error("the arguments are {len} bytes of JSON, over the limit of {limit} bytes")]
    TooLong {
        /// Their length in bytes.
        len: usize,
        /// The longest that is sent.
        limit: u32,
    },
}

/// A result of another shape than the caller's type.
#[derive(Debug, thiserror::Error)]
#[error("the result of {target} does not fit the type that was asked for: {}", text::clip(json))]
pub struct DecodeError {
    /// What was called.
    pub target: Target,
    /// The result.
    pub json: Bytes,
    /// Where it does not fit.
    pub source: serde_json::Error,
}

impl CallError {
    /// How the call ended, in the closed set of statuses: what an exit code depends on.
    pub fn status(&self) -> Status {
        match self {
            Self::NoAvailableInstance(error) => match error.reason {
                NoInstance::UnknownService { .. } => Status::NotFound,
                NoInstance::Unreachable => self.last_status(),
                _ => Status::Unavailable,
            },
            Self::RequestTimeout(_) => Status::DeadlineExceeded,
            Self::ServiceError(error) => error.status,
            Self::MaxRetriesExceeded(_) => self.last_status(),
            Self::LimitExceeded(_) => Status::ResourceExhausted,
            Self::Service(_) | Self::Target(_) | Self::Encode(_) => Status::InvalidArgument,
            Self::Decode(_) => Status::Internal,
        }
    }

    /// Whether the method ran: all that a decision to repeat the call may depend on.
    pub fn executed(&self) -> Executed {
        match self {
            Self::NoAvailableInstance(error) => Attempt::executed_in_any(&error.attempts),
            Self::RequestTimeout(error) => error.executed,
            Self::ServiceError(error) => error.executed,
            Self::MaxRetriesExceeded(error) => error.executed,
            Self::LimitExceeded(error) => error.executed,
            Self::Service(_) | Self::Target(_) | Self::Encode(_) => Executed::No,
            Self::Decode(_) => Executed::Yes,
        }
    }

    /// What was tried, in order.
    pub fn attempts(&self) -> &[Attempt] {
        match self {
            Self::NoAvailableInstance(error) => &error.attempts,
            Self::RequestTimeout(error) => &error.attempts,
            Self::ServiceError(error) => &error.attempts,
            Self::MaxRetriesExceeded(error) => &error.attempts,
            Self::LimitExceeded(error) => &error.attempts,
            Self::Service(_) | Self::Target(_) | Self::Encode(_) | Self::Decode(_) => &[],
        }
    }

    fn last_status(&self) -> Status {
        self.attempts().last().map_or(Status::Unavailable, |last| last.status)
    }
}
