//! Calls spread evenly over connections and services, for the curves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use jackfield_client::Client;
use peer_load::Peer;

/// Clients with a connection each, and services by turns.
#[derive(Clone)]
pub(crate) struct Spread(Arc<Inner>);

struct Inner {
    clients: Vec<Client>,
    targets: Vec<String>,
    turn: AtomicUsize,
}

impl Spread {
    /// `plan` is `CLIENTS:SERVICES`: so many connections straight to the host at `address`, and so
    /// many services, `p0` and on. Each connection has made a call when this returns.
    ///
    /// # Errors
    /// When the plan is none, or a client cannot be made or call.
    pub(crate) async fn connect(plan: &str, address: SocketAddr) -> Result<Self> {
        let (clients, services) = plan.split_once(':').context("CLIENTS:SERVICES")?;
        let (count, services): (usize, usize) = (clients.parse()?, services.parse()?);
        let targets: Vec<String> = (0..services).map(|n| format!("p{n}.greet")).collect();
        let mut clients = Vec::new();
        for _ in 0..count {
            let client = Client::builder().direct(address.to_string()).build().await?;
            client.call::<_, String>(targets.first().context("no service")?, ("Ada",)).await?;
            clients.push(client);
        }
        Ok(Self(Arc::new(Inner { clients, targets, turn: AtomicUsize::new(0) })))
    }
}

impl Peer for Spread {
    async fn greet(&self, name: &str) -> Result<usize> {
        let Inner { clients, targets, turn } = &*self.0;
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        let (client, target) = (&clients[turn % clients.len()], &targets[turn % targets.len()]);
        Ok(client.call::<_, String>(target, (name,)).await?.len())
    }

    async fn echo(&self, _bytes: &Bytes) -> Result<usize> {
        bail!("the curves over connections and services only greet")
    }
}
