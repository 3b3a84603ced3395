//! Connections to hosts: one per address, dialled once however many calls wait for it.
//!
//! A connection leaves the pool when it is found broken, when it leads to another host than was
//! expected, or when its address leaves the snapshot; calls that use it keep it until they end.
//! Dials are tasks of the pool, so a caller that gives up does not stop the dial of the others.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jackfield_transport::{CloseCode, Connection, DialError, Dialer, Role};
use jackfield_wire::Status;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::chain::chain;
use crate::chance::Chance;
use crate::retry::Cure;

/// The connections of one client.
pub(crate) struct Pool {
    dialer: Dialer,
    connect_timeout: Duration,
    chance: Chance,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Held to look up or replace one slot, never across an await.
    slots: Mutex<HashMap<SocketAddr, Slot>>,
}

enum Slot {
    Dialing { outcome: watch::Receiver<Option<Dialed>>, failures: u32 },
    Ready { connection: Connection, made: Instant },
    Down { until: Instant, failures: u32 },
}

/// A look at the pool.
pub(crate) struct Reach<'a> {
    slots: MutexGuard<'a, HashMap<SocketAddr, Slot>>,
    now: Instant,
}

type Dialed = Result<Connection, ConnectFailure>;

/// No connection: the method did not run.
#[derive(Clone, Debug)]
pub(crate) struct ConnectFailure {
    pub(crate) status: Status,
    pub(crate) cure: Cure,
    pub(crate) message: String,
}

impl Pool {
    pub(crate) fn new(
        dialer: Dialer,
        connect_timeout: Duration,
        seed: u64,
        stop: CancellationToken,
    ) -> Self {
        let chance = Chance::seeded(seed);
        let (tasks, slots) = (TaskTracker::new(), Mutex::default());
        Self { dialer, connect_timeout, chance, tasks, stop, slots }
    }

    /// A connection to `address`, whose certificate names `host` if one is given.
    ///
    /// A kept connection to another host than that may be older than the registry's word, so it is
    /// replaced unless it is new: a host that is not where the registry says costs no more than
    /// that.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        address: SocketAddr,
        host: Option<&str>,
    ) -> Dialed {
        let connection = match self.kept(address, host) {
            Some(kept) => kept,
            None => self.dialed(address).await?,
        };
        match host {
            Some(host) if !leads_to(&connection, host) => {
                Err(ConnectFailure::wrong_host(&connection, host))
            }
            _ => Ok(connection),
        }
    }

    /// What is known now of the addresses. Holds the pool's lock: never across an await.
    pub(crate) fn reach(&self) -> Reach<'_> {
        Reach { slots: self.lock(), now: Instant::now() }
    }

    /// Forgets every address but those where somebody may serve.
    pub(crate) fn keep_only(&self, served: impl Iterator<Item = SocketAddr>) {
        let served: HashSet<_> = served.collect();
        self.lock().retain(|address, _| served.contains(address));
    }

    /// Closes every connection and waits until the dials have ended and the hosts were told.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        for (_, slot) in self.lock().drain() {
            if let Slot::Ready { connection, .. } = slot {
                connection.close(CloseCode::Done);
            }
        }
        self.dialer.shutdown().await;
    }

    /// The connection to `address`. An old one to another host than `host` is let go.
    fn kept(&self, address: SocketAddr, host: Option<&str>) -> Option<Connection> {
        let mut slots = self.lock();
        let (kept, made) = match slots.get(&address) {
            Some(Slot::Ready { connection, made }) => (connection.clone(), *made),
            _ => return None,
        };
        let is_outdated = host.is_some_and(|host| !leads_to(&kept, host)) && made.elapsed() >= NEW;
        if is_outdated {
            slots.remove(&address);
        }
        (!is_outdated && !kept.is_closed()).then_some(kept)
    }

    /// The outcome of the dial that runs, or of a new one.
    async fn dialed(self: &Arc<Self>, address: SocketAddr) -> Dialed {
        let mut outcome = self.dialing(address);
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(dialed)) => dialed.clone(),
            _ => Err(ConnectFailure::closed()),
        }
    }

    fn dialing(self: &Arc<Self>, address: SocketAddr) -> watch::Receiver<Option<Dialed>> {
        let mut slots = self.lock();
        let failures = match slots.get(&address) {
            Some(Slot::Dialing { outcome, .. }) if outcome.has_changed().is_ok() => {
                return outcome.clone();
            }
            Some(Slot::Dialing { failures, .. } | Slot::Down { failures, .. }) => *failures,
            Some(Slot::Ready { .. }) | None => 0,
        };
        let (tell, outcome) = watch::channel(None);
        slots.insert(address, Slot::Dialing { outcome: outcome.clone(), failures });
        drop(slots);
        let (pool, stop) = (self.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let dial = pool.dial(address, failures);
            if let Some(dialed) = stop.run_until_cancelled(dial).await {
                tell.send_replace(Some(dialed));
            }
        });
        outcome
    }

    async fn dial(&self, address: SocketAddr, failures: u32) -> Dialed {
        let dial = self.dialer.dial(address, Role::Host);
        let dialed = match timeout(self.connect_timeout, dial).await {
            Ok(dialed) => dialed.map_err(|error| ConnectFailure::dial(&error)),
            Err(_) => Err(ConnectFailure::slow(self.connect_timeout)),
        };
        let slot = match &dialed {
            Ok(connection) => Slot::Ready { connection: connection.clone(), made: Instant::now() },
            Err(_) => self.down_after(failures + 1),
        };
        let mut slots = self.lock();
        if matches!(slots.get(&address), Some(Slot::Dialing { .. })) {
            slots.insert(address, slot);
        }
        drop(slots);
        dialed
    }

    fn down_after(&self, failures: u32) -> Slot {
        let until = Instant::now()
            + AVOID.bound(failures) / 2
            + AVOID.pause(failures, self.chance.draw()) / 2;
        Slot::Down { until, failures }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn leads_to(connection: &Connection, host: &str) -> bool {
    connection.peer().id.name() == host
}

impl Reach<'_> {
    /// Whether `address` could not be reached a moment ago, and nobody has reached it since.
    pub(crate) fn is_down(&self, address: SocketAddr) -> bool {
        match self.slots.get(&address) {
            Some(Slot::Down { until, .. }) => *until > self.now,
            Some(Slot::Dialing { failures, .. }) => *failures > 0,
            Some(Slot::Ready { .. }) | None => false,
        }
    }
}

impl ConnectFailure {
    fn dial(error: &DialError) -> Self {
        let (status, cure) = match error {
            DialError::PeerCertificate { .. } => (Status::Unauthenticated, Cure::Elsewhere),
            DialError::Protocol { .. } | DialError::Address(_) | DialError::Tls(_) => {
                (Status::Unavailable, Cure::Elsewhere)
            }
            _ => (Status::Unavailable, Cure::Time),
        };
        Self { status, cure, message: chain(error) }
    }

    fn slow(limit: Duration) -> Self {
        let message = format!("it did not answer within {limit:.1?}");
        Self { status: Status::Unavailable, cure: Cure::Time, message }
    }

    fn wrong_host(connection: &Connection, expected: &str) -> Self {
        let found = &connection.peer().id;
        let expected = expected.escape_default();
        let message = format!(
            "the registry says that host {expected} is there, but its certificate names {found}; \
             nothing was sent"
        );
        Self { status: Status::Unauthenticated, cure: Cure::Elsewhere, message }
    }

    fn closed() -> Self {
        let message = "the client is closed".into();
        Self { status: Status::Unavailable, cure: Cure::Nothing, message }
    }
}

/// How long others are preferred to an address that could not be reached, at least half of it. The
/// first wait outlasts a burst of calls, the longest one is below a registry's usual TTL.
const AVOID: Backoff = Backoff { first: Duration::from_millis(500), most: Duration::from_secs(8) };

/// How long a connection says who is at its address now. Longer would turn calls away from a host
/// that has just taken over an address, shorter would dial for each call of one that never will.
const NEW: Duration = Duration::from_secs(1);
