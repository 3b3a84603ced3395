//! One watch on one registry, from the connection to its end.

use std::time::Duration;

use jackfield_transport::{Connection, DialError, Exchange, ExchangeError, OpenError, Role};
use jackfield_wire::registry::{ListQuery, Listing, Refusal, Reply, Request, WatchQuery};
use jackfield_wire::status::printable;
use jackfield_wire::{DecodeError, FrameKind, InstanceId, from_cbor, to_cbor};
use tokio::time::{Instant, timeout};

use super::Watcher;
use crate::place::ResolveError;
use crate::snapshot::Origin;
use crate::view::{Change, ViewError, size_of};

/// Why a watch ended. The next one may go elsewhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("it does not know every instance yet")]
    Gathering,
    #[error("it did not {what} within {within:.1?}")]
    Slow { what: &'static str, within: Duration },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the watch broke")]
    Exchange(#[from] ExchangeError),
    #[error("it refused")]
    Refused(#[source] Refusal),
    #[error("it ended the watch")]
    Ended,
    #[error("it sent what is no answer")]
    Garbage(#[from] DecodeError),
    #[error("it answered something else than it was asked")]
    OffTopic,
    #[error("its events do not fit")]
    View(#[from] ViewError),
    #[error("its watch fell silent although something changed")]
    Silent,
}

impl Watcher {
    /// Watches one registry until that ends, and says why it did.
    pub(super) async fn watch(&mut self, index: usize) -> WatchError {
        let ended = self.connect_and_watch(index).await;
        let Err(error) = ended else { return WatchError::Ended };
        if matches!(error, WatchError::View(_) | WatchError::Silent | WatchError::Garbage(_)) {
            self.view.distrust();
        }
        error
    }

    async fn connect_and_watch(&mut self, index: usize) -> Result<(), WatchError> {
        let connection = self.connect(index).await?;
        self.view.begin();
        let query = WatchQuery {
            resume: self.view.resume(),
            namespace: Some(self.settings.namespace.clone()),
            service: None,
        };
        let mut events = self.ask(&connection, &Request::Watch(query)).await?;
        let mut patience = self.settings.connect_timeout;
        let (mut partial_since, mut gathering_since) = (None, None);
        loop {
            match timeout(patience, reply(&mut events)).await {
                Ok(Ok(Some(Reply::Event(event)))) => {
                    let change = self.view.apply(event)?;
                    gathering_since = self.bear_with(gathering_since).await?;
                    self.publish(change);
                    partial_since = self.partial_since(partial_since)?;
                    if partial_since.is_none() {
                        self.heard_from(index);
                    }
                    patience = self.settings.refresh_interval;
                }
                Ok(Ok(Some(other))) => return Err(unexpected(other)),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    self.refresh(&connection).await?;
                    gathering_since = self.bear_with(gathering_since).await?;
                }
            }
            self.save_if_due().await;
        }
    }

    /// Since when a registry is made do with that does not know everyone: one that has just
    /// started, or that is cut off from its store and may stay so. The others are asked first, and
    /// again after a while.
    async fn bear_with(&mut self, since: Option<Instant>) -> Result<Option<Instant>, WatchError> {
        if self.view.is_partial() || self.view.origin() != Origin::Gathering {
            return Ok(None);
        }
        let Some(since) = since else {
            if self.failures.saturating_add(1) < self.rounds() {
                return Err(WatchError::Gathering);
            }
            self.fall_back_to_disk().await;
            return Ok(Some(Instant::now()));
        };
        if self.rounds() > 1 && since.elapsed() >= self.settings.refresh_interval {
            return Err(WatchError::Gathering);
        }
        Ok(Some(since))
    }

    /// Since when a set is being sent that is not whole yet. A registry that never completes one
    /// would otherwise keep the client from all others.
    fn partial_since(&self, since: Option<Instant>) -> Result<Option<Instant>, WatchError> {
        if !self.view.is_partial() {
            return Ok(None);
        }
        let since = since.unwrap_or_else(Instant::now);
        let within = self.settings.refresh_interval * WHOLE_SET;
        if since.elapsed() > within {
            return Err(WatchError::Slow { what: "complete its set", within });
        }
        Ok(Some(since))
    }

    fn heard_from(&mut self, index: usize) {
        if self.useful_since.is_none() {
            self.useful_since = Some(Instant::now());
            self.shared.connected(index);
        }
    }

    /// The first of the registry's addresses that answers.
    async fn connect(&self, index: usize) -> Result<Connection, WatchError> {
        let within = self.settings.connect_timeout;
        let slow = |what| move |_| WatchError::Slow { what, within };
        let resolver = &*self.settings.resolver;
        let lookup = timeout(within, self.settings.registries[index].resolve_by(resolver));
        let mut last = WatchError::Ended;
        for address in lookup.await.map_err(slow("look up its name"))?? {
            match timeout(within, self.dialer.dial(address, Role::Registry)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => last = error.into(),
                Err(elapsed) => last = slow("answer")(elapsed),
            }
        }
        Err(last)
    }

    async fn ask(
        &self,
        connection: &Connection,
        request: &Request,
    ) -> Result<Exchange, WatchError> {
        let within = self.settings.connect_timeout;
        let asking = async {
            let mut exchange = connection.open().await?;
            exchange.send_last(&[(FrameKind::Message, &to_cbor(request))]).await?;
            Ok(exchange)
        };
        timeout(within, asking)
            .await
            .unwrap_or(Err(WatchError::Slow { what: "take a request", within }))
    }

    /// The fallback for a watch that says nothing: everything, listed. When that shows a change,
    /// the watch is broken and starts anew.
    async fn refresh(&mut self, connection: &Connection) -> Result<(), WatchError> {
        let within = self.settings.refresh_interval.max(self.settings.connect_timeout);
        let listing = timeout(within, self.list(connection))
            .await
            .unwrap_or(Err(WatchError::Slow { what: "list its instances", within }))?;
        let missed = self.view.stands_at() != Some(listing.revision);
        let change = self.view.refresh(listing)?;
        self.publish(change);
        if missed || change == Change::Changed { Err(WatchError::Silent) } else { Ok(()) }
    }

    /// All parts of the list, under the revision of the first: what changes in between is told by
    /// the watch.
    async fn list(&self, connection: &Connection) -> Result<Listing, WatchError> {
        let mut whole = self.list_part(connection, None).await?;
        let mut size = size_of(&whole.instances);
        while whole.more && whole.instances.len() <= self.settings.max_instances {
            let Some(last) = whole.instances.last() else { break };
            let part = self.list_part(connection, Some(last.id.clone())).await?;
            whole.more = part.more && !part.instances.is_empty();
            size += size_of(&part.instances);
            self.view.check_size(size)?;
            whole.instances.extend(part.instances);
        }
        Ok(whole)
    }

    async fn list_part(
        &self,
        connection: &Connection,
        after: Option<InstanceId>,
    ) -> Result<Listing, WatchError> {
        let query = ListQuery {
            all: true,
            after,
            namespace: Some(self.settings.namespace.clone()),
            ..ListQuery::default()
        };
        let mut answer = self.ask(connection, &Request::List(query)).await?;
        match reply(&mut answer).await? {
            Some(Reply::Listed(part)) => Ok(part),
            Some(other) => Err(unexpected(other)),
            None => Err(WatchError::Ended),
        }
    }
}

async fn reply(exchange: &mut Exchange) -> Result<Option<Reply>, WatchError> {
    match exchange.recv().await? {
        None => Ok(None),
        Some(frame) if frame.kind == FrameKind::Message => Ok(Some(from_cbor(&frame.payload)?)),
        Some(_) => Err(WatchError::OffTopic),
    }
}

fn unexpected(reply: Reply) -> WatchError {
    match reply {
        Reply::Refused(Refusal { status, message }) => {
            WatchError::Refused(Refusal { status, message: printable(&message) })
        }
        _ => WatchError::OffTopic,
    }
}

/// How many refresh intervals a registry has to complete a set: a minute by default, which a slow
/// network needs for a very large one.
const WHOLE_SET: u32 = 4;
