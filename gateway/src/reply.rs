//! Answers, whole in memory or made as they go, and the room that they take until they have been
//! sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::connection::{Busy, Unread};

/// An answer to a request.
pub(crate) type Reply = Response<Payload>;

/// The body of an answer. What was handed to the connection is no longer counted here, though it
/// may wait for a client that does not read.
pub(crate) struct Payload {
    content: Content,
    /// Given back when the last piece has been handed over, or when nobody wants it any more.
    _room: Option<Box<dyn Send>>,
}

enum Content {
    /// All there, handed over piece by piece.
    Whole {
        left: Bytes,
        /// Ends with the body.
        _unread: Option<Unread>,
    },
    Stream(Stream),
}

/// A body that comes into being while it is sent.
struct Stream {
    body: Pin<Box<dyn Body<Data = Bytes, Error = Infallible> + Send>>,
    /// When it is cut short.
    end: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The request, which is open for as long as this goes on.
    busy: Option<Busy>,
    /// What was handed over last, until the connection wants more.
    unread: Option<Unread>,
}

impl Payload {
    /// Holds `room` for as long as this lasts.
    pub(crate) fn hold(self, room: impl Send + 'static) -> Self {
        Self { _room: Some(Box::new(room)), ..self }
    }

    /// Tells its connection how far it has been sent.
    pub(crate) fn told(mut self, busy: Busy) -> Self {
        match &mut self.content {
            Content::Whole { _unread, .. } => *_unread = Some(busy.unread()),
            Content::Stream(stream) => stream.busy = Some(busy),
        }
        self
    }

    fn whole(left: Bytes) -> Self {
        Self { content: Content::Whole { left, _unread: None }, _room: None }
    }
}

impl Stream {
    /// The connection asks for more only when it has room: until then what it got is unread. A
    /// body that has nothing to say owes the client nothing.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.unread = None;
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let polled = self.body.as_mut().poll_frame(cx);
        if let Poll::Ready(Some(_)) = &polled {
            self.unread = self.busy.as_ref().map(Busy::unread);
        }
        polled
    }
}

/// An answer with this body.
pub(crate) fn with(code: StatusCode, content: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Payload::whole(body.into()));
    *reply.status_mut() = code;
    if !content.is_empty() {
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
    }
    reply
}

/// An answer whose body comes into being while it is sent, until `end` at the latest.
pub(crate) fn stream<B>(response: Response<B>, end: CancellationToken) -> Reply
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    response.map(|body| Payload {
        content: Content::Stream(Stream {
            body: Box::pin(body),
            end: Box::pin(end.cancelled_owned()),
            busy: None,
            unread: None,
        }),
        _room: None,
    })
}

/// `value` as JSON.
pub(crate) fn json(code: StatusCode, value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(json) => with(code, JSON, json),
        // Only a map whose keys are no strings has no JSON form, and nothing here has one.
        Err(error) => {
            tracing::error!(%error, "an answer has no JSON form");
            with(StatusCode::INTERNAL_SERVER_ERROR, "", Bytes::new())
        }
    }
}

/// The answer to `HEAD`: as long as the whole, and without it. hyper sees to that on HTTP/1 alone.
pub(crate) fn head(mut reply: Reply) -> Reply {
    if let Some(length) = reply.body().size_hint().exact() {
        reply.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    reply.map(|_| Payload::whole(Bytes::new()))
}

/// The type of what methods give.
pub(crate) const JSON: &str = "application/json";

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().content {
            Content::Whole { left, .. } => {
                let piece = left.split_to(left.len().min(PIECE));
                Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
            }
            Content::Stream(stream) => stream.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole { left, .. } => left.is_empty(),
            Content::Stream(stream) => stream.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole { left, .. } => SizeHint::with_exact(left.len() as u64),
            // It may be cut short.
            Content::Stream(_) => SizeHint::new(),
        }
    }
}

/// Bytes that are handed over at once. What is handed over has left the count of what is held, so
/// little; each costs a frame of HTTP/2, so not less than fills one.
pub(crate) const PIECE: usize = 16 << 10;
