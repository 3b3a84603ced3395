//! Answers, whole in memory, and the room that they take until they have been sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::connection::Unread;

/// An answer to a request.
pub(crate) type Reply = Response<Whole>;

/// A body that is all there, and handed to the connection piece by piece: what was handed over is
/// no longer counted here, though it may wait for a client that does not read.
#[derive(Default)]
pub(crate) struct Whole {
    left: Bytes,
    /// Given back when the last piece has been handed over, or when nobody wants it any more.
    _room: Option<OwnedSemaphorePermit>,
    /// Ends with the body too.
    _unread: Option<Unread>,
}

impl Whole {
    /// Holds `room` for as long as this lasts.
    pub(crate) fn hold(self, room: OwnedSemaphorePermit) -> Self {
        Self { _room: Some(room), ..self }
    }

    /// Tells its connection when it has been sent.
    pub(crate) fn told(self, unread: Unread) -> Self {
        Self { _unread: Some(unread), ..self }
    }
}

/// An answer with this body.
pub(crate) fn with(code: StatusCode, content: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Whole { left: body.into(), ..Whole::default() });
    *reply.status_mut() = code;
    if !content.is_empty() {
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
    }
    reply
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
    let length = reply.body().left.len();
    reply.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    reply.map(|_| Whole::default())
}

/// The type of what methods give.
pub(crate) const JSON: &str = "application/json";

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = &mut self.get_mut().left;
        let piece = left.split_to(left.len().min(PIECE));
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

/// Bytes that are handed over at once. What is handed over has left the count of what is held, so
/// little; each costs a frame of HTTP/2, so not less than fills one.
pub(crate) const PIECE: usize = 16 << 10;
