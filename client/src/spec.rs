//! What a caller asked for, complete.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use jackfield_wire::{ServiceName, Target, TraceContext};

use crate::picker::Balance;
use crate::retry::RetryPolicy;

/// One call, before the first attempt. Attempts read it and change nothing.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) target: Target,
    pub(crate) route: Route,
    pub(crate) positional: Option<Bytes>,
    pub(crate) named: Option<Bytes>,
    pub(crate) deadline: Duration,
    pub(crate) idempotent: bool,
    pub(crate) balance: Balance,
    pub(crate) key: Option<String>,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) retry: RetryPolicy,
}

/// Who may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Any instance of the service that is called.
    Target,
    /// Any instance of another service: for what every host answers itself.
    Via(ServiceName),
    /// Whoever is at this address.
    At(SocketAddr),
}
