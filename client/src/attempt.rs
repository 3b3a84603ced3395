//! One attempt of a call: connect, open, send, wait, receive; all within one deadline.
//!
//! An attempt that is dropped drops its exchange, and that tells the host to stop the method.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jackfield_transport::{
    CloseReason, Connection, Exchange, ExchangeError, OpenError, StreamCode, chain,
};
use jackfield_wire::status::printable;
use jackfield_wire::{
    AnswerHead, Executed, FrameError, FrameKind, Generation, Load, Status, from_cbor,
};
use tokio::time::{Instant, sleep_until};

use crate::balancer::Verdict;
use crate::deadline::Deadline;
use crate::error::{Attempt, Phase};
use crate::pool::{ConnectFailure, Pool};
use crate::retry::{Cure, Outcome};
use crate::spec::Spec;

/// Where an attempt goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) address: SocketAddr,
    /// Whose certificate it must show; anyone's when there is no registry to say.
    pub(crate) host: Option<String>,
    /// The registry says that this host has the method.
    pub(crate) listed: bool,
}

/// What a host answered to a call that went well.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) host: String,
    pub(crate) value: Option<Bytes>,
    pub(crate) generation: Option<Generation>,
    pub(crate) load: Option<Load>,
}

/// An attempt that did not go well.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) attempt: Box<Attempt>,
    pub(crate) outcome: Outcome,
    pub(crate) value: Option<Bytes>,
    pub(crate) kind: FailureKind,
    /// This is the host's word, not the client's.
    pub(crate) is_answered: bool,
    pub(crate) load: Option<Load>,
    /// What a closure of the caller's gave as its reason.
    pub(crate) cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failed {
    /// Whether everyone would give the same answer.
    pub(crate) fn is_final(&self) -> bool {
        self.is_answered && self.outcome.cure == Cure::Nothing
    }

    /// What it says of the endpoint; `None` when the fault is this client's.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self.kind {
            FailureKind::Connect => match (self.outcome.cure, self.outcome.status) {
                (Cure::Nothing, _) => None,
                (_, Status::Unauthenticated) => Some(Verdict::Misplaced),
                _ => Some(Verdict::Unreachable),
            },
            FailureKind::Timeout if !self.is_answered => Some(Verdict::Failed),
            _ => Some(verdict(self.outcome.status)),
        }
    }
}

fn verdict(status: Status) -> Verdict {
    match status {
        Status::ResourceExhausted => Verdict::Busy,
        Status::Unavailable | Status::Internal | Status::Trapped | Status::Cancelled => {
            Verdict::Failed
        }
        _ => Verdict::Refused,
    }
}

/// Which error the attempt becomes when it was the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Connect,
    Transport,
    Answer,
    Timeout,
}

/// How far an attempt has come, for an error if it is cut off. The lock is there so that the
/// attempt may move between threads; it is never held across an await.
struct Progress(Mutex<(Phase, Executed)>);

/// A failure before it is known when and where.
struct Trouble {
    kind: FailureKind,
    outcome: Outcome,
    message: String,
    value: Option<Bytes>,
    /// The host takes no new calls.
    turned_away: bool,
    /// The host said so.
    is_answered: bool,
    load: Option<Load>,
}

/// Makes one attempt.
pub(crate) async fn attempt(
    pool: &Arc<Pool>,
    to: &Destination,
    spec: &Spec,
    deadline: &Deadline,
) -> Result<Answered, Failed> {
    let started = Instant::now();
    let metered = pool.telemetry().attempt(&spec.target.service, to.address);
    let progress = Progress::begin();
    let ended = tokio::select! {
        // A deadline that has passed does not undo an answer that is there.
        biased;
        ended = converse(pool, to, spec, deadline, &progress) => ended,
        () = sleep_until(deadline.at()) => Err(Trouble::timeout(&progress)),
    };
    let trouble = match ended {
        Ok(answered) => {
            metered.ended(Status::Ok);
            return Ok(answered);
        }
        Err(trouble) => trouble,
    };
    metered.ended(trouble.outcome.status);
    Err(trouble.happened(to, progress.get().0, started.elapsed()))
}

async fn converse(
    pool: &Arc<Pool>,
    to: &Destination,
    spec: &Spec,
    deadline: &Deadline,
    progress: &Progress,
) -> Result<Answered, Trouble> {
    let (connection, mut exchange) = open(pool, to, progress).await?;
    // Then there was nobody better, and nobody is gained by giving up.
    let was_silent = connection.is_silent();
    progress.enter(Phase::Send, Executed::No);
    // A timeout looks at its future before it looks at the clock.
    let left_ms = deadline.left_ms().ok_or_else(|| Trouble::timeout(progress))?;
    let sent = send(&mut exchange, spec, left_ms).await;
    // A host may answer, and stop reading, before it has all of a request that it refuses.
    if let Err(error @ ExchangeError::ConnectionLost { .. }) = sent {
        return Err(Trouble::unsent(&error));
    }
    progress.enter(Phase::Wait, if sent.is_ok() { Executed::Unknown } else { Executed::No });
    let answer = tokio::select! {
        biased;
        answer = receive(&mut exchange, to, progress, pool) => answer,
        () = falls_silent(&connection, spec), if !was_silent => Err(Trouble::silent()),
    };
    if answer.as_ref().is_err_and(|trouble| trouble.turned_away) {
        pool.draining(to.address);
    }
    match (answer, sent) {
        (Err(trouble), Err(error)) if trouble.kind == FailureKind::Transport => {
            Err(Trouble::unsent(&error))
        }
        (answer, _) => answer,
    }
}

/// An exchange of the kept connection, or of a new one when that one turns out to have ended.
async fn open(
    pool: &Arc<Pool>,
    to: &Destination,
    progress: &Progress,
) -> Result<(Connection, Exchange), Trouble> {
    let mut is_second = false;
    loop {
        let connection = pool.connect(to.address, to.host.as_deref()).await?;
        progress.enter(Phase::Open, Executed::No);
        match connection.open().await {
            Ok(exchange) => return Ok((connection, exchange)),
            Err(error) if is_second => return Err(error.into()),
            Err(_) => is_second = true,
        }
    }
}

/// Resolves when a call that may be repeated need not wait for this host any longer.
async fn falls_silent(connection: &Connection, spec: &Spec) {
    if spec.options.is_idempotent {
        connection.silence().await;
    } else {
        std::future::pending().await
    }
}

async fn send(exchange: &mut Exchange, spec: &Spec, left_ms: u32) -> Result<(), ExchangeError> {
    let head = spec.head(left_ms);
    let mut frames = vec![(FrameKind::Head, head.as_slice())];
    frames.extend(spec.positional.as_deref().map(|json| (FrameKind::Positional, json)));
    frames.extend(spec.named.as_deref().map(|json| (FrameKind::Named, json)));
    exchange.send_last(&frames).await
}

async fn receive(
    exchange: &mut Exchange,
    to: &Destination,
    progress: &Progress,
    pool: &Pool,
) -> Result<Answered, Trouble> {
    let first = exchange.recv().await?.ok_or_else(|| Trouble::no_answer("it has no head"))?;
    if first.kind != FrameKind::Head {
        return Err(Trouble::no_answer("it does not begin with a head"));
    }
    let head: AnswerHead<'_> = from_cbor(&first.payload)
        .map_err(|error| Trouble::no_answer(&format!("its head is malformed: {error}")))?;
    if head.draining {
        pool.draining(to.address);
    }
    let executed = if head.status == Status::Ok { Executed::Yes } else { head.executed };
    progress.enter(Phase::Receive, executed);
    let value = value(exchange).await.map_err(|trouble| trouble.after(executed))?;
    if head.status != Status::Ok {
        return Err(Trouble::answer(&head, value, to.listed));
    }
    let host = exchange.peer().id.name().to_owned();
    Ok(Answered { host, value, generation: head.generation, load: head.load })
}

/// Reads to the end of the stream, which spares both sides a packet.
async fn value(exchange: &mut Exchange) -> Result<Option<Bytes>, Trouble> {
    let mut value = None;
    while let Some(frame) = exchange.recv().await? {
        if frame.kind != FrameKind::Value || value.is_some() {
            return Err(Trouble::no_answer("it has more than a head and a value"));
        }
        value = Some(frame.payload);
    }
    Ok(value)
}

impl Progress {
    fn begin() -> Self {
        Self(Mutex::new((Phase::Connect, Executed::No)))
    }

    fn enter(&self, phase: Phase, executed: Executed) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (phase, executed);
    }

    fn get(&self) -> (Phase, Executed) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    fn transport(status: Status, executed: Executed, cure: Cure, message: String) -> Self {
        let outcome = Outcome { status, executed, cure, retry_after: None };
        Self::unanswered(FailureKind::Transport, outcome, message)
    }

    fn timeout(progress: &Progress) -> Self {
        let outcome = Outcome {
            status: Status::DeadlineExceeded,
            executed: progress.get().1,
            cure: Cure::Nothing,
            retry_after: None,
        };
        let message = "cut off by the deadline".into();
        Self::unanswered(FailureKind::Timeout, outcome, message)
    }

    fn unanswered(kind: FailureKind, outcome: Outcome, message: String) -> Self {
        Self {
            kind,
            outcome,
            message,
            value: None,
            is_answered: false,
            load: None,
            turned_away: false,
        }
    }

    /// The request did not leave as a whole, so the host has not begun with it.
    fn unsent(error: &ExchangeError) -> Self {
        let trouble = Self::from_exchange(error);
        Self { outcome: Outcome { executed: Executed::No, ..trouble.outcome }, ..trouble }
    }

    fn silent() -> Self {
        let message = "the host went silent: it acknowledges nothing any more".into();
        Self::transport(Status::Unavailable, Executed::Unknown, Cure::Time, message)
    }

    fn no_answer(what: &str) -> Self {
        let message = format!("what came is no answer: {what}");
        Self::transport(Status::Internal, Executed::Unknown, Cure::Elsewhere, message)
    }

    fn answer(head: &AnswerHead<'_>, value: Option<Bytes>, listed: bool) -> Self {
        let outcome = Outcome::answered(head.status, head.executed, head.retry_after_ms, listed);
        let kind = match head.status {
            Status::DeadlineExceeded => FailureKind::Timeout,
            _ => FailureKind::Answer,
        };
        let message = printable(head.message.unwrap_or_default());
        Self {
            kind,
            outcome,
            message,
            value,
            is_answered: true,
            load: head.load,
            turned_away: false,
        }
    }

    /// The head of the answer had come, so its word on the execution counts.
    fn after(mut self, executed: Executed) -> Self {
        self.outcome.executed = executed;
        self
    }

    /// Nobody's answer will be shorter.
    fn too_long(len: u32, limit: u32) -> Self {
        let message = format!(
            "the answer has {len} bytes, over this client's limit of {limit} bytes; ask for less at \
             once, or raise TransportLimits::frames"
        );
        Self::transport(Status::ResourceExhausted, Executed::Unknown, Cure::Nothing, message)
    }

    fn from_exchange(error: &ExchangeError) -> Self {
        let (status, cure) = match error {
            ExchangeError::Frame(FrameError::TooLong { len, limit, .. }) => {
                return Self::too_long(*len, *limit);
            }
            ExchangeError::ConnectionLost { reason, .. } => lost(reason),
            ExchangeError::Unavailable => (Status::Unavailable, Cure::Time),
            ExchangeError::Reset(_) => (Status::Unavailable, Cure::Time),
            _ => (Status::Internal, Cure::Elsewhere),
        };
        let executed = match error {
            // The host could not read the request, so it had none to execute.
            ExchangeError::Reset(StreamCode::Malformed) => Executed::No,
            error => error.executed(),
        };
        let turned_away = matches!(error, ExchangeError::Unavailable);
        Self { turned_away, ..Self::transport(status, executed, cure, chain(error)) }
    }

    fn happened(self, to: &Destination, phase: Phase, elapsed: Duration) -> Failed {
        let Self { kind, outcome, message, value, is_answered, load, .. } = self;
        let attempt = Attempt {
            address: to.address.to_string(),
            host: to.host.clone(),
            phase,
            status: outcome.status,
            executed: outcome.executed,
            message,
            elapsed,
        };
        Failed { attempt: Box::new(attempt), outcome, value, kind, is_answered, load, cause: None }
    }
}

impl From<ConnectFailure> for Trouble {
    fn from(failure: ConnectFailure) -> Self {
        let ConnectFailure { status, cure, message } = failure;
        let outcome = Outcome { status, executed: Executed::No, cure, retry_after: None };
        Self::unanswered(FailureKind::Connect, outcome, message)
    }
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Self {
        let (status, cure) = lost(&error.0);
        Self::transport(status, Executed::No, cure, chain(&error))
    }
}

impl From<ExchangeError> for Trouble {
    fn from(error: ExchangeError) -> Self {
        Self::from_exchange(&error)
    }
}

/// What a lost connection means for the next attempt.
fn lost(reason: &CloseReason) -> (Status, Cure) {
    match reason {
        CloseReason::CertificateRefused(_) => (Status::Unauthenticated, Cure::Elsewhere),
        _ => (Status::Unavailable, Cure::Time),
    }
}
