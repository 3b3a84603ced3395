//! What peers say, stream by stream: one request in, one answer out, or a watch.
//!
//! A malformed request costs its stream and nothing else. A session ends with its connection; the
//! drop of a host's session is what makes its instances suspect.

mod rates;
mod request;
mod watch;
mod watches;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jackfield_transport::{Exchange, Operators, Peer, Role, Serve};
use jackfield_wire::registry::{LeaseTerms, ListQuery, Refusal, Reply, Request, Revision};
use jackfield_wire::{FrameKind, Status, to_cbor};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::core::{Holder, LeaseId, Refused};
use crate::session::rates::Rate;
use crate::session::request::Unread;
use crate::status::Refusals;
use crate::writer::{Ask, Done, Mailbox, View};

pub(crate) use rates::Rates;
pub(crate) use watches::Watches;

/// Serves every connection of a registry.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) view: Arc<View>,
    pub(crate) mailbox: Mailbox,
    pub(crate) terms: LeaseTerms,
    pub(crate) watches: Arc<Watches>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) operators: Operators,
    pub(crate) rates: Rates,
    /// The registry is shutting down.
    pub(crate) stopping: CancellationToken,
    pub(crate) next_lease: AtomicU64,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    holder: Arc<Holder>,
    rate: Rate,
    mailbox: Mailbox,
    stopping: CancellationToken,
}

impl Serve for Sessions {
    type Session = Session;

    fn connected(&self, peer: &Peer) -> Session {
        let lease = LeaseId::nth(self.next_lease.fetch_add(1, Ordering::Relaxed));
        tracing::debug!(peer = %peer.id, address = %peer.address, "connected");
        Session {
            holder: Arc::new(Holder {
                lease,
                peer: peer.id.clone(),
                address: peer.address,
                operator: self.operators.include(&peer.id),
            }),
            rate: self.rates.of(&peer.id, self.view.read(|_, now| now)),
            mailbox: self.mailbox.clone(),
            stopping: self.stopping.clone(),
        }
    }

    async fn exchange(&self, session: &Arc<Session>, mut exchange: Exchange) {
        let request = request::read(&mut exchange).await.and_then(|request| {
            self.within_rate(session, &request).map_err(Unread::Refused)?;
            Ok(request)
        });
        let outcome = match request {
            Ok(Request::Watch(query)) => self.watch(session, &mut exchange, query).await,
            Ok(request) => self.answer(session, request).await.map(Some),
            Err(Unread::Refused(refused)) => Err(refused),
            Err(Unread::Gone) => return,
        };
        let reply = outcome.unwrap_or_else(|refused| Some(self.refuse(session, &refused)));
        let Some(reply) = reply else { return };
        // A peer that does not wait for the answer has its reasons; nothing is left to do.
        let _gone = exchange.send_last(&[(FrameKind::Message, &to_cbor(&reply))]).await;
    }
}

impl Sessions {
    fn within_rate(&self, session: &Session, request: &Request) -> Result<(), Refused> {
        let now = self.view.read(|_, now| now);
        if matches!(request, Request::Heartbeat(_)) {
            session.rate.heartbeat(now)?;
        }
        session.rate.request(now)
    }

    async fn answer(&self, session: &Session, request: Request) -> Result<Reply, Refused> {
        match request {
            Request::Register(instances) => {
                self.ask(session, Ask::Register(instances), "register").await
            }
            Request::Heartbeat(ids) => {
                self.ask(session, Ask::Heartbeat(ids), "send heartbeats").await
            }
            Request::Deregister(ids) if session.holder.operator => {
                for id in &ids {
                    tracing::info!(peer = %session.holder.peer, %id, "takes back");
                }
                self.pass_on(session, Ask::Deregister(ids)).await
            }
            Request::Deregister(ids) => self.ask(session, Ask::Deregister(ids), "deregister").await,
            Request::SetInstance(patch) => self.operate(session, Ask::Order(patch)).await,
            Request::SetService(patch) => self.operate(session, Ask::Set(patch)).await,
            Request::List(query) => self.list(session, &query).await,
            Request::Watch(_) => unreachable!("a watch is not one answer"),
        }
    }

    /// Only hosts hold instances.
    async fn ask(
        &self,
        session: &Session,
        ask: Ask,
        action: &'static str,
    ) -> Result<Reply, Refused> {
        let holder = &session.holder;
        if holder.peer.role() != Role::Host {
            return Err(Refused::NotAHost { peer: holder.peer.to_string(), action });
        }
        self.pass_on(session, ask).await
    }

    /// Only operators give orders; what they ordered is said in the log.
    async fn operate(&self, session: &Session, ask: Ask) -> Result<Reply, Refused> {
        let peer = &session.holder.peer;
        if !session.holder.operator {
            let how = self.operators.remedy(Role::Registry);
            return Err(Refused::NotAnOperator { peer: peer.to_string(), how });
        }
        tracing::info!(%peer, order = ?ask, "ordered");
        self.pass_on(session, ask).await
    }

    async fn pass_on(&self, session: &Session, ask: Ask) -> Result<Reply, Refused> {
        Ok(match session.mailbox.ask(&session.holder, ask).await? {
            Done::Registered => Reply::Registered(self.terms),
            Done::Alive(unknown) => Reply::Alive(unknown),
            Done::Deregistered(count) => Reply::Deregistered(count),
            Done::Ordered(order) => Reply::InstanceSet(order),
            Done::Set(settings) => Reply::ServiceSet(settings),
            Done::Noted => unreachable!("no peer says what a look has found"),
        })
    }

    /// At once, or when something of it changes, or when the time that the asker has is up.
    async fn list(&self, session: &Session, query: &ListQuery) -> Result<Reply, Refused> {
        if let (Some(since), Some(wait)) = (query.since, query.wait_ms) {
            let _place = self.watches.enter(&session.holder.peer)?;
            let wait = Duration::from_millis(wait.into()).min(LONGEST_POLL);
            if timeout(wait, self.changed_since(query, since)).await.is_err() {
                return Ok(Reply::Listed(self.view.read(|core, now| core.unchanged(now))));
            }
        }
        Ok(Reply::Listed(self.view.read(|core, now| core.list(now, query))))
    }

    /// Until something that `query` is about has changed after `since`, or the registry goes down.
    async fn changed_since(&self, query: &ListQuery, since: Revision) {
        let mut changes = self.view.changes();
        let changed = async {
            loop {
                changes.borrow_and_update();
                if self.view.read(|core, _| core.has_changed(query, since)) {
                    return;
                }
                // The view owns the sender: there is always a next change to wait for.
                _ = changes.changed().await;
            }
        };
        tokio::select! {
            () = changed => {}
            () = self.stopping.cancelled() => {}
        }
    }

    fn refuse(&self, session: &Session, refused: &Refused) -> Reply {
        self.refusals.count(refused);
        let peer = &session.holder.peer;
        if refused.status() == Status::PermissionDenied {
            tracing::warn!(%peer, address = %session.holder.address, %refused, "denied");
        } else {
            tracing::info!(%peer, %refused, "refused");
        }
        Reply::Refused(Refusal::from(refused))
    }
}

impl Drop for Session {
    /// At a shutdown it is the registry that leaves, and its hosts are as alive as before.
    fn drop(&mut self) {
        if self.holder.peer.role() == Role::Host && !self.stopping.is_cancelled() {
            self.mailbox.lost(&self.holder);
        }
    }
}

/// How long a poll may wait: well within the patience of what stands between peers.
const LONGEST_POLL: Duration = Duration::from_secs(60);
