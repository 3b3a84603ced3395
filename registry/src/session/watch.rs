//! One watch: events as the core changes, a sign of life in silence.
//!
//! It ends when the peer drops it, when its connection is gone, when the peer does not read for
//! [`SEND_PATIENCE`], or, with a regular end of the stream, when the registry shuts down.

use std::time::Duration;

use jackfield_transport::{Exchange, ExchangeError};
use jackfield_wire::registry::{Reply, ReplyOf, WatchQuery};
use jackfield_wire::{FrameKind, to_cbor};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Session, Sessions};
use crate::core::{Event, Refused, Watcher};

impl Sessions {
    /// Serves a watch to its end; there is no answer left to send then.
    pub(super) async fn watch(
        &self,
        session: &Session,
        exchange: &mut Exchange,
        query: WatchQuery,
    ) -> Result<Option<Reply>, Refused> {
        let peer = &session.holder.peer;
        let _place = self.watches.enter(peer)?;
        match self.feed(Watcher::new(query), exchange).await {
            Ok(()) => {}
            Err(End::Stalled) => tracing::info!(%peer, "a watcher does not read: watch ended"),
            Err(End::Gone) => tracing::debug!(%peer, "watch ended by its peer"),
            Err(End::Behind(revision)) => return Err(Refused::Behind(revision)),
        }
        Ok(None)
    }

    /// Returns at the registry's shutdown.
    async fn feed(&self, mut watcher: Watcher, exchange: &mut Exchange) -> Result<(), End> {
        let mut changes = self.view.changes();
        let cut_off = self.view.cut_off();
        let cancelled = exchange.cancelled();
        tokio::pin!(cancelled, cut_off);
        let mut silent_until = Instant::now() + self.silence();
        loop {
            changes.borrow_and_update();
            while let Some(event) = self.view.read(|core, now| watcher.next(core, now)) {
                silent_until = send(exchange, event).await? + self.silence();
            }
            tokio::select! {
                // The view owns the sender: there is always a next change to wait for.
                _ = changes.changed() => {}
                // Another front end may know more. Whoever comes back is served: what is known here
                // is better than nothing.
                () = &mut cut_off => return Ok(exchange.send_last(&[]).await?),
                () = sleep_until(silent_until) => {
                    if let Some(revision) = self.view.read(|core, _| watcher.waits_for(core)) {
                        return Err(End::Behind(revision));
                    }
                    let event = self.view.read(|core, now| watcher.idle(core, now));
                    if let Some(event) = event {
                        silent_until = send(exchange, event).await? + self.silence();
                    }
                }
                _ = &mut cancelled => return Err(End::Gone),
                () = self.stopping.cancelled() => return Ok(exchange.send_last(&[]).await?),
            }
        }
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.terms.heartbeat_ms.into())
    }
}

/// Why a watch ended before the registry did.
#[derive(Debug)]
enum End {
    Gone,
    Stalled,
    /// A front end that knows less than its watcher.
    Behind(u64),
}

impl From<ExchangeError> for End {
    fn from(_: ExchangeError) -> Self {
        Self::Gone
    }
}

/// Sends one event; says when it was on its way.
async fn send(exchange: &mut Exchange, event: Event) -> Result<Instant, End> {
    let message = to_cbor(&ReplyOf::Event(event));
    let frames = [(FrameKind::Message, &message[..])];
    timeout(SEND_PATIENCE, exchange.send(&frames)).await.map_err(|_| End::Stalled)??;
    Ok(Instant::now())
}

/// How long a peer may leave an event unread. One that is only slow gets through in far less; one
/// that never reads would hold its event for ever.
const SEND_PATIENCE: Duration = Duration::from_secs(30);
