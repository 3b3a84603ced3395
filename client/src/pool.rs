//! Connections to hosts: one per address, dialled once however many calls wait for it.
//!
//! A connection leaves the pool when it is found broken, when it leads to another host than was
//! expected, when its address leaves the snapshot, when nobody used it for a while, or when there
//! are too many; calls that use it keep it until they end.
//! Dials are tasks of the pool, so a caller that gives up does not stop the dial of the others.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jackfield_transport::{CloseCode, Connection, DialError, Dialer, Role, chain};
use jackfield_wire::Status;
use jackfield_wire::metric::There;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::retry::Cure;
use crate::telemetry::Telemetry;

/// The connections of one client.
pub(crate) struct Pool {
    dialer: Dialer,
    telemetry: Arc<Telemetry>,
    keeping: Keeping,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Held to look up or replace one slot, never across an await.
    slots: Mutex<HashMap<SocketAddr, Slot>>,
}

/// A connection that can be used.
struct Ready {
    connection: Connection,
    made: Instant,
    used: Instant,
    /// Its host has said that it will close.
    draining: bool,
    _counted: There,
}

/// How long things are waited for and kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    /// For one connection to be made.
    pub(crate) connect_timeout: Duration,
    /// For a connection that nobody uses to be closed.
    pub(crate) idle: Duration,
    /// Addresses that are held at once.
    pub(crate) most: usize,
}

enum Slot {
    Dialing { outcome: watch::Receiver<Option<Dialed>>, since: Instant },
    Ready(Ready),
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
    pub(crate) fn new(dialer: Dialer, keeping: Keeping, stop: CancellationToken) -> Arc<Self> {
        let (tasks, slots) = (TaskTracker::new(), Mutex::default());
        let telemetry = Arc::new(Telemetry::new());
        let pool = Arc::new(Self { dialer, telemetry, keeping, tasks, stop, slots });
        let sweeping = pool.stop.clone().run_until_cancelled_owned(sweep(Arc::downgrade(&pool)));
        pool.tasks.spawn(sweeping);
        pool
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

    /// What its calls and connections report to.
    pub(crate) fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// What is known now of the addresses. Holds the pool's lock: never across an await.
    pub(crate) fn reach(&self) -> Reach<'_> {
        Reach { slots: self.lock(), now: Instant::now() }
    }

    /// The host at `address` will close: others are asked from now on, while there are any.
    pub(crate) fn draining(&self, address: SocketAddr) {
        if let Some(Slot::Ready(ready)) = self.lock().get_mut(&address) {
            ready.draining = true;
        }
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
            if let Slot::Ready(Ready { connection, .. }) = slot {
                connection.close(CloseCode::Done);
            }
        }
        self.dialer.shutdown().await;
    }

    /// The connection to `address`. An old one to another host than `host` is let go.
    fn kept(&self, address: SocketAddr, host: Option<&str>) -> Option<Connection> {
        let mut slots = self.lock();
        let (kept, made) = match slots.get_mut(&address) {
            Some(Slot::Ready(ready)) => {
                ready.used = Instant::now();
                (ready.connection.clone(), ready.made)
            }
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
        if let Some(Slot::Dialing { outcome, .. }) = slots.get(&address)
            && outcome.has_changed().is_ok()
        {
            return outcome.clone();
        }
        let (tell, outcome) = watch::channel(None);
        make_room(&mut slots, self.keeping.most);
        let since = Instant::now();
        slots.insert(address, Slot::Dialing { outcome: outcome.clone(), since });
        drop(slots);
        let (pool, stop) = (self.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let dial = pool.dial(address);
            if let Some(dialed) = stop.run_until_cancelled(dial).await {
                tell.send_replace(Some(dialed));
            }
        });
        outcome
    }

    async fn dial(&self, address: SocketAddr) -> Dialed {
        let dial = self.dialer.dial(address, Role::Host);
        let dialed = match timeout(self.keeping.connect_timeout, dial).await {
            Ok(dialed) => dialed.map_err(|error| ConnectFailure::dial(&error)),
            Err(_) => Err(ConnectFailure::slow(self.keeping.connect_timeout)),
        };
        self.telemetry.dialed(&dialed);
        let mut slots = self.lock();
        if matches!(slots.get(&address), Some(Slot::Dialing { .. })) {
            match &dialed {
                Ok(connection) => {
                    let ready = Slot::ready(connection.clone(), self.telemetry.connection());
                    slots.insert(address, ready);
                }
                Err(_) => _ = slots.remove(&address),
            }
        }
        drop(slots);
        dialed
    }

    /// Closes what nobody used for a while.
    fn drop_idle(&self) {
        let (now, idle) = (Instant::now(), self.keeping.idle);
        self.lock().retain(|_, slot| match slot {
            Slot::Ready(Ready { connection, used, .. }) => {
                !connection.is_closed() && now.duration_since(*used) < idle
            }
            Slot::Dialing { .. } => true,
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn ready(connection: Connection, counted: There) -> Self {
        let now = Instant::now();
        let draining = false;
        Self::Ready(Ready { connection, made: now, used: now, draining, _counted: counted })
    }
}

/// Looks after the idle connections for as long as there is a pool.
async fn sweep(pool: Weak<Pool>) {
    let mut tick = Duration::ZERO;
    while let Some(pool) = pool.upgrade() {
        if !tick.is_zero() {
            pool.drop_idle();
        }
        tick = (pool.keeping.idle / 4).clamp(SHORTEST_SWEEP, LONGEST_SWEEP);
        drop(pool);
        tokio::time::sleep(tick).await;
    }
}

/// Lets go of the connection that was used least recently, if there are `most` slots.
fn make_room(slots: &mut HashMap<SocketAddr, Slot>, most: usize) {
    if slots.len() < most {
        return;
    }
    let worth = |slot: &Slot| match slot {
        Slot::Ready(Ready { used, .. }) => Some(*used),
        Slot::Dialing { .. } => None,
    };
    let least = slots.iter().filter_map(|(address, slot)| Some((worth(slot)?, *address))).min();
    if let Some((_, address)) = least {
        slots.remove(&address);
    }
}

fn leads_to(connection: &Connection, host: &str) -> bool {
    connection.peer().id.name() == host
}

impl Reach<'_> {
    /// Whether others are the better bet: the connection to `address` takes long to make, it does not
    /// answer any more, or it has said that it will close. Who could not be connected to is for
    /// [`crate::ejection`] to remember.
    pub(crate) fn is_down(&self, address: SocketAddr) -> bool {
        match self.slots.get(&address) {
            Some(Slot::Dialing { since, .. }) => self.now.duration_since(*since) > SLOW_DIAL,
            // One that has ended says nothing of who is there now.
            Some(Slot::Ready(Ready { connection, draining, .. })) => {
                !connection.is_closed() && (*draining || connection.is_silent())
            }
            None => false,
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

/// How long a connection says who is at its address now. Longer would turn calls away from a host
/// that has just taken over an address, shorter would dial for each call of one that never will.
const NEW: Duration = Duration::from_secs(1);

/// A handshake takes two round trips; one that takes so long has lost packets, or nobody is there.
const SLOW_DIAL: Duration = Duration::from_millis(300);

/// Between looks at idle connections: often enough to keep the promise, not so often as to cost.
const SHORTEST_SWEEP: Duration = Duration::from_millis(10);
const LONGEST_SWEEP: Duration = Duration::from_secs(15);
