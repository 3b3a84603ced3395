//! Looks whether instances are there, by dialling them.
//!
//! Only where the core asks for it, which it does when very many fall silent at once. A wasm host is
//! there when it completes a handshake under the name that registered; anything else when it takes
//! a TCP connection. Nothing is sent. Ends when its registry does.
//!
//! A host's name means what it means when it is looked up, so what it means is held against the same
//! rule as an address in a registration: nobody makes the registry dial its own machine, or the link
//! on which clouds serve credentials, by a name.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::{CloseCode, DialError, Dialer, Protocol, Role};
use jackfield_wire::InstanceId;
use jackfield_wire::registry::Kind;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::RegistryConfig;
use crate::core::{Found, Holder, LeaseId, Probe, may_be_dialled};
use crate::writer::{Ask, Mailbox};

/// The task's state.
pub(crate) struct Prober {
    asked: mpsc::UnboundedReceiver<Probe>,
    mailbox: Mailbox,
    eyes: Arc<Eyes>,
    looks: JoinSet<()>,
    queue: Queue,
}

/// What looks.
struct Eyes {
    dialer: Dialer,
    /// The registry is reached from its own machine only, so all who register are there.
    all_local: bool,
    /// Names that are being looked up, which nothing can stop: the system may take a minute for one.
    lookups: Arc<Semaphore>,
}

/// Those who wait for their look, each once: the core asks again for whom nobody has looked at yet,
/// and where very many wait that is often.
#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<InstanceId>,
    probes: HashMap<InstanceId, Probe>,
}

impl Prober {
    /// A prober, which looks as the registry of `config` does.
    pub(crate) fn new(
        config: &RegistryConfig,
        asked: mpsc::UnboundedReceiver<Probe>,
        mailbox: Mailbox,
    ) -> Result<Self, DialError> {
        let dialer = Dialer::new(&config.identity, Protocol::Call, config.limits.clone())?;
        let all_local = config.listen.ip().is_loopback();
        let lookups = Arc::new(Semaphore::new(LOOKUPS_AT_ONCE));
        let eyes = Arc::new(Eyes { dialer, all_local, lookups });
        Ok(Self { asked, mailbox, eyes, looks: JoinSet::new(), queue: Queue::default() })
    }

    /// Looks until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        _ = stop.run_until_cancelled(self.serve()).await;
        self.looks.shutdown().await;
        self.eyes.dialer.shutdown().await;
    }

    async fn serve(&mut self) {
        loop {
            tokio::select! {
                asked = self.asked.recv() => match asked {
                    Some(probe) => self.queue.push(probe),
                    None => return,
                },
                Some(_ended) = self.looks.join_next() => {}
            }
            while self.looks.len() < AT_ONCE
                && let Some(probe) = self.queue.pop()
            {
                self.begin(probe);
            }
        }
    }

    fn begin(&mut self, probe: Probe) {
        let (eyes, mailbox) = (Arc::clone(&self.eyes), self.mailbox.clone());
        self.looks.spawn(async move {
            let found = eyes.look(&probe).await;
            tracing::info!(id = %probe.id, address = probe.address, ?found, "looked");
            let ask = Ask::Probed(probe.id, found);
            let holder = Holder {
                lease: NOBODYS,
                peer: probe.owner,
                address: SocketAddr::from(([0; 4], 0)),
                operator: false,
            };
            // When it is not taken, the core asks again.
            let _again = mailbox.ask(&Arc::new(holder), ask).await;
        });
    }
}

impl Queue {
    /// What was asked last counts, in the place of what was asked first.
    fn push(&mut self, probe: Probe) {
        let id = probe.id.clone();
        if self.probes.insert(id.clone(), probe).is_none() {
            self.order.push_back(id);
        }
    }

    fn pop(&mut self) -> Option<Probe> {
        let id = self.order.pop_front()?;
        self.probes.remove(&id)
    }
}

impl Eyes {
    async fn look(&self, probe: &Probe) -> Found {
        let looked = async {
            match probe.kind {
                Kind::Plugin => self.host(probe).await,
                Kind::Endpoint => self.endpoint(&probe.address).await,
            }
        };
        timeout(PATIENCE, looked).await.unwrap_or(Found::Silence)
    }

    async fn host(&self, probe: &Probe) -> Found {
        let Ok(address) = probe.address.parse() else { return Found::Nobody };
        match self.dialer.dial(address, Role::Host).await {
            Ok(connection) => {
                let found = match connection.peer().id == probe.owner {
                    true => Found::Alive,
                    false => Found::Nobody,
                };
                connection.close(CloseCode::Done);
                found
            }
            Err(DialError::NobodyListens(_)) => Found::Nobody,
            Err(_) => Found::Silence,
        }
    }

    /// It is there when one of its addresses is, and nobody's when all say so.
    async fn endpoint(&self, address: &str) -> Found {
        let Some(addresses) = self.addresses(address).await else { return Found::Silence };
        let mut found = Found::Nobody;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(_) => return Found::Alive,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Err(_) => found = Found::Silence,
            }
        }
        found
    }

    /// Where it is: as it said when it registered, or what its name means now, as far as the
    /// registry may dial that. `None` when nobody could say what it means.
    async fn addresses(&self, text: &str) -> Option<Vec<SocketAddr>> {
        if let Ok(literal) = text.parse() {
            return Some(vec![literal]);
        }
        let place = Arc::clone(&self.lookups).acquire_owned().await.ok()?;
        let name = text.to_owned();
        // On its own thread to its end: the place is free again when the system has answered.
        let asked = tokio::task::spawn_blocking(move || {
            let found = name.to_socket_addrs().map(|all| all.take(MOST_ADDRESSES).collect());
            drop(place);
            found
        });
        let found: Vec<SocketAddr> = asked.await.ok()?.ok()?;
        let (may, may_not): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|address| may_be_dialled(address.ip(), self.all_local));
        if let Some(refused) = may_not.first() {
            tracing::warn!(name = text, %refused, "this name means what no registrant may mean");
        }
        Some(may)
    }
}

/// Looks that go on together: a fleet of 10,000 silent hosts is looked through in a quarter of an
/// hour at the worst, and nobody's network sees a flood.
const AT_ONCE: usize = 64;
/// Names looked up together, also those whose look was given up: a dead resolver must not take all
/// of the runtime's threads for blocking work, of which there are 512.
const LOOKUPS_AT_ONCE: usize = 16;
/// Addresses of one name that are dialled: what a name means is up to whoever answers for it.
const MOST_ADDRESSES: usize = 4;
/// A host that is there answers in far less.
const PATIENCE: Duration = Duration::from_secs(3);
/// A lease that no connection has: a look is not its host's word.
const NOBODYS: LeaseId = LeaseId(NonZeroU64::MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fixture::{id, peer};
    use jackfield_transport::{Identity, StateDir, TransportLimits};

    fn probe(host: &str, address: &str) -> Probe {
        let (kind, address, owner) = (Kind::Endpoint, address.into(), peer(host));
        Probe { id: id("calc", host), kind, address, owner }
    }

    fn eyes(all_local: bool) -> Eyes {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::resolve(Some(&dir.path().join("state"))).unwrap();
        let identity = Identity::local(&state, Role::Registry, "registry").unwrap();
        let dialer = Dialer::new(&identity, Protocol::Call, TransportLimits::default()).unwrap();
        Eyes { dialer, all_local, lookups: Arc::new(Semaphore::new(1)) }
    }

    #[tokio::test]
    async fn a_name_is_dialled_where_all_registrants_are_near_and_not_where_they_are_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        assert_eq!(eyes(true).look(&probe("a", &address)).await, Found::Alive);
        assert_eq!(eyes(false).look(&probe("a", &address)).await, Found::Nobody);
        drop(listener);
        assert_eq!(eyes(true).look(&probe("a", &address)).await, Found::Nobody);
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_silence() {
        assert_eq!(eyes(true).look(&probe("a", "nobody.invalid:1")).await, Found::Silence);
    }

    #[test]
    fn who_is_asked_for_again_while_waiting_is_looked_at_once_and_where_it_is_now() {
        let mut queue = Queue::default();
        for _ in 0..100 {
            queue.push(probe("a", "192.0.2.1:1"));
            queue.push(probe("b", "192.0.2.2:1"));
        }
        queue.push(probe("a", "192.0.2.9:1"));
        let looked: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(looked, [probe("a", "192.0.2.9:1"), probe("b", "192.0.2.2:1")]);
        queue.push(probe("a", "192.0.2.9:1"));
        assert!(queue.pop().is_some() && queue.pop().is_none());
    }
}
