//! One exchange: one bidirectional stream, a sequence of frames each way.
//!
//! An exchange that is dropped before both directions ended takes them down by reset and stop:
//! that is how a caller cancels, and how a handler that panics tells its caller.

use std::{array, fmt, future::Future, iter::Take, sync::Arc};

use bytes::Bytes;
use jackfield_wire::{Executed, Frame, FrameDecoder, FrameError, FrameKind, frame};
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, Side, StoppedError, WriteError};

use crate::{CloseReason, Peer, StreamCode, link::Link};

/// One stream of a connection, at either end.
pub struct Exchange {
    /// `None` only while this is dropped; see [`Link::keep`].
    sending: Option<SendStream>,
    receiving: RecvStream,
    decoder: FrameDecoder,
    /// What has come and was not decoded yet.
    chunks: Take<array::IntoIter<Bytes, CHUNKS>>,
    link: Arc<Link>,
    /// Bytes given to the stream: when there are any, the peer may have them.
    sent: usize,
    finished_sending: bool,
    finished_receiving: bool,
    malformed: bool,
}

impl Exchange {
    pub(crate) fn new(sending: SendStream, receiving: RecvStream, link: Arc<Link>) -> Self {
        link.opened();
        Self {
            decoder: FrameDecoder::new(link.frames),
            chunks: [const { Bytes::new() }; CHUNKS].into_iter().take(0),
            sending: Some(sending),
            receiving,
            link,
            sent: 0,
            finished_sending: false,
            finished_receiving: false,
            malformed: false,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.link.peer
    }

    /// Position of this exchange on its connection, from 0.
    pub fn index(&self) -> u64 {
        self.receiving.id().index()
    }

    /// The next frame, or `None` at the peer's regular end.
    ///
    /// Reading to that `None` costs nothing extra when the peer used
    /// [`send_last`](Self::send_last), and spares both sides a packet.
    ///
    /// # Errors
    /// See [`ExchangeError`]; the exchange is of no more use after one.
    ///
    /// # Cancel safety
    /// Cancel safe: no byte is lost.
    pub async fn recv(&mut self) -> Result<Option<Frame>, ExchangeError> {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => return Ok(Some(frame)),
                Ok(None) => {}
                Err(error) => return Err(self.broken(error)),
            }
            if self.finished_receiving {
                return Ok(None);
            }
            if let Some(chunk) = self.chunks.next() {
                self.decoder.push(chunk);
                continue;
            }
            // Several at once: each look takes the lock of the connection, and the end of a short
            // stream comes with its bytes.
            let mut chunks = [const { Bytes::new() }; CHUNKS];
            match self.receiving.read_chunks(&mut chunks).await {
                Ok(Some(count)) => self.chunks = chunks.into_iter().take(count),
                Ok(None) => {
                    self.finished_receiving = true;
                    self.decoder.finish().map_err(|error| self.broken(error))?;
                }
                Err(error) => return Err(self.read_failed(error)),
            }
        }
    }

    /// Sends frames, as one write. Waits while the peer does not read.
    ///
    /// # Errors
    /// See [`ExchangeError`]. After an error [`recv`](Self::recv) may still hold an answer that
    /// the peer gave before it read everything.
    ///
    /// # Cancel safety
    /// Not cancel safe: a part of the frames may have been sent. Drop the exchange then.
    pub async fn send(&mut self, frames: &[(FrameKind, &[u8])]) -> Result<(), ExchangeError> {
        let Some(sending) = self.sending.as_mut().filter(|_| !self.finished_sending) else {
            return Err(ExchangeError::Ended);
        };
        let bytes = joined(frames);
        self.sent += bytes.len();
        match sending.write_chunk(bytes).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.write_failed(error)),
        }
    }

    /// Sends the last frames, as one write with the end of this direction.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Not cancel safe: drop the exchange.
    pub async fn send_last(&mut self, frames: &[(FrameKind, &[u8])]) -> Result<(), ExchangeError> {
        self.send(frames).await?;
        // An error says that the peer stopped reading: whoever waits for its answer will see why.
        let _stopped = self.sending.as_mut().map(SendStream::finish);
        self.finished_sending = true;
        Ok(())
    }

    /// Resolves when nobody waits for what this side sends any more: the peer dropped its end, or
    /// the connection is gone. Stays pending otherwise; after [`send_last`](Self::send_last) it
    /// resolves too, once everything was delivered.
    ///
    /// The future is independent of the exchange, so a guest can run between the two.
    ///
    /// # Cost
    /// One lock and one map entry of the connection; ask only while something long runs.
    pub fn cancelled(&self) -> impl Future<Output = Cancelled> + Send + 'static + use<> {
        let stopped = self.sending.as_ref().map(SendStream::stopped);
        let link = self.link.clone();
        async move {
            match stopped {
                Some(stopped) => Cancelled::of(stopped.await, &link),
                None => Cancelled::Finished,
            }
        }
    }

    /// Tells the peer that this exchange was not taken: nothing was executed, elsewhere it may
    /// work.
    pub fn refuse(mut self) {
        self.abandon(StreamCode::Unavailable);
    }

    /// Ends what has not ended yet, with a reason.
    fn abandon(&mut self, code: StreamCode) {
        // Errors say that the direction is closed already, which is what is asked for.
        if !self.finished_sending
            && let Some(sending) = self.sending.as_mut()
        {
            let _closed = sending.reset(code.varint());
        }
        if !self.finished_receiving {
            let code = if self.finished_sending { StreamCode::NotNeeded } else { code };
            let _closed = self.receiving.stop(code.varint());
        }
        self.finished_sending = true;
        self.finished_receiving = true;
    }

    fn broken(&mut self, error: FrameError) -> ExchangeError {
        self.malformed = true;
        ExchangeError::Frame(error)
    }

    fn read_failed(&self, error: ReadError) -> ExchangeError {
        match error {
            ReadError::Reset(code) => self.ended_by(StreamCode::from_varint(code)),
            ReadError::ConnectionLost(error) => self.lost(&error),
            ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => ExchangeError::Ended,
        }
    }

    fn write_failed(&self, error: WriteError) -> ExchangeError {
        match error {
            WriteError::Stopped(code) => self.ended_by(StreamCode::from_varint(code)),
            WriteError::ConnectionLost(error) => self.lost(&error),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => ExchangeError::Ended,
        }
    }

    fn ended_by(&self, code: StreamCode) -> ExchangeError {
        self.link.count_broken_off();
        match code {
            StreamCode::Unavailable => ExchangeError::Unavailable,
            code => ExchangeError::Reset(code),
        }
    }

    fn lost(&self, error: &ConnectionError) -> ExchangeError {
        let reason = self.link.reason(error);
        let not_taken = self.sent == 0 || reason.before(self.index());
        let executed = if not_taken { Executed::No } else { Executed::Unknown };
        ExchangeError::ConnectionLost { reason, executed }
    }

    fn drop_code(&self) -> StreamCode {
        match self.link.side {
            _ if self.malformed => StreamCode::Malformed,
            Side::Client => StreamCode::Cancelled,
            Side::Server => StreamCode::Failed,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.link.ended();
        let finished = self.finished_sending;
        let code = self.drop_code();
        self.abandon(code);
        if finished && let Some(sending) = self.sending.take() {
            self.link.keep(sending, self.sent);
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("peer", self.peer()).field("index", &self.index()).finish()
    }
}

/// Why nobody waits for an answer any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The peer dropped its end.
    ByPeer(StreamCode),
    /// The connection is gone.
    ConnectionLost(CloseReason),
    /// Everything was sent and has arrived.
    Finished,
}

impl Cancelled {
    fn of(end: Result<Option<quinn::VarInt>, StoppedError>, link: &Link) -> Self {
        match end {
            Ok(Some(code)) => {
                link.count_broken_off();
                Self::ByPeer(StreamCode::from_varint(code))
            }
            Ok(None) | Err(StoppedError::ZeroRttRejected) => Self::Finished,
            Err(StoppedError::ConnectionLost(error)) => Self::ConnectionLost(link.reason(&error)),
        }
    }
}

/// An exchange that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// What arrived were not frames, or too long ones.
    #[error("malformed stream")]
    Frame(#[from] FrameError),
    /// The peer takes no new exchanges; another one may.
    #[error("the peer takes no new calls")]
    Unavailable,
    /// The peer ended the stream early.
    #[error("the peer ended the stream: {0}")]
    Reset(StreamCode),
    /// The connection broke.
    #[error("connection lost")]
    ConnectionLost {
        /// How it ended.
        #[source]
        reason: CloseReason,
        /// `No` when the peer cannot have taken this exchange, otherwise `Unknown`.
        executed: Executed,
    },
    /// This side had ended the direction before: a mistake of the calling code.
    #[error("this direction of the stream has ended already")]
    Ended,
}

impl ExchangeError {
    /// Whether the peer can have executed the request, as far as this side of a call can tell.
    pub fn executed(&self) -> Executed {
        match self {
            Self::Unavailable => Executed::No,
            Self::ConnectionLost { executed, .. } => *executed,
            Self::Frame(_) | Self::Reset(_) | Self::Ended => Executed::Unknown,
        }
    }
}

fn joined(frames: &[(FrameKind, &[u8])]) -> Bytes {
    let len = frames.iter().map(|(_, payload)| PREFIX + payload.len()).sum();
    let mut out = Vec::with_capacity(len);
    for (kind, payload) in frames {
        frame::encode(*kind, payload, &mut out);
    }
    out.into()
}

/// Pieces of a stream that are taken at once. A short message comes in one, 64 KiB in some fifty.
const CHUNKS: usize = 8;

/// Bytes that a frame has before its payload; see [`jackfield_wire::frame`].
const PREFIX: usize = 5;
