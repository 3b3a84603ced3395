//! One open console: server-sent events for as long as they are read.
//!
//! It ends when its connection does, or when the gateway ends. A viewer that does not read is cut off
//! by its connection, as whoever leaves any other answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use hyper::body::{Body, Frame};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::Console;
use super::network::Network;
use crate::config::ConsoleMode;
use crate::reply::{self, Reply};

/// Begins to tell; `last` is what the viewer was told before its connection broke.
pub(super) fn open(
    console: Arc<Console>,
    place: OwnedSemaphorePermit,
    last: Option<String>,
) -> Reply {
    // One event is ready while another is being sent. More would be a queue of what is old.
    let (sender, receiver) = mpsc::channel(1);
    let (tasks, drain) = (console.tasks.clone(), console.drain.clone());
    let viewer = Viewer::new(console, place, last);
    let end = drain.clone();
    tasks.spawn(async move {
        _ = end.run_until_cancelled(viewer.serve(sender)).await;
    });
    let mut response = Response::new(Events(receiver));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    reply::stream(response, drain)
}

/// The body: what is sent, until nobody sends any more.
struct Events(mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let received = self.get_mut().0.poll_recv(cx);
        received.map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}

struct Viewer {
    console: Arc<Console>,
    network: watch::Receiver<Option<Arc<Network>>>,
    pulse: watch::Receiver<Option<Bytes>>,
    /// The state that it has.
    sent: Option<Arc<Network>>,
    last: Option<String>,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    fn new(console: Arc<Console>, place: OwnedSemaphorePermit, last: Option<String>) -> Self {
        let (mut network, mut pulse) = (console.network.subscribe(), console.pulse.subscribe());
        network.mark_changed();
        pulse.mark_changed();
        console.viewers.send_modify(|count| *count += 1);
        Self { console, network, pulse, sent: None, last, _place: place }
    }

    /// Sends whatever is newest when there is room for it.
    async fn serve(mut self, sender: mpsc::Sender<Bytes>) {
        let hello = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "orders": self.console.mode == ConsoleMode::Orders,
        });
        let retry = RETRY.as_millis();
        let mut first = Some(format!("retry: {retry}\nevent: hello\ndata: {hello}\n\n").into());
        // It fails once nobody reads any more.
        while let Ok(room) = sender.reserve().await {
            let event = match first.take() {
                Some(event) => event,
                None => self.news().await,
            };
            room.send(event);
        }
    }

    /// What the viewer does not have yet.
    async fn news(&mut self) -> Bytes {
        loop {
            // Their senders live in the console, which this holds: waiting never fails.
            let event = tokio::select! {
                biased;
                _ = self.network.changed() => self.services(),
                _ = self.pulse.changed() => self.pulse.borrow_and_update().clone(),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    fn services(&mut self) -> Option<Bytes> {
        let newest = self.network.borrow_and_update().clone()?;
        let id = format!("{:08x}-{}", self.console.epoch, newest.number);
        let before = self.sent.replace(newest.clone());
        if before.is_none() && self.last.take().is_some_and(|last| last == id) {
            return None;
        }
        let data = newest.since(before.as_deref());
        Some(format!("id: {id}\nevent: services\ndata: {data}\n\n").into())
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.console.viewers.send_modify(|count| *count -= 1);
    }
}

/// After which a viewer whose connection broke comes again.
pub(super) const RETRY: Duration = Duration::from_secs(2);
