//! Looks whether instances are there, by dialling them.
//!
//! Only where the core asks for it, which it does when very many fall silent at once. A wasm host is
//! there when it completes a handshake under the name that registered; anything else when it takes
//! a TCP connection. Nothing is sent. Ends when its registry does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::{
    CloseCode, DialError, Dialer, Identity, Protocol, Role, TransportLimits,
};
use jackfield_wire::registry::Kind;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
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
        Ok(Self { asked, mailbox, dialer, looks: JoinSet::new() })
    }

    /// Looks until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        _ = stop.run_until_cancelled(self.serve(at_once)).await;
        self.looks.shutdown().await;
        self.dialer.shutdown().await;
    }

    async fn serve(&mut self, at_once: Arc<Semaphore>) {
        while let Some(probe) = self.asked.recv().await {
            let turn = Arc::clone(&at_once).acquire_owned().await.expect("it is never closed");
            while self.looks.try_join_next().is_some() {}
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
                drop(turn);
            });
        }
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
