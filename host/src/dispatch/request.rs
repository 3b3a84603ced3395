//! Reads a request within its limits: a head, then at most one frame of each kind of arguments.
//!
//! Nothing of a guest starts before the request is whole.

use std::time::Duration;

use bytes::Bytes;
use jackfield_transport::{Exchange, ExchangeError};
use jackfield_wire::{CallHead, Failure, FrameError, FrameKind, Status, from_cbor};

/// A whole request. Cheap to clone.
#[derive(Clone)]
pub(super) struct Request {
    head: Bytes,
    positional: Option<Bytes>,
    named: Option<Bytes>,
}

/// No request.
pub(super) enum ReadError {
    /// The caller is not there any more.
    Gone(ExchangeError),
    /// The caller is to be told what is wrong.
    Refused(Failure),
}

impl Request {
    /// A request that no stream brought.
    pub(super) fn new(head: Vec<u8>, positional: Option<Vec<u8>>, named: Option<Vec<u8>>) -> Self {
        Self {
            head: head.into(),
            positional: positional.map(Bytes::from),
            named: named.map(Bytes::from),
        }
    }

    /// Reads to the end of the caller's direction.
    pub(super) async fn read(exchange: &mut Exchange) -> Result<Self, ReadError> {
        let Some(head) = next(exchange).await? else {
            return Err(malformed("it is empty"));
        };
        if head.kind != FrameKind::Head {
            return Err(malformed("it does not begin with a head"));
        }
        let mut request = Self { head: head.payload, positional: None, named: None };
        while let Some(frame) = next(exchange).await? {
            let slot = match frame.kind {
                FrameKind::Positional => &mut request.positional,
                FrameKind::Named => &mut request.named,
                FrameKind::Head | FrameKind::Value | FrameKind::Message => {
                    return Err(malformed("a frame follows that is neither arguments"));
                }
            };
            if slot.replace(frame.payload).is_some() {
                return Err(malformed("it has arguments of one kind twice"));
            }
        }
        Ok(request)
    }

    /// What is asked for.
    pub(super) fn head(&self) -> Result<CallHead<'_>, Failure> {
        from_cbor(&self.head).map_err(|error| refusal(&error.to_string()))
    }

    /// Holds the arguments against the limit of the plugin that is called.
    pub(super) fn check_length(&self, limit: usize) -> Result<(), Failure> {
        let bytes = self.length();
        if bytes <= limit {
            return Ok(());
        }
        let text = format!(
            "the arguments have {bytes} bytes, this plugin's limit is {limit} bytes; pass less in \
             one call"
        );
        Err(Failure::not_executed(Status::InvalidArgument, text))
    }

    /// Bytes of the arguments.
    pub(super) fn length(&self) -> usize {
        [&self.positional, &self.named].into_iter().flatten().map(Bytes::len).sum()
    }

    /// Those by position and those by name, as below.
    pub(super) fn arguments(&self) -> (Option<&Bytes>, Option<&Bytes>) {
        (self.positional.as_ref(), self.named.as_ref())
    }

    /// JSON array.
    pub(super) fn positional(&self) -> Option<&[u8]> {
        self.positional.as_deref()
    }

    /// JSON object.
    pub(super) fn named(&self) -> Option<&[u8]> {
        self.named.as_deref()
    }
}

/// What a caller is told whose request did not end in time.
pub(super) fn too_slow(limit: Duration) -> Failure {
    let text = format!("the request was not whole {limit:?} after its stream began");
    Failure::not_executed(Status::DeadlineExceeded, text)
}

async fn next(exchange: &mut Exchange) -> Result<Option<jackfield_wire::Frame>, ReadError> {
    exchange.recv().await.map_err(|error| match error {
        ExchangeError::Frame(error @ FrameError::TooLong { .. }) => {
            ReadError::Refused(Failure::not_executed(
                Status::InvalidArgument,
                format!("{error}; pass less in one call"),
            ))
        }
        ExchangeError::Frame(error) => malformed(&error.to_string()),
        gone => ReadError::Gone(gone),
    })
}

fn malformed(what: &str) -> ReadError {
    ReadError::Refused(refusal(what))
}

fn refusal(what: &str) -> Failure {
    let text = format!("malformed request: {what}");
    Failure::not_executed(Status::InvalidArgument, text)
}
