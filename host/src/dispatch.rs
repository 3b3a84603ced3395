//! Stream → call → answer.
//!
//! One exchange is one call: its request is read within limits, its method looked up in the
//! catalog's snapshot, a permit taken, its arguments checked, a fresh instance made and called, the
//! answer sent. The permit comes first because checked arguments take up to twenty times the memory
//! of their text: only so many calls may hold them. Whatever goes wrong ends this call alone. A caller that goes away takes its guest
//! with it.

mod builtin;
mod gate;
mod lookup;
mod request;
mod run;
mod trap;
mod unread;

use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::{Exchange, Peer, Serve};
use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::{
    AnswerHead, Executed, Failure, FrameKind, Generation, Load, Status, TraceContext, to_cbor,
};
use tokio::time::Instant;
use tracing::Instrument;

use crate::catalog::Catalog;
use crate::engine::Ticker;
use crate::limits::HostLimits;
use crate::plugin::{Method, Plugin};
use gate::Gate;
use request::Request;
use unread::Unread;

/// Answers calls.
pub(crate) struct Dispatch {
    catalog: Arc<Catalog>,
    limits: Arc<HostLimits>,
    ticker: Ticker,
    gate: Gate,
}

/// How a call is answered.
struct Reply {
    end: End,
    generation: Option<Generation>,
}

enum End {
    /// `None` when the method has no result.
    Value(Option<Vec<u8>>),
    Application(Vec<u8>),
    Failure(Failure),
}

impl Reply {
    /// Bytes of its value.
    fn bytes(&self) -> usize {
        match &self.end {
            End::Value(value) => value.as_ref().map_or(0, Vec::len),
            End::Application(value) => value.len(),
            End::Failure(_) => 0,
        }
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self { end: End::Failure(failure), generation: None }
    }
}

impl Dispatch {
    pub(crate) fn new(catalog: Arc<Catalog>, limits: Arc<HostLimits>, ticker: Ticker) -> Self {
        let gate = Gate::new(limits.concurrency, limits.queue);
        Self { catalog, limits, ticker, gate }
    }

    /// How busy the host is.
    pub(crate) fn load(&self) -> Load {
        self.gate.load()
    }

    /// Answers one call, unless its caller goes away first.
    async fn answer(&self, unread: &Unread, mut exchange: Exchange) {
        let began = Instant::now();
        let read = tokio::time::timeout(self.limits.request_timeout, Request::read(&mut exchange));
        let reply = match read.await {
            Ok(Ok(request)) => {
                let cancelled = exchange.cancelled();
                tokio::select! {
                    biased;
                    reply = self.reply(&request, began, unread) => reply,
                    why = cancelled => {
                        tracing::debug!(peer = %exchange.peer().id, ?why, "caller went away");
                        return;
                    }
                }
            }
            Ok(Err(request::ReadError::Gone(error))) => {
                tracing::debug!(peer = %exchange.peer().id, "no request: {error}");
                return;
            }
            Ok(Err(request::ReadError::Refused(failure))) => failure.into(),
            Err(_) => request::too_slow(self.limits.request_timeout).into(),
        };
        let waiting = unread.add(reply.bytes());
        let sent = self.send(&mut exchange, reply);
        if tokio::time::timeout(self.limits.answer_timeout, sent).await.is_err() {
            tracing::debug!(peer = %exchange.peer().id, "the answer was not read in time");
        }
        drop(waiting);
    }

    async fn send(&self, exchange: &mut Exchange, reply: Reply) {
        let (status, executed, message, value) = match &reply.end {
            End::Value(value) => (Status::Ok, Executed::Yes, None, value.as_deref()),
            End::Application(value) => (Status::Application, Executed::Yes, None, Some(&**value)),
            End::Failure(failure) => {
                (failure.status, failure.executed, Some(failure.message.as_str()), None)
            }
        };
        let busy = status == Status::ResourceExhausted && executed == Executed::No;
        let head = to_cbor(&AnswerHead {
            status,
            executed,
            message,
            generation: reply.generation,
            load: Some(self.load()),
            retry_after_ms: busy.then_some(RETRY_AFTER_MS),
        });
        let head = (FrameKind::Head, head.as_slice());
        let sent = match value {
            Some(value) => exchange.send_last(&[head, (FrameKind::Value, value)]).await,
            None => exchange.send_last(&[head]).await,
        };
        if let Err(error) = sent {
            tracing::debug!(peer = %exchange.peer().id, "answer not delivered: {error}");
        }
    }

    async fn reply(&self, request: &Request, began: Instant, unread: &Unread) -> Reply {
        let head = match request.head() {
            Ok(head) => head,
            Err(failure) => return failure.into(),
        };
        if let Err(failure) = unread.check() {
            return failure.into();
        }
        if head.service == BUILTIN_SERVICE {
            let longest = self.limits.plugin.result;
            let end = builtin::answer(&self.catalog.now(), head.method, request, longest);
            return Reply { end: end.unwrap_or_else(End::Failure), generation: None };
        }
        let asked = head.deadline_ms.map(|ms| Duration::from_millis(ms.into()));
        let snapshot = self.catalog.now();
        let found = lookup::plugin(&snapshot, head.service)
            .and_then(|plugin| Ok((plugin, lookup::method(plugin, head.method)?)));
        let (plugin, method) = match found {
            Ok(found) => found,
            Err(failure) => return failure.into(),
        };
        let limits = plugin.limits();
        if let Err(failure) = request.check_length(limits.arguments) {
            return failure.into();
        }
        let budget = limits.deadline_for(asked);
        let call = Call { plugin, method, budget, deadline: began + budget };
        let trace = head.trace.and_then(|text| text.parse::<TraceContext>().ok());
        let span = call.span(trace);
        let end = self.call(&call, request).instrument(span).await;
        Reply { end: end.unwrap_or_else(End::Failure), generation: Some(plugin.generation()) }
    }

    async fn call(&self, call: &Call<'_>, request: &Request) -> Result<End, Failure> {
        let entered = tokio::time::timeout_at(call.deadline, self.gate.enter()).await;
        let _permit = match entered {
            Ok(Ok(permit)) => permit,
            Ok(Err(busy)) => {
                return Err(Failure::not_executed(Status::ResourceExhausted, busy.to_string()));
            }
            Err(_) => {
                let text = format!("waited {:?} for a free place on this host", call.budget);
                return Err(Failure::not_executed(Status::DeadlineExceeded, text));
            }
        };
        let arguments = call
            .method
            .plan()
            .prepare(request.positional(), request.named())
            .map_err(|e| Failure::not_executed(Status::InvalidArgument, e.to_string()))?;
        let _running = self.ticker.running();
        run::guest(call, arguments, &self.limits).await
    }
}

impl Serve for Dispatch {
    type Session = Unread;

    fn connected(&self, _: &Peer) -> Unread {
        Unread::default()
    }

    async fn exchange(&self, unread: &Arc<Unread>, exchange: Exchange) {
        self.answer(unread, exchange).await;
    }
}

/// One call of a method that is there.
struct Call<'a> {
    plugin: &'a Plugin,
    method: &'a Method,
    /// What the caller gets in all.
    budget: Duration,
    deadline: Instant,
}

impl Call<'_> {
    fn span(&self, trace: Option<TraceContext>) -> tracing::Span {
        let service = self.plugin.service().as_str();
        let method = self.method.info().name.as_str();
        let trace =
            trace.map(|trace| tracing::field::display(format!("{:032x}", trace.trace_id())));
        tracing::debug_span!("call", service, method, trace)
    }
}

/// When a caller that was turned away may try again: a few small calls' time.
const RETRY_AFTER_MS: u32 = 50;
