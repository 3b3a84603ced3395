//! One call being put together.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use jackfield_wire::{FrameLimits, ServiceName, Status, Target, TraceContext};
use serde::Serialize;
use tracing::{Instrument, Span, field};

use crate::answer::Answer;
use crate::client::Client;
use crate::context::Context;
use crate::error::{CallError, EncodeError};
use crate::options::CallOptions;
use crate::picker::PickerChoice;
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
        let (route, options) = (Route::Target, CallOptions::new());
        let context = Context::current();
        let (positional, named, trace) = (None, None, None);
        let spec = Spec { target, route, positional, named, context, trace, options };
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
        self.spec.options.deadline = Some(deadline);
        self
    }

    /// Everything else that may be said of a call; it goes before what was said so far.
    pub fn options(mut self, options: CallOptions) -> Self {
        self.spec.options = options.or(&self.spec.options);
        self
    }

    /// Says that running the method twice does no harm: a call whose outcome is unknown is then
    /// repeated.
    pub fn idempotent(mut self) -> Self {
        self.spec.options.is_idempotent = true;
        self
    }

    /// Which endpoint among equals.
    pub fn picker(mut self, picker: impl Into<PickerChoice>) -> Self {
        self.spec.options.picker = Some(picker.into());
        self
    }

    /// What calls that belong together share; see [`CallOptions::key`].
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.spec.options.key = Some(key.into());
        self
    }

    /// Takes the time that is left, and the trace, from this context instead of the one that
    /// the request was made in; see [`Context`].
    pub fn context(mut self, context: Context) -> Self {
        self.spec.context = context;
        self
    }

    /// Makes the call a part of this trace. Default: the trace of the context.
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
    pub async fn send(mut self) -> Result<Answer, CallError> {
        let weaker = self.client.inner.options_of(&self.spec.target.service);
        self.spec.options = self.spec.options.or(weaker);
        self.check_lengths()?;
        let span = self.span();
        let call = self.client.inner.pool.telemetry().call(&self.spec.target.service);
        // Nobody listens to most spans, and to move a call into one costs as much as to make it.
        let ended = match span.is_disabled() {
            true => crate::call::run(&self.client.inner, &self.spec).await,
            false => {
                crate::call::run(&self.client.inner, &self.spec).instrument(span.clone()).await
            }
        };
        let (status, attempts) = match &ended {
            Ok(answer) => (Status::Ok, answer.attempts.len() + 1),
            Err(error) => (error.status(), error.attempts().len()),
        };
        call.ended(status, attempts);
        span.record("status", status.name()).record("attempts", attempts);
        ended
    }

    /// The span of this call. When somebody records it, the host gets it as the parent of its
    /// own, in the trace that the call is part of or in a new one; when nobody does, the host gets
    /// what the caller gave.
    fn span(&mut self) -> Span {
        let span = tracing::debug_span!(
            "jackfield_call",
            service = self.spec.target.service.as_str(),
            method = self.spec.target.method,
            otel.kind = "client",
            trace_id = field::Empty,
            span_id = field::Empty,
            parent_id = field::Empty,
            sampled = field::Empty,
            status = field::Empty,
            attempts = field::Empty,
        );
        self.spec.trace = self.spec.trace.or(self.spec.context.trace_context());
        if span.is_disabled() {
            return span;
        }
        let entropy = || self.client.inner.balancer.moment().entropy;
        let (above, id) = (self.spec.trace, entropy().max(1));
        let trace_id = above.map_or_else(
            || u128::from(entropy()) << 64 | u128::from(entropy()),
            |above| above.trace_id(),
        );
        let said = above.map(|above| above.is_sampled());
        let sampled = self.client.inner.sampling.takes(said, trace_id);
        let trace = TraceContext::new(trace_id, id, sampled);
        if trace.is_some() {
            span.record("trace_id", field::display(format_args!("{trace_id:032x}")));
            span.record("span_id", field::display(format_args!("{id:016x}")));
            span.record("sampled", sampled);
        }
        if let Some(above) = above {
            span.record("parent_id", field::display(format_args!("{:016x}", above.parent_id())));
        }
        self.spec.trace = trace;
        span
    }

    /// A host would only say that the stream is malformed, and after all of it was sent.
    fn check_lengths(&self) -> Result<(), EncodeError> {
        let FrameLimits { head: most, arguments: limit, .. } = self.client.inner.frames;
        let is_over = |len: usize, limit| len > usize::try_from(limit).unwrap_or(usize::MAX);
        if is_over(self.spec.longest_head(), most) {
            let len = self.spec.head(u32::MAX).len();
            if is_over(len, most) {
                return Err(EncodeError::HeadTooLong { len, limit: most });
            }
        }
        let arguments = [&self.spec.positional, &self.spec.named].into_iter().flatten();
        match arguments.map(Bytes::len).find(|len| is_over(*len, limit)) {
            Some(len) => Err(EncodeError::TooLong { len, limit }),
            None => Ok(()),
        }
    }
}
