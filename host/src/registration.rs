//! Catalog → registry: announces the services, keeps the lease alive, says goodbye.
//!
//! One connection to one registry at a time; when it is lost, the next of the list is tried, with
//! growing, jittered pauses. Serving never waits for any of this. Ends when told to, after the
//! services have been taken back.

mod instances;
mod metadata;
mod session;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::{Backoff, CloseCode, Connection, Dialer, Role, chain};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::event::HostEvent;
pub(crate) use instances::{HostPlace, cut};
pub use metadata::{InstanceMetadata, MetadataError};
use session::{Lost, Session};

/// What registration works with.
pub(crate) struct Registration {
    /// `HOST:PORT`; not empty.
    pub(crate) registries: Vec<String>,
    pub(crate) dialer: Dialer,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) place: HostPlace,
    pub(crate) events: broadcast::Sender<HostEvent>,
    pub(crate) link: watch::Sender<Link>,
}

/// How a host stands with registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It was told of none.
    Unwanted,
    /// None has taken its services so far.
    Never,
    /// One has them.
    Held,
    /// The one that had them cannot be reached.
    Lost,
}

impl Registration {
    /// Announces the catalog, and every change of it, until `stop`; then takes everything back.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let (mut failures, mut said) = (0, false);
        for registry in self.registries.iter().cycle() {
            let connected = stop.run_until_cancelled(connect(&self.dialer, registry));
            let lost = match connected.await {
                None => return,
                Some(Err(lost)) => lost,
                Some(Ok(connection)) => match self.serve(registry, &connection, &stop).await {
                    Ok(()) => return,
                    Err(End { lost, registered }) => {
                        if registered {
                            (failures, said) = (0, false);
                        }
                        lost
                    }
                },
            };
            self.say_lost(registry, &lost, &mut said);
            failures += 1;
            let pause = Backoff::RECONNECT.pause(failures, fastrand::u64(..));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Until `stop`, which is the regular end, or until the registry is lost.
    async fn serve(
        &self,
        registry: &str,
        connection: &Connection,
        stop: &CancellationToken,
    ) -> Result<(), End> {
        let mut session = Session::new(connection.clone());
        let kept = stop.run_until_cancelled(self.keep(registry, connection, &mut session)).await;
        if kept.is_none() {
            session.take_back().await;
        }
        connection.close(CloseCode::Done);
        match kept {
            None => Ok(()),
            Some(Err(lost)) => Err(End { lost, registered: session.is_registered() }),
            Some(Ok(never)) => match never {},
        }
    }

    /// Until the registry is lost.
    ///
    /// # Cancel safety
    /// May be dropped at any time: the session knows what there is to take back.
    async fn keep(
        &self,
        registry: &str,
        connection: &Connection,
        session: &mut Session,
    ) -> Result<Infallible, Lost> {
        let mut changes = self.catalog.changes();
        session.announce(self.place.instances(&self.catalog.now())).await?;
        self.say_registered(registry, session.len());
        loop {
            let beat = tokio::time::sleep(session.until_heartbeat());
            tokio::select! {
                biased;
                reason = connection.closed() => return Err(reason.into()),
                () = beat => session.heartbeat().await?,
                _ = changes.changed() => {
                    session.announce(self.place.instances(&self.catalog.now())).await?;
                }
            }
        }
    }

    fn say_registered(&self, registry: &str, services: usize) {
        tracing::info!(registry, services, "registered");
        self.link.send_replace(Link::Held);
        let event = HostEvent::Registered { registry: registry.into(), services };
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    /// Says it once for each outage, however many attempts that takes.
    fn say_lost(&self, registry: &str, lost: &Lost, said: &mut bool) {
        let reason = lost.to_string();
        self.link.send_if_modified(|link| {
            let was_held = *link == Link::Held;
            if was_held {
                *link = Link::Lost;
            }
            was_held
        });
        if std::mem::replace(said, true) {
            tracing::debug!(registry, "still not registered: {reason}");
            return;
        }
        tracing::warn!(
            registry,
            "not registered: {reason}; the host serves on and keeps trying; if no registry runs \
             there, start one with `jackfield registry`"
        );
        // Nobody has to listen.
        let _ = self.events.send(HostEvent::RegistryLost { registry: registry.into(), reason });
    }
}

/// How a time with a registry ended.
struct End {
    lost: Lost,
    registered: bool,
}

/// Connects to the first address of `registry` that answers.
async fn connect(dialer: &Dialer, registry: &str) -> Result<Connection, Lost> {
    let addresses = tokio::net::lookup_host(registry).await;
    let addresses: Vec<SocketAddr> = addresses.map_err(|e| Lost::new(chain(&e)))?.collect();
    let mut last = Lost::new(format!("{registry} has no address"));
    for address in addresses {
        let dialled = tokio::time::timeout(DIAL_TIMEOUT, dialer.dial(address, Role::Registry));
        match dialled.await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => last = Lost::new(chain(&error)),
            Err(_) => last = Lost::new(format!("no answer from {address} in {DIAL_TIMEOUT:?}")),
        }
    }
    Err(last)
}

/// A registry that has not answered by then does not run, or cannot be reached from here.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
