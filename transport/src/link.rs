//! What all exchanges of one connection share.

use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Waker},
};

use jackfield_wire::FrameLimits;
use quinn::{ConnectionError, SendStream, Side};
use tokio::{sync::watch, task::AbortHandle};

use crate::{CloseReason, PeerId, batches::Batches};

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
    pub(crate) frames: FrameLimits,
    pub(crate) side: Side,
    /// Those of the dialer that made it.
    batches: Option<Batches>,
    /// The task that watches over a dialled connection; it holds the connection open, so it ends
    /// with the last user of this link.
    watch: OnceLock<AbortHandle>,
    /// The server takes no new exchanges and will close.
    draining: AtomicBool,
    /// This side closed because nothing listens at the peer's address.
    gone: AtomicBool,
    /// It has ended, as whoever used it last or watches over it has found.
    closed: AtomicBool,
    /// The peer has not answered anything for a while.
    silent: watch::Sender<bool>,
    /// Exchanges that the peer broke off since the last look.
    broken_off: AtomicU32,
    /// Answers that were finished but perhaps not acknowledged; see [`Link::keep`].
    /// Held for a push or a swap, never across an await.
    unacknowledged: Mutex<Vec<SendStream>>,
}

impl Link {
    pub(crate) fn new(peer: Peer, frames: FrameLimits, side: Side) -> Self {
        Self {
            peer,
            frames,
            side,
            batches: None,
            watch: OnceLock::new(),
            draining: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            silent: watch::Sender::new(false),
            broken_off: AtomicU32::new(0),
            unacknowledged: Mutex::default(),
        }
    }

    /// Of a dialled connection.
    pub(crate) fn in_batches(mut self, batches: Batches) -> Self {
        self.batches = Some(batches);
        self
    }

    /// An exchange begins.
    pub(crate) fn opened(&self) {
        if let Some(batches) = &self.batches {
            batches.opened();
        }
    }

    /// It has ended.
    pub(crate) fn ended(&self) {
        if let Some(batches) = &self.batches {
            batches.ended();
        }
    }

    pub(crate) fn watched_by(&self, task: AbortHandle) {
        // A link is made and watched in one place, once.
        let _only_once = self.watch.set(task);
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The peer was found gone; the caller closes the connection.
    pub(crate) fn mark_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// It has ended.
    pub(crate) fn mark_closed(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether the peer owes a sign of life; told by the task that watches.
    pub(crate) fn mark_silent(&self, silent: bool) {
        self.silent.send_if_modified(|was| std::mem::replace(was, silent) != silent);
    }

    pub(crate) fn silence(&self) -> watch::Receiver<bool> {
        self.silent.subscribe()
    }

    pub(crate) fn is_silent(&self) -> bool {
        *self.silent.borrow()
    }

    /// How the connection ended.
    pub(crate) fn reason(&self, error: &ConnectionError) -> CloseReason {
        self.mark_closed();
        match error {
            ConnectionError::LocallyClosed if self.gone.load(Ordering::Relaxed) => {
                CloseReason::PeerGone
            }
            error => error.into(),
        }
    }

    pub(crate) fn count_broken_off(&self) {
        self.broken_off.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn take_broken_off(&self) -> u32 {
        self.broken_off.swap(0, Ordering::Relaxed)
    }

    /// Keeps a finished answer until a shutdown has seen it arrive, because closing a connection
    /// throws away what was not acknowledged.
    ///
    /// Only answers that end while the server drains, and long ones, are kept: short ones arrive
    /// while the shutdown lingers, and keeping every one would cost each call two more locks.
    pub(crate) fn keep(&self, answer: SendStream, sent: usize) {
        if self.side.is_server() && (sent > LONG || self.draining.load(Ordering::Relaxed)) {
            let mut answers = self.answers();
            answers.retain(is_unacknowledged);
            answers.push(answer);
        }
    }

    /// What [`keep`](Self::keep) kept.
    pub(crate) fn take_kept(&self) -> Vec<SendStream> {
        std::mem::take(&mut *self.answers())
    }

    fn answers(&self) -> MutexGuard<'_, Vec<SendStream>> {
        self.unacknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.get() {
            watch.abort();
        }
    }
}

fn is_unacknowledged(answer: &SendStream) -> bool {
    pin!(answer.stopped()).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// An answer above this may still wait for flow control when its handler has ended.
const LONG: usize = 32 << 10;
