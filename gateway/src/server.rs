//! The server: it listens, hands connections over, and ends in order.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_client::Client;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{GatewayConfig, Reach};
use crate::connection::Connections;
use crate::routes::Desk;
use crate::telemetry::GatewayMonitor;

/// A running gateway. Dropped, it ends at once.
pub struct Gateway {
    local: SocketAddr,
    shared: Arc<Connections>,
}

/// A gateway that did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// It could be reached from other machines, and nobody said that it may. A gateway asks nobody
    /// who they are.
    #[error(
        "{0} can be reached from other machines, and a gateway lets everybody call who reaches it"
    )]
    NotLoopback(SocketAddr),
    /// Another process listens there.
    #[error("{0} is in use by another process")]
    InUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// How a gateway ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request was answered.
    Finished,
    /// Some were cut off when the time was over.
    CutOff,
}

impl Gateway {
    /// Listens, and answers with what `client` is told. Bound when it returns.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub async fn spawn(config: GatewayConfig, client: Client) -> Result<Self, SpawnError> {
        let address = config.listen;
        if config.reach == Reach::Loopback && !address.ip().is_loopback() {
            return Err(SpawnError::NotLoopback(address));
        }
        let listen = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => SpawnError::InUse(address),
            _ => SpawnError::Listen { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let local = listener.local_addr().map_err(listen)?;
        let (drain, kill) = (CancellationToken::new(), CancellationToken::new());
        let limits = config.limits.clone();
        let tasks = TaskTracker::new();
        let desk = Arc::new(Desk::new(config, client, tasks.clone(), drain.clone()));
        let shared = Arc::new(Connections { desk, limits, tasks, drain, kill });
        shared.tasks.spawn(accept(listener, shared.clone()));
        Ok(Self { local, shared })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What looks at it for probes.
    pub fn monitor(&self) -> GatewayMonitor {
        GatewayMonitor { shared: Arc::downgrade(&self.shared) }
    }

    /// Takes no more connections, lets requests finish for at most `grace`, then cuts them off.
    /// Returns when nothing runs any more, to a second caller too.
    ///
    /// # Cancel safety
    /// Cancelled, it goes on to drain, and cuts nothing off.
    pub async fn shutdown(&self, grace: Duration) -> Drained {
        let Connections { tasks, drain, kill, desk, .. } = &*self.shared;
        drain.cancel();
        desk.mcp.drain();
        tasks.close();
        let finished = tokio::time::timeout(grace, tasks.wait()).await.is_ok();
        kill.cancel();
        desk.mcp.end();
        tasks.wait().await;
        desk.mcp.ended().await;
        if finished { Drained::Finished } else { Drained::CutOff }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.drain.cancel();
        self.shared.kill.cancel();
        self.shared.desk.mcp.end();
    }
}

/// Only accepts: everything else happens in the connection's task.
async fn accept(listener: TcpListener, shared: Arc<Connections>) {
    let places = Arc::new(Semaphore::new(shared.limits.connections));
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.drain.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match places.clone().try_acquire_owned() {
                Ok(place) => {
                    let served = shared.clone();
                    shared.tasks.spawn(async move {
                        served.serve(stream, peer.ip()).await;
                        drop(place);
                    });
                }
                Err(_) => {
                    shared.desk.telemetry.refused();
                    refuse(stream);
                }
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Says in one write why it closes; whoever cannot take that much sees it closed.
fn refuse(stream: TcpStream) {
    tracing::debug!("too many connections");
    // Tokio does not try to write before it was told that there is room, which takes a while.
    let Ok(mut stream) = stream.into_std() else { return };
    _ = stream.write(
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
          Content-Type: text/plain\r\nContent-Length: 38\r\n\r\n\
          the gateway has too many connections\r\n",
    );
}

/// Without a pause, a process without file handles would do nothing but try.
const BREATH: Duration = Duration::from_millis(50);
