//! Looks whether instances are there, by dialling them.
//!
//! Only where the core asks for it, which it does when very many fall silent at once. A wasm host is
//! there when it completes a handshake under the name that registered; anything else when it takes
//! a TCP connection. Nothing is sent. Ends when its registry does.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::{
    CloseCode, DialError, Dialer, Identity, Protocol, Role, TransportLimits,
};
use jackfield_wire::InstanceId;
use jackfield_wire::registry::Kind;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::core::{Found, Holder, LeaseId, Probe};
use crate::writer::{Ask, Mailbox};

/// The task's state.
pub(crate) struct Prober {
    asked: mpsc::UnboundedReceiver<Probe>,
    mailbox: Mailbox,
    dialer: Arc<Dialer>,
    looks: JoinSet<()>,
    queue: Queue,
}

/// Those who wait for their look, each once: the core asks again for whom nobody has looked at yet,
/// and where very many wait that is often.
#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<InstanceId>,
    probes: HashMap<InstanceId, Probe>,
}

impl Prober {
    /// A prober, which looks as `identity`.
    pub(crate) fn new(
        identity: &Identity,
        limits: TransportLimits,
        asked: mpsc::UnboundedReceiver<Probe>,
        mailbox: Mailbox,
    ) -> Result<Self, DialError> {
        let dialer = Arc::new(Dialer::new(identity, Protocol::Call, limits)?);
        Ok(Self { asked, mailbox, dialer, looks: JoinSet::new(), queue: Queue::default() })
    }

    /// Looks until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        _ = stop.run_until_cancelled(self.serve()).await;
        self.looks.shutdown().await;
        self.dialer.shutdown().await;
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
        let (dialer, mailbox) = (Arc::clone(&self.dialer), self.mailbox.clone());
        self.looks.spawn(async move {
            let found = look(&dialer, &probe).await;
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

async fn look(dialer: &Dialer, probe: &Probe) -> Found {
    let looked = async {
        match probe.kind {
            Kind::Plugin => host(dialer, probe).await,
            Kind::Endpoint => endpoint(&probe.address).await,
        }
    };
    timeout(PATIENCE, looked).await.unwrap_or(Found::Silence)
}

async fn host(dialer: &Dialer, probe: &Probe) -> Found {
    let Ok(address) = probe.address.parse() else { return Found::Nobody };
    match dialer.dial(address, Role::Host).await {
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

async fn endpoint(address: &str) -> Found {
    match TcpStream::connect(address).await {
        Ok(_) => Found::Alive,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Found::Nobody,
        Err(_) => Found::Silence,
    }
}

/// Looks that go on together: a fleet of 10,000 silent hosts is looked through in a quarter of an
/// hour at the worst, and nobody's network sees a flood.
const AT_ONCE: usize = 64;
/// A host that is there answers in far less.
const PATIENCE: Duration = Duration::from_secs(3);
/// A lease that no connection has: a look is not its host's word.
const NOBODYS: LeaseId = LeaseId(u64::MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fixture::{id, peer};

    fn probe(host: &str, address: &str) -> Probe {
        let (kind, address, owner) = (Kind::Endpoint, address.into(), peer(host));
        Probe { id: id("calc", host), kind, address, owner }
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
