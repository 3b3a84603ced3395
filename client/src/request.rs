//! One call being put together.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use jackfield_wire::{FrameLimits, ServiceName, Target, TraceContext};
use serde::Serialize;

use crate::answer::Answer;
use crate::client::Client;
use crate::error::{CallError, EncodeError};
use crate::picker::Balance;
use crate::retry::RetryPolicy;
use crate::spec::{Route, Spec};
use crate::values::{self, Arguments};

/// A call that was not sent yet. What is not said is as the client's builder set it.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    client: Client,
    spec: Spec,
}

impl Request {
    pub(crate) fn new(client: Client, target: Target) -> Self {
        let spec = client.defaults(target);
        Self { client, spec }
    }

    /// Arguments from a serde type: a tuple or list by position, a struct or map by name, `()` for
    /// none.
    ///
    /// # Errors
    /// [`CallError::Encode`] when they have no JSON form, or are one bare value.
    pub fn args<A: Serialize + ?Sized>(mut self, args: &A) -> Result<Self, CallError> {
        match values::arguments(args)? {
            Arguments::None => {}
            Arguments::Positional(json) => self.spec.positional = Some(json),
            Arguments::Named(json) => self.spec.named = Some(json),
        }
        Ok(self)
    }

    /// Arguments by position: a JSON array. The host checks it.
    pub fn positional_json(mut self, array: impl Into<Bytes>) -> Self {
        self.spec.positional = Some(array.into());
        self
    }

    /// Arguments by name: a JSON object. They may go with positional ones. The host checks them.
    pub fn named_json(mut self, object: impl Into<Bytes>) -> Self {
        self.spec.named = Some(object.into());
        self
    }

    /// How long the call may take in all, with every attempt and wait.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.spec.deadline = deadline;
        self
    }

    /// Says that running the method twice does no harm: a call whose outcome is unknown is then
    /// repeated.
    pub fn idempotent(mut self) -> Self {
        self.spec.idempotent = true;
        self
    }

    /// Which endpoint among equals.
    pub fn balance(mut self, balance: Balance) -> Self {
        self.spec.balance = balance;
        self
    }

    /// How often and how fast to repeat.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.spec.retry = retry;
        self
    }

    /// What calls that belong together share.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.spec.key = Some(key.into());
        self
    }

    /// Makes the call a part of this trace.
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.spec.trace = Some(trace);
        self
    }

    /// Asks an instance of `service`, whatever service the target names: for what every host
    /// answers itself, such as `jackfield.describe`.
    pub fn via(mut self, service: ServiceName) -> Self {
        self.spec.route = Route::Via(service);
        self
    }

    /// Asks whoever is at `address`, without the registry.
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.spec.route = Route::At(address);
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call: the host stops the method. Whether it ran is then
    /// unknown.
    pub async fn send(self) -> Result<Answer, CallError> {
        self.check_lengths()?;
        crate::call::run(&self.client.inner, &self.spec).await
    }

    /// A host would only say that the stream is malformed, and after all of it was sent.
    fn check_lengths(&self) -> Result<(), EncodeError> {
        let FrameLimits { head: most, arguments: limit, .. } = self.client.inner.frames;
        let is_over = |len: usize, limit| len > usize::try_from(limit).unwrap_or(usize::MAX);
        let head = self.spec.head(u32::MAX).len();
        if is_over(head, most) {
            return Err(EncodeError::HeadTooLong { len: head, limit: most });
        }
        let arguments = [&self.spec.positional, &self.spec.named].into_iter().flatten();
        match arguments.map(Bytes::len).find(|len| is_over(*len, limit)) {
            Some(len) => Err(EncodeError::TooLong { len, limit }),
            None => Ok(()),
        }
    }
}
