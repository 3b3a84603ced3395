//! What all exchanges of one connection share.

use std::{net::SocketAddr, sync::Mutex};

use quinn::SendStream;

use crate::{PeerId, TransportLimits};

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The name in its certificate, verified.
    pub id: PeerId,
    /// Where it was when the connection was made.
    pub address: SocketAddr,
}

/// One connection, as its exchanges see it.
pub(crate) struct Link {
    pub(crate) peer: Peer,
    pub(crate) limits: TransportLimits,
    pub(crate) side: quinn::Side,
    /// Answers that were finished but perhaps not acknowledged; see [`Link::keep`].
    /// Held for a push or a swap, never across an await.
    unacknowledged: Mutex<Vec<SendStream>>,
}

impl Link {
    pub(crate) fn new(peer: Peer, limits: TransportLimits, side: quinn::Side) -> Self {
        Self { peer, limits, side, unacknowledged: Mutex::default() }
    }

    /// Keeps a finished answer until a shutdown has seen it arrive: closing a connection throws
    /// away what was not acknowledged.
    pub(crate) fn keep(&self, answer: SendStream) {
        self.answers().push(answer);
    }

    /// What [`keep`](Self::keep) kept.
    pub(crate) fn take_kept(&self) -> Vec<SendStream> {
        std::mem::take(&mut *self.answers())
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Vec<SendStream>> {
        self.unacknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
