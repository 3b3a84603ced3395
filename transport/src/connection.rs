//! A connection that this side dialled.
//!
//! It lives as long as one clone, or one exchange of it, does, unless either side closes it before.

use std::{fmt, sync::Arc};

use crate::{CloseCode, CloseReason, Exchange, Peer, link::Link};

/// A connection to a server. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    quic: quinn::Connection,
    link: Arc<Link>,
}

impl Connection {
    pub(crate) fn new(quic: quinn::Connection, link: Arc<Link>) -> Self {
        Self { quic, link }
    }

    /// Opens an exchange. Waits while the peer has as many open as it allows.
    ///
    /// # Errors
    /// When the connection is gone: nothing was sent.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn open(&self) -> Result<Exchange, OpenError> {
        match self.quic.open_bi().await {
            Ok((sending, receiving)) => Ok(Exchange::new(sending, receiving, self.link.clone())),
            Err(error) => Err(OpenError(self.link.reason(&error))),
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.link.peer
    }

    /// Whether it has ended, as far as its users and the task that watches over it have found: a
    /// moment after its end it may say no. Costs no lock.
    pub fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    /// Whether the peer has not acknowledged anything for half a second although it should have:
    /// it is stopped, overloaded or cut off. It may come back; the connection stays open until the
    /// idle timeout.
    pub fn is_silent(&self) -> bool {
        self.link.is_silent()
    }

    /// Waits until the peer is silent, as [`is_silent`](Self::is_silent) says.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn silence(&self) {
        let mut silence = self.link.silence();
        if silence.wait_for(|silent| *silent).await.is_err() {
            // The connection is gone; whoever uses it learns of that otherwise.
            std::future::pending::<()>().await;
        }
    }

    /// Waits for its end.
    pub async fn closed(&self) -> CloseReason {
        self.link.reason(&self.quic.closed().await)
    }

    /// Ends it at once; exchanges that still run fail.
    pub fn close(&self, code: CloseCode) {
        self.link.mark_closed();
        self.quic.close(code.varint(), &[]);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", self.peer()).finish_non_exhaustive()
    }
}

/// A connection that ended before an exchange could be opened: nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection lost before the call was sent")]
pub struct OpenError(#[source] pub CloseReason);
