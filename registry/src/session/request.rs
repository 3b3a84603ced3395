//! One request: one message frame, then the end of the peer's side.

use std::time::Duration;

use jackfield_transport::{Exchange, ExchangeError};
use jackfield_wire::registry::Request;
use jackfield_wire::{FrameKind, from_cbor};
use tokio::time::timeout;

use crate::core::Refused;

/// No request came.
#[derive(Debug)]
pub(super) enum Unread {
    /// Something else came: the peer is told.
    Refused(Refused),
    /// There is nobody to tell.
    Gone,
}

/// Reads the request of a stream.
pub(super) async fn read(exchange: &mut Exchange) -> Result<Request, Unread> {
    match timeout(REQUEST_TIME, read_message(exchange)).await {
        Ok(request) => request,
        Err(_) => {
            let seconds = REQUEST_TIME.as_secs();
            Err(malformed(format!("no whole request came within {seconds} s")))
        }
    }
}

async fn read_message(exchange: &mut Exchange) -> Result<Request, Unread> {
    let frame = exchange.recv().await?;
    let frame = frame.ok_or_else(|| malformed("the stream ended without a request".into()))?;
    if frame.kind != FrameKind::Message {
        return Err(malformed(format!("a {:?} frame came, not a message", frame.kind)));
    }
    let request = from_cbor(&frame.payload).map_err(|error| malformed(error.to_string()))?;
    match exchange.recv().await? {
        None => Ok(request),
        Some(_) => Err(malformed("more than one frame came".into())),
    }
}

impl From<ExchangeError> for Unread {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Frame(error) => malformed(error.to_string()),
            _ => Self::Gone,
        }
    }
}

fn malformed(what: String) -> Unread {
    Unread::Refused(Refused::Malformed(what))
}

/// A registration of 1 MiB over a slow line takes less; a peer that drips bytes must not hold a
/// stream's memory for longer.
const REQUEST_TIME: Duration = Duration::from_secs(10);
