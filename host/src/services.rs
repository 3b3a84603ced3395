//! Calls of plugins to other services: what a program gives a host, so that plugins reach them.
//!
//! A host is no client, and knows no registry but the one that it announces itself to: whoever
//! starts it decides how calls go out. Without anything here every such call is refused.
//! Implementations must not run a method twice that may have run, unless the call is idempotent.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use jackfield_wire::{Failure, Target, TraceContext};

/// Makes the calls that plugins ask for.
pub trait Services: fmt::Debug + Send + Sync + 'static {
    /// Makes one.
    ///
    /// # Cancel safety
    /// Dropping the future must cancel the call, for its plugin is gone then.
    fn call(&self, call: OutgoingCall) -> Outgoing;
}

/// A call under way.
pub type Outgoing = Pin<Box<dyn Future<Output = Result<OutgoingAnswer, OutgoingFailure>> + Send>>;

/// A call that a plugin makes, which its manifest grants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingCall {
    /// What it calls.
    pub target: Target,
    /// JSON by position or by name.
    pub arguments: OutgoingArguments,
    /// How long the call that it is made for still has.
    pub time_left: Duration,
    /// The trace of that call.
    pub trace: Option<TraceContext>,
    /// Calls of services that this one is made for, one within the other.
    pub hops: u8,
    /// What the plugin says of it.
    pub options: OutgoingOptions,
}

/// What a plugin may say of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutgoingOptions {
    /// How long it may take at most, within the time that is left; `None` leaves it to whoever
    /// makes the call.
    pub deadline: Option<Duration>,
    /// Whether running the method twice does no harm.
    pub is_idempotent: bool,
    /// What calls that belong together share.
    pub key: Option<String>,
}

/// JSON, whose kind has been looked at, and no more of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutgoingArguments {
    /// None.
    None,
    /// An array.
    Positional(Vec<u8>),
    /// An object.
    Named(Vec<u8>),
}

/// The result's JSON; `None` of a method that has none.
pub type OutgoingAnswer = Option<Vec<u8>>;

/// A call that did not end `ok`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingFailure {
    /// How it ended.
    pub failure: Failure,
    /// JSON of the method's own error.
    pub value: Option<Vec<u8>>,
}

impl From<Failure> for OutgoingFailure {
    fn from(failure: Failure) -> Self {
        Self { failure, value: None }
    }
}
