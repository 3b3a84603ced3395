//! One connection of a server: its handshake, its exchanges, its end.

use std::sync::Arc;

use quinn::{Incoming, RecvStream, SendStream, Side};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};

use super::{DrainReport, Phase, Serve, accept::Handshaking};
use crate::{
    CloseCode, CloseReason, Exchange, Peer, StreamCode, TransportLimits, dialer::peer_certificate,
    link::Link, tls,
};

/// A connection that is about to make its handshake.
pub(super) struct Session<S> {
    pub(super) serve: Arc<S>,
    pub(super) limits: TransportLimits,
    pub(super) phases: watch::Receiver<Phase>,
    pub(super) handshake: Handshaking,
}

impl<S: Serve> Session<S> {
    pub(super) async fn run(self, incoming: Incoming) -> DrainReport {
        let address = incoming.remote_address();
        let Some(connection) = shake_hands(incoming, &self.limits).await else {
            return DrainReport::default();
        };
        drop(self.handshake);
        let id = peer_certificate(&connection).and_then(|leaf| tls::peer_id(&leaf).ok());
        let Some(id) = id else {
            // The verifier has seen the same certificate and accepted it.
            tracing::error!(%address, "verified certificate without a name");
            return DrainReport::default();
        };
        let peer = Peer { id, address };
        tracing::debug!(peer = %peer.id, %address, "connected");
        let session = Arc::new(self.serve.connected(&peer));
        let link = Arc::new(Link::new(peer, self.limits, Side::Server));
        let open = Open {
            serve: self.serve,
            session,
            link,
            connection,
            exchanges: JoinSet::new(),
            taken: 0,
        };
        open.run(self.phases).await
    }
}

async fn shake_hands(incoming: Incoming, limits: &TransportLimits) -> Option<quinn::Connection> {
    let address = incoming.remote_address();
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(error) => {
            tracing::info!(%address, %error, "handshake failed");
            return None;
        }
    };
    match timeout(limits.handshake_timeout, connecting).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            let error = error.to_string();
            tracing::info!(%address, error = tls::readable(&error), "handshake failed");
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
    /// How many exchanges were handed to the handler; the peer's later ones never were.
    taken: u64,
}

impl<S: Serve> Open<S> {
    async fn run(mut self, mut phases: watch::Receiver<Phase>) -> DrainReport {
        loop {
            let phase = *phases.borrow_and_update();
            if let Phase::Closing(deadline) = phase {
                return self.drain(deadline).await;
            }
            tokio::select! {
                stream = self.connection.accept_bi() => match stream {
                    Ok(stream) if phase == Phase::Serving => self.take(stream),
                    Ok(stream) => refuse(stream),
                    Err(error) => return self.lost(&error).await,
                },
                changed = phases.changed() => if changed.is_err() {
                    return DrainReport::default();
                },
            }
        }
    }

    fn take(&mut self, (sending, receiving): (SendStream, RecvStream)) {
        // Ended tasks are reaped here and not by waiting for them: that would wake this task once
        // more for every exchange.
        while let Some(ended) = self.exchanges.try_join_next() {
            self.ended(ended);
        }
        self.taken += 1;
        let exchange = Exchange::new(sending, receiving, self.link.clone());
        let (serve, session) = (self.serve.clone(), self.session.clone());
        self.exchanges.spawn(async move { serve.exchange(&session, exchange).await });
    }

    fn ended(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(peer = %self.link.peer.id, %error, "handler panicked");
        }
    }

    /// The peer is gone; handlers see it and end when they choose.
    async fn lost(mut self, error: &quinn::ConnectionError) -> DrainReport {
        let reason = CloseReason::from(error);
        tracing::debug!(peer = %self.link.peer.id, %reason, "disconnected");
        while let Some(ended) = self.exchanges.join_next().await {
            self.ended(ended);
        }
        DrainReport::default()
    }

    async fn drain(mut self, deadline: Instant) -> DrainReport {
        let mut report = DrainReport { connections: 1, ..DrainReport::default() };
        while !self.exchanges.is_empty() {
            tokio::select! {
                biased;
                Some(ended) = self.exchanges.join_next() => {
                    self.ended(ended);
                    report.finished += 1;
                }
                () = sleep_until(deadline) => {
                    report.cut_off = self.exchanges.len();
                    self.exchanges.shutdown().await;
                }
                Ok(stream) = self.connection.accept_bi() => refuse(stream),
            }
        }
        self.connection.close(CloseCode::ShuttingDown.varint(), &CloseReason::parting(self.taken));
        report
    }
}

/// Tells the peer that the exchange was not taken.
fn refuse((mut sending, mut receiving): (SendStream, RecvStream)) {
    // Errors say that the peer has ended the stream itself.
    let _closed = sending.reset(StreamCode::Unavailable.varint());
    let _closed = receiving.stop(StreamCode::Unavailable.varint());
}
