//! Calls of this very process: no stream, and for the rest as any other.

use std::time::Duration;

use jackfield_transport::{PeerId, Role};
use jackfield_wire::{CallHead, to_cbor};
use tokio::time::Instant;

use super::request::Request;
use super::unread::Unread;
use super::{Dispatch, End};
use crate::local::LocalAnswer;

/// What to call, with which JSON.
pub(crate) struct LocalCall<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) positional: Option<Vec<u8>>,
    pub(crate) named: Option<Vec<u8>>,
    pub(crate) deadline: Option<Duration>,
}

impl Dispatch {
    /// Answers a call of this process.
    ///
    /// # Cancel safety
    /// Dropping it ends the guest.
    pub(crate) async fn local(&self, call: LocalCall<'_>) -> LocalAnswer {
        let deadline_ms =
            call.deadline.map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
        let head = CallHead {
            service: call.service,
            method: call.method,
            deadline_ms,
            trace: None,
            key: None,
            idempotent: false,
            hops: 0,
        };
        let request = Request::new(to_cbor(&head), call.positional, call.named);
        let caller = PeerId::new("local", Role::Client, "local").expect("a plain name is one");
        let reply = self.reply(&request, &caller, Instant::now(), &Unread::default()).await;
        match reply.end {
            End::Value(value) => LocalAnswer::Value(value),
            End::Application(value) => LocalAnswer::Application(value),
            End::Fault(fault) => LocalAnswer::Failed(fault.failure().clone()),
        }
    }
}
