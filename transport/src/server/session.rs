//! One connection of a server: its handshake, its exchanges, its end.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Waker},
    time::{Duration, SystemTime},
};

use quinn::{Incoming, RecvStream, SendStream, Side};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::{JoinError, JoinSet},
    time::{Instant, Sleep, sleep, sleep_until, timeout, timeout_at},
};

use super::{DrainReport, Phase, Serve, accept::Handshaking, width::Width};
use crate::{
    CloseCode, CloseReason, Exchange, Peer, StreamCode, TransportLimits,
    dialer::peer_certificate,
    link::Link,
    probe,
    tls::{self, Trust},
};

/// A connection that is about to make its handshake.
pub(super) struct Session<S> {
    pub(super) serve: Arc<S>,
    pub(super) limits: TransportLimits,
    pub(super) trust: Arc<Trust>,
    pub(super) phases: watch::Receiver<Phase>,
    pub(super) handshake: Handshaking,
}

impl<S: Serve> Session<S> {
    pub(super) async fn run(mut self, incoming: Incoming) -> DrainReport {
        let address = incoming.remote_address();
        // In a box, which is given back: what a handshake needs is most of what this task would hold
        // as long as the connection lasts.
        let handshake = Box::pin(shake_hands(incoming, self.limits.handshake_timeout));
        let connection = tokio::select! {
            connection = handshake => connection,
            _ = closing(&mut self.phases) => None,
        };
        let Some(connection) = connection else { return DrainReport::default() };
        drop(self.handshake);
        let leaf = peer_certificate(&connection);
        let Some((leaf, id)) = leaf.and_then(|leaf| tls::peer_id(&leaf).ok().map(|id| (leaf, id)))
        else {
            // The verifier has seen the same certificate and accepted it.
            tracing::error!(%address, "verified certificate without a name");
            return DrainReport::default();
        };
        let peer = Peer { id, address };
        tracing::debug!(peer = %peer.id, %address, "connected");
        let session = Arc::new(self.serve.connected(&peer));
        let link = Arc::new(Link::new(peer, self.limits.frames, Side::Server));
        // Notices a peer that died.
        let mut watch = JoinSet::new();
        if address.ip().to_canonical().is_loopback() {
            // Beyond, a translated address may refuse all but the sockets that it knows.
            let link = Arc::downgrade(&link);
            watch.spawn(probe::watch(connection.clone(), link, probe::SERVER_TICK, None));
        }
        let open = Open {
            serve: self.serve,
            session,
            link,
            connection,
            exchanges: JoinSet::new(),
            is_alone: Handle::current().metrics().num_workers() == 1,
            taken: 0,
            ran: None,
            flood: Flood::new(self.limits.reset_flood),
            width: Width::new(self.limits.streams),
        };
        let report = open.run(self.phases, remaining(self.trust.expires(&leaf))).await;
        // It holds the connection, and that the socket.
        watch.shutdown().await;
        report
    }
}

async fn shake_hands(incoming: Incoming, limit: Duration) -> Option<quinn::Connection> {
    let address = incoming.remote_address();
    let handshake = async { incoming.accept()?.await };
    match timeout(limit, handshake).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            let reason = CloseReason::from(&error);
            tracing::info!(%address, %reason, "handshake failed");
            None
        }
        Err(_) => {
            tracing::info!(%address, "handshake took too long");
            None
        }
    }
}

/// A connection in use.
struct Open<S: Serve> {
    serve: Arc<S>,
    session: Arc<S::Session>,
    link: Arc<Link>,
    connection: quinn::Connection,
    exchanges: JoinSet<()>,
    /// No other thread could run them meanwhile.
    is_alone: bool,
    /// How many exchanges were handed to the handler; the peer's later ones never were.
    taken: u64,
    /// How many exchanges ran when the server stopped to take new ones.
    ran: Option<usize>,
    flood: Flood,
    width: Width,
}

impl<S: Serve> Open<S> {
    async fn run(mut self, mut phases: watch::Receiver<Phase>, life: Sleep) -> DrainReport {
        let mut life = pin!(life);
        loop {
            let phase = *phases.borrow_and_update();
            if phase != Phase::Serving && self.ran.is_none() {
                self.link.drain();
                self.reap();
                self.ran = Some(self.exchanges.len());
            }
            if let Phase::Closing(deadline) = phase {
                // In a box, as its other end: a task has room for them all its life otherwise.
                return Box::pin(self.drain(deadline)).await;
            }
            tokio::select! {
                stream = self.connection.accept_bi() => match stream {
                    Ok(stream) if phase == Phase::Serving => self.take(stream),
                    Ok(stream) => refuse(stream),
                    Err(error) => return Box::pin(self.lost(&error, phases)).await,
                },
                changed = phases.changed() => if changed.is_err() {
                    return DrainReport::default();
                },
                () = expired(life.as_mut()) => self.close(CloseCode::CertificateExpired),
            }
        }
    }

    fn take(&mut self, (sending, receiving): (SendStream, RecvStream)) {
        // Ended tasks are reaped here and not by waiting for them: that would wake this task once
        // more for every exchange.
        self.reap();
        self.taken += 1;
        if self.flood.is_one(self.taken, &self.link) {
            tracing::warn!(peer = %self.link.peer.id, address = %self.link.peer.address,
                "connection closed: the peer opens exchanges only to reset them");
            return self.close(CloseCode::ResetFlood);
        }
        self.width.look(self.taken, self.exchanges.len(), &self.connection);
        let exchange = Exchange::new(sending, receiving, self.link.clone());
        let (serve, session) = (self.serve.clone(), self.session.clone());
        // In a box, because its state is large, and the runtime moves a task's state several times.
        let mut handler = Box::pin(async move { serve.exchange(&session, exchange).await });
        if !self.is_alone || !self.has_ended_at_once(handler.as_mut()) {
            self.exchanges.spawn(handler);
        }
    }

    /// Whether the handler ends when it is first looked at, as those of short calls do. Then it
    /// needs no task. It must be looked at again otherwise.
    fn has_ended_at_once(&self, handler: Pin<&mut impl Future<Output = ()>>) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        let poll = AssertUnwindSafe(|| handler.poll(&mut nobody).is_ready());
        catch_unwind(poll).unwrap_or_else(|_| {
            tracing::error!(peer = %self.link.peer.id, "handler panicked");
            true
        })
    }

    fn reap(&mut self) {
        while let Some(ended) = self.exchanges.try_join_next() {
            self.ended(ended);
        }
    }

    fn ended(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(peer = %self.link.peer.id, %error, "handler panicked");
        }
    }

    /// Ends the connection; the next look at its streams finds it lost.
    fn close(&self, code: CloseCode) {
        self.connection.close(code.varint(), &CloseReason::parting(self.taken));
    }

    /// The connection is gone; handlers see it and end when they choose, or with the server.
    async fn lost(
        mut self,
        error: &quinn::ConnectionError,
        mut phases: watch::Receiver<Phase>,
    ) -> DrainReport {
        let reason = self.link.reason(error);
        tracing::debug!(peer = %self.link.peer.id, %reason, "disconnected");
        let mut end = pin!(async move {
            if let Some(deadline) = closing(&mut phases).await {
                sleep_until(deadline).await;
            }
        });
        while !self.exchanges.is_empty() {
            tokio::select! {
                Some(ended) = self.exchanges.join_next() => self.ended(ended),
                () = &mut end => self.exchanges.shutdown().await,
            }
        }
        DrainReport::default()
    }

    async fn drain(mut self, deadline: Instant) -> DrainReport {
        let linger = Instant::now() + LINGER.max(4 * self.connection.rtt());
        let mut cut_off = 0;
        while !self.exchanges.is_empty() {
            tokio::select! {
                biased;
                Some(ended) = self.exchanges.join_next() => self.ended(ended),
                () = sleep_until(deadline) => {
                    cut_off += self.exchanges.len();
                    self.exchanges.shutdown().await;
                }
                Ok(stream) = self.connection.accept_bi() => refuse(stream),
            }
        }
        if self.taken > 0 {
            self.flush(linger, deadline.max(linger)).await;
        }
        self.close(CloseCode::ShuttingDown);
        let finished = self.ran.unwrap_or_default().saturating_sub(cut_off);
        DrainReport { connections: 1, finished, cut_off }
    }

    /// Lets finished answers arrive: at least until `linger`, the kept ones until `end`. New
    /// exchanges are refused meanwhile.
    async fn flush(&self, linger: Instant, end: Instant) {
        let arrive = async {
            for answer in self.link.take_kept() {
                // However it ended, it needs nothing more from this side.
                let _end = answer.stopped().await;
            }
            sleep_until(linger).await;
        };
        let turn_away = async {
            while let Ok(stream) = self.connection.accept_bi().await {
                refuse(stream);
            }
        };
        let both = async {
            tokio::select! {
                () = arrive => {}
                () = turn_away => {}
            }
        };
        // At the end of the grace time what is left is lost, as announced.
        let _timed_out = timeout_at(end, both).await;
    }
}

/// Waits for the server to close, and gives the end of its grace time; `None` when it is dropped.
async fn closing(phases: &mut watch::Receiver<Phase>) -> Option<Instant> {
    let phase = phases.wait_for(|phase| matches!(phase, Phase::Closing(_))).await.ok()?;
    match *phase {
        Phase::Closing(deadline) => Some(deadline),
        Phase::Serving | Phase::Refusing => None,
    }
}

/// Tells the peer that the exchange was not taken.
fn refuse((mut sending, mut receiving): (SendStream, RecvStream)) {
    // Errors say that the peer has ended the stream itself.
    let _closed = sending.reset(StreamCode::Unavailable.varint());
    let _closed = receiving.stop(StreamCode::Unavailable.varint());
}

/// Notices a peer that opens exchanges only to break them off.
struct Flood {
    /// Exchanges that are judged together; 0 for never.
    window: u32,
    since: Instant,
}

impl Flood {
    fn new(window: u32) -> Self {
        Self { window, since: Instant::now() }
    }

    /// Judged at the last exchange of each window, so that the others cost nothing.
    fn is_one(&mut self, taken: u64, link: &Link) -> bool {
        if self.window == 0 || !taken.is_multiple_of(u64::from(self.window)) {
            return false;
        }
        let since = std::mem::replace(&mut self.since, Instant::now());
        link.take_broken_off() > self.window / 2 && since.elapsed() < Duration::from_secs(1)
    }
}

/// Sleeps as long as a certificate is good. Nobody's is good for ever.
fn remaining(expires: Option<SystemTime>) -> Sleep {
    let left = expires.and_then(|at| at.duration_since(SystemTime::now()).ok());
    sleep(left.unwrap_or_default())
}

/// Resolves once, when the sleep is over.
async fn expired(life: Pin<&mut Sleep>) {
    if life.is_elapsed() {
        std::future::pending::<()>().await;
    }
    life.await;
}

/// How long answers that were finished before a shutdown began have to arrive: twice the 25 ms
/// within which peers acknowledge, for the answer and for one repetition.
const LINGER: Duration = Duration::from_millis(100);
