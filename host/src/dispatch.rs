//! Stream → call → answer.
//!
//! One exchange is one call: its request is read within limits, its method looked up in the
//! catalog's snapshot, a permit taken, its arguments checked, an instance found and called, the
//! answer sent. The permit comes first because checked arguments take up to twenty times the memory
//! of their text: only so many calls may hold them. Whatever goes wrong ends this call alone. A
//! caller that goes away takes its guest with it.

mod arguments;
mod builtin;
mod fault;
mod gate;
mod local;
mod lookup;
mod parts;
mod report;
mod request;
mod run;
mod schedule;
mod storm;
mod together;
mod trap;
mod unread;
mod within;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jackfield_transport::{Exchange, Operators, Peer, PeerId, Role, Serve};
use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::trace::Sampling;
use jackfield_wire::{
    AnswerHead, Executed, Failure, FrameKind, Generation, Load, Status, TraceContext, to_cbor,
};
use tokio::sync::broadcast;
use tokio::time::Instant;
use tracing::{Instrument, Span, field};

use crate::breaker::Outcome;
use crate::catalog::Catalog;
use crate::drain::Drain;
use crate::event::HostEvent;
use crate::guest::Current;
use crate::kept::Kept;
use crate::lane::Lane;
use crate::limits::HostLimits;
use crate::plugin::{Method, Plugin};
use crate::tally::ByStatus;
use fault::Fault;
use gate::{Entrance, Gate, Permit, Share};
pub(crate) use local::LocalCall;
pub(crate) use parts::{call, permit};
pub(crate) use report::About;
use request::Request;
pub(crate) use trap::{failure as trapped, quoted};
use unread::Unread;
use within::within;

/// Answers calls.
pub(crate) struct Dispatch {
    catalog: Arc<Catalog>,
    limits: Arc<HostLimits>,
    events: broadcast::Sender<HostEvent>,
    gate: Gate,
    lane: Arc<Lane>,
    kept: Arc<Kept>,
    operators: Operators,
    drain: Drain,
    about: About,
    /// Calls that were refused before their method was found.
    refused: Arc<ByStatus>,
    /// Calls so far: the number of each is in its span and in what its guest logs.
    calls: AtomicU64,
    sampling: Sampling,
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
    Fault(Fault),
}

impl Reply {
    /// Bytes of its value.
    fn bytes(&self) -> usize {
        match &self.end {
            End::Value(value) => value.as_ref().map_or(0, Vec::len),
            End::Application(value) => value.len(),
            End::Fault(_) => 0,
        }
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self { end: End::Fault(failure.into()), generation: None }
    }
}

impl Dispatch {
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        limits: Arc<HostLimits>,
        events: broadcast::Sender<HostEvent>,
        (lane, kept, operators, about): (Arc<Lane>, Arc<Kept>, Operators, About),
    ) -> Self {
        let gate = Gate::new(limits.concurrency, limits.queue);
        Self {
            catalog,
            limits,
            events,
            gate,
            lane,
            kept,
            operators,
            drain: Drain::default(),
            about,
            refused: Arc::default(),
            calls: AtomicU64::new(0),
            sampling: Sampling::default(),
        }
    }

    /// The same, which records this share of the traces that begin here.
    pub(crate) fn sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// How busy the host is.
    pub(crate) fn load(&self) -> Load {
        self.gate.load()
    }

    /// How busy it is with one service.
    pub(crate) fn load_of(&self, service: &str) -> Load {
        self.gate.load_of(service)
    }

    /// The way out.
    pub(crate) fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Answers one call, unless its caller goes away first.
    async fn answer(&self, unread: &Unread, mut exchange: Exchange) {
        let began = Instant::now();
        let read = within(self.limits.request_timeout, Request::read(&mut exchange));
        let reply = match read.await {
            Ok(Ok(request)) => {
                // Most calls end at their first poll, and then nobody has to ask.
                let cancelled = async { exchange.cancelled().await };
                tokio::select! {
                    biased;
                    reply = self.reply(&request, &exchange.peer().id, began, unread) => reply,
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
            Ok(Err(request::ReadError::Refused(failure))) => self.refuse(failure),
            Err(_) => self.refuse(request::too_slow(self.limits.request_timeout)),
        };
        let waiting = unread.add(reply.bytes());
        let sent = self.send(&mut exchange, reply);
        if within(self.limits.answer_timeout, sent).await.is_err() {
            tracing::debug!(peer = %exchange.peer().id, "the answer was not read in time");
        }
        drop(waiting);
    }

    async fn send(&self, exchange: &mut Exchange, reply: Reply) {
        let (status, executed, message, value) = match &reply.end {
            End::Value(value) => (Status::Ok, Executed::Yes, None, value.as_deref()),
            End::Application(value) => (Status::Application, Executed::Yes, None, Some(&**value)),
            End::Fault(fault) => {
                let failure = fault.failure();
                (failure.status, failure.executed, Some(failure.message.as_str()), None)
            }
        };
        let retry_after_ms = match &reply.end {
            End::Fault(fault) => fault.retry_after_ms(),
            End::Value(_) | End::Application(_) => None,
        };
        let head = to_cbor(&AnswerHead {
            status,
            executed,
            message,
            generation: reply.generation,
            load: Some(self.load()),
            retry_after_ms,
            draining: self.drain.has_begun(),
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

    async fn reply(
        &self,
        request: &Request,
        peer: &PeerId,
        began: Instant,
        unread: &Unread,
    ) -> Reply {
        let head = match request.head() {
            Ok(head) => head,
            Err(failure) => return self.refuse(failure),
        };
        if let Err(failure) = unread.check() {
            return self.refuse(failure);
        }
        if head.service == BUILTIN_SERVICE {
            let end = match head.method {
                "rollback" => self.roll_back(peer, request).await,
                "stats" => self.stats(request).await,
                method => {
                    let snapshot = self.catalog.now();
                    builtin::answer(&self.lane, snapshot, method, request, &self.limits).await
                }
            };
            let end = end.unwrap_or_else(|failure| End::Fault(failure.into()));
            return Reply { end, generation: None };
        }
        let asked = head.deadline_ms.map(|ms| Duration::from_millis(ms.into()));
        let snapshot = self.catalog.now();
        let found = lookup::plugin(&snapshot, head.service)
            .and_then(|plugin| Ok((plugin, lookup::method(plugin, head.method)?)));
        let (plugin, method) = match found {
            Ok(found) => found,
            Err(failure) => return self.refuse(failure),
        };
        let budget = plugin.limits().deadline_for(asked);
        let plugin = Arc::clone(plugin);
        drop(snapshot);
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let trace = head.trace.and_then(|text| text.parse::<TraceContext>().ok());
        let deadline = began + budget;
        let mut call = Call { id, plugin, method, began, budget, deadline, current: None };
        let (span, trace) = call.span(trace, self.sampling);
        if call.plugin.knows_its_calls() {
            let (caller, hops) = (peer.clone(), head.hops);
            call.current = Some(Box::new(Current { caller, deadline, trace, hops }));
        }
        let generation = Some(call.plugin.generation());
        // Nobody listens to most spans, and to move a call into one costs as much as to make it.
        let end = match span.is_disabled() {
            true => self.counted(call, request, peer).await,
            false => {
                let end = self.counted(call, request, peer).instrument(span.clone()).await;
                span.record("status", status(&end).name());
                end
            }
        };
        Reply { end: end.unwrap_or_else(End::Fault), generation }
    }

    /// A call for which there is no method.
    fn refuse(&self, failure: Failure) -> Reply {
        self.refused.count(failure.status);
        failure.into()
    }

    /// Returns to the version of a service before the one that serves.
    async fn roll_back(&self, peer: &PeerId, request: &Request) -> Result<End, Failure> {
        let service = builtin::service_argument("rollback", request)?;
        if !self.operators.include(peer) {
            let how = self.operators.remedy(Role::Host);
            let text = format!("{peer} may not change what this host serves; {how}");
            return Err(Failure::not_executed(Status::PermissionDenied, text));
        }
        let done = self.catalog.roll_back(service.as_str());
        let done = done.map_err(|no| lookup::no_way_back(&self.catalog.now(), &service, no))?;
        if !done.already {
            let (from, to) = (done.from, done.to);
            tracing::warn!(%service, from = from.short(), to = to.short(), %peer, "rolled back");
            // Nobody has to listen.
            let _ = self.events.send(HostEvent::RolledBack {
                service: service.clone(),
                from,
                to,
                because: None,
            });
        }
        // Whoever was told of it may end the host at once.
        let (kept, catalog) = (Arc::clone(&self.kept), Arc::clone(&self.catalog));
        let noted = self.lane.block(move || kept.follow(&catalog)).await;
        if let Err(lost) = noted {
            tracing::warn!(%service, "its rollback may not survive a restart: {lost}");
        }
        builtin::json(&done, self.limits.plugin.result)
    }

    async fn counted(&self, call: Call, request: &Request, peer: &PeerId) -> Result<End, Fault> {
        let plugin = Arc::clone(&call.plugin);
        let counted = plugin.tally(call.method).begin(call.began);
        let end = self.call(&plugin, call, request, peer).await;
        counted.ended(status(&end));
        end
    }

    async fn call(
        &self,
        plugin: &Arc<Plugin>,
        call: Call,
        request: &Request,
        peer: &PeerId,
    ) -> Result<End, Fault> {
        request.check_length(plugin.limits().arguments)?;
        // A plugin in quarantine takes no place in the queue either.
        let refused = |told| fault::quarantined(plugin.service(), &told);
        plugin.watch().check(call.began.into_std(), peer).map_err(refused)?;
        let permit = self.enter(&call).await?;
        let watching = plugin.watch().admit(permit.since(), peer).map_err(refused)?;
        let arguments = arguments::checked(&self.lane, &call, request).await?;
        let guest = async {
            match plugin.keeper().shared() {
                Some(shared) => {
                    together::guest(&self.lane, shared, &call, arguments, &self.limits, permit)
                        .await
                }
                None => run::guest(&self.lane, call, arguments, &self.limits, permit).await,
            }
        };
        let span = tracing::debug_span!("guest");
        let end = match span.is_disabled() {
            true => guest.await,
            false => guest.instrument(span).await,
        };
        let (outcome, message) = match &end {
            Ok(_) => (Outcome::Good, ""),
            Err(fault) => fault.outcome(),
        };
        if let Some(news) = watching.ended(outcome, message) {
            storm::tell(&self.catalog, &self.events, plugin, news);
        }
        end
    }

    /// Waits for a permit as long as a call may.
    async fn enter(&self, call: &Call) -> Result<Permit, Fault> {
        let limits = call.plugin.limits();
        let concurrency = if call.plugin.keeper().is_single() { 1 } else { limits.concurrency };
        let share = Share { concurrency, queue: limits.queue };
        let mut waiting = match self.gate.enter(&call.plugin.service().shared(), share)? {
            Entrance::In(permit) => return Ok(permit),
            Entrance::Waiting(waiting) => waiting,
        };
        let limit = self.limits.queue_time;
        let until = call.deadline.min(Instant::now() + limit);
        match tokio::time::timeout_at(until, waiting.turn()).await {
            Ok(permit) => Ok(permit?),
            Err(_) if until < call.deadline => Err(waiting.too_long(limit).into()),
            Err(_) => {
                let text = format!("waited {:?} for a free place on this host", call.budget);
                Err(Failure::not_executed(Status::DeadlineExceeded, text).into())
            }
        }
    }
}

/// How a call ended.
fn status(end: &Result<End, Fault>) -> Status {
    match end {
        Ok(End::Value(_)) => Status::Ok,
        Ok(End::Application(_)) => Status::Application,
        Ok(End::Fault(fault)) | Err(fault) => fault.failure().status,
    }
}

impl Serve for Dispatch {
    type Session = Unread;

    fn connected(&self, _: &Peer) -> Unread {
        Unread::default()
    }

    async fn exchange(&self, unread: &Arc<Unread>, exchange: Exchange) {
        self.drain.arrival();
        self.answer(unread, exchange).await;
    }
}

/// One call of a method that is there.
struct Call {
    /// Its number on this host.
    id: u64,
    plugin: Arc<Plugin>,
    /// Where the plugin has it.
    method: usize,
    began: Instant,
    /// What the caller gets in all.
    budget: Duration,
    deadline: Instant,
    /// What its guest may ask for; only of plugins that do.
    current: Option<Box<Current>>,
}

impl Call {
    fn method(&self) -> &Method {
        &self.plugin.methods()[self.method]
    }

    /// Its span, and where the calls that its guest makes stand in the trace: below the span
    /// when somebody records it, and where its caller said otherwise.
    fn span(
        &self,
        above: Option<TraceContext>,
        sampling: Sampling,
    ) -> (Span, Option<TraceContext>) {
        let span = tracing::debug_span!(
            "call",
            id = self.id,
            service = self.plugin.service().as_str(),
            method = self.method().info().name.as_str(),
            otel.kind = "server",
            trace_id = field::Empty,
            span_id = field::Empty,
            parent_id = field::Empty,
            sampled = field::Empty,
            status = field::Empty,
        );
        if span.is_disabled() {
            return (span, above);
        }
        let id = fastrand::u64(1..);
        let trace_id = above.map_or_else(|| fastrand::u128(1..), |above| above.trace_id());
        let sampled = sampling.takes(above.map(|above| above.is_sampled()), trace_id);
        span.record("trace_id", field::display(format_args!("{trace_id:032x}")));
        span.record("span_id", field::display(format_args!("{id:016x}")));
        span.record("sampled", sampled);
        if let Some(above) = above {
            span.record("parent_id", field::display(format_args!("{:016x}", above.parent_id())));
        }
        (span, TraceContext::new(trace_id, id, sampled))
    }
}
