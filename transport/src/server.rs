//! A server: one socket, an accept loop that only accepts, a task per connection, a task per
//! exchange. Each task belongs to the one before it, so dropping the [`Server`] ends them all.

mod accept;
mod session;
mod threads;
mod width;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use quinn::{Endpoint, EndpointConfig};
use quinn_proto::HashedConnectionIdGenerator;
use tokio::{
    sync::{OnceCell, watch},
    task::JoinSet,
    time::Instant,
};

use self::{accept::Acceptor, threads::Threads};
use crate::{
    CloseCode, Exchange, Identity, Peer, Protocol, TransportLimits, limits, socket, tasks::Tasks,
    tls,
};

/// What a server needs to start.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen; port 0 picks one.
    pub listen: SocketAddr,
    /// Who it is. Beyond loopback it must be one set up on purpose.
    pub identity: Identity,
    /// What it speaks.
    pub protocol: Protocol,
    /// Its bounds.
    pub limits: TransportLimits,
}

/// What a server does with its connections and exchanges.
pub trait Serve: Send + Sync + 'static {
    /// State of one connection; dropped when the connection is gone and its exchanges have ended.
    type Session: Send + Sync + 'static;

    /// A peer has connected and proved who it is.
    fn connected(&self, peer: &Peer) -> Self::Session;

    /// One exchange, in its own task. A panic ends this exchange only. It goes on when the
    /// connection is lost: see [`Exchange::cancelled`].
    fn exchange(
        &self,
        session: &Arc<Self::Session>,
        exchange: Exchange,
    ) -> impl Future<Output = ()> + Send;
}

/// A running server. Dropping it ends everything at once; [`shutdown`](Self::shutdown) is polite.
pub struct Server {
    local: SocketAddr,
    phase: watch::Sender<Phase>,
    /// Taken by the one who closes it. Held for that, never across an await.
    endpoint: Mutex<Option<Endpoint>>,
    /// Those of the endpoint, which holds the port.
    tasks: Tasks,
    /// The accept loop, which owns all other tasks. Held by the one who shuts down.
    main: tokio::sync::Mutex<JoinSet<DrainReport>>,
    report: OnceCell<DrainReport>,
}

impl Server {
    /// Starts a server; it listens when this returns. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the address is beyond loopback without an identity set up on purpose, or cannot be
    /// bound.
    pub fn spawn<S: Serve>(config: ServerConfig, serve: Arc<S>) -> Result<Self, BindError> {
        let address = config.listen;
        if !address.ip().to_canonical().is_loopback() && !config.identity.is_deliberate() {
            return Err(BindError::NotLoopback(address));
        }
        let failed = |source| BindError::from_io(address, source);
        let tasks = Tasks::default();
        let endpoint = bind(&config, &tasks)?;
        let local = endpoint.local_addr().map_err(failed)?;
        let threads = Threads::start(config.limits.threads, &tasks).map_err(failed)?;
        let (phase, phases) = watch::channel(Phase::Serving);
        let acceptor = Acceptor::new(
            (endpoint.clone(), threads),
            serve,
            config.limits,
            config.identity.trust(),
            phases,
        );
        let mut main = JoinSet::new();
        main.spawn(acceptor.run());
        Ok(Self {
            local,
            phase,
            endpoint: Mutex::new(Some(endpoint)),
            tasks,
            main: tokio::sync::Mutex::new(main),
            report: OnceCell::new(),
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Refuses new connections and new exchanges from now on, telling peers that nothing was
    /// executed; what runs goes on.
    pub fn stop_accepting(&self) {
        self.advance(Phase::Refusing);
    }

    /// Refuses what is new, lets exchanges run for `grace`, ends the rest, closes all connections
    /// and waits until peers know; then the port is free. A second caller waits for the same end
    /// and gets the same report.
    ///
    /// # Cancel safety
    /// Cancel safe: the shutdown goes on, another call waits for it.
    pub async fn shutdown(&self, grace: Duration) -> DrainReport {
        self.advance(Phase::Closing(Instant::now() + grace));
        let report = *self.report.get_or_init(|| self.drained()).await;
        self.close();
        self.tasks.ended().await;
        report
    }

    /// Closes what is still open. The endpoint ends when all of that has.
    fn close(&self) {
        let endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(endpoint) = endpoint {
            endpoint.close(CloseCode::ShuttingDown.varint(), &[]);
        }
    }

    async fn drained(&self) -> DrainReport {
        match self.main.lock().await.join_next().await {
            Some(Ok(report)) => report,
            // It ends by return only; a panic in it is a fault that the log shows.
            Some(Err(error)) => {
                tracing::error!(%error, "accept loop failed");
                DrainReport::default()
            }
            None => DrainReport::default(),
        }
    }

    /// Phases only go forward, and the first deadline holds.
    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = to.order() > phase.order();
            if forward {
                *phase = to;
            }
            forward
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

/// How far a server is on its way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    Refusing,
    /// Until when exchanges may run.
    Closing(Instant),
}

impl Phase {
    fn order(self) -> u8 {
        match self {
            Self::Serving => 0,
            Self::Refusing => 1,
            Self::Closing(_) => 2,
        }
    }
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections that were open.
    pub connections: usize,
    /// Exchanges that ran when the server stopped accepting, and ended by themselves in time.
    pub finished: usize,
    /// Exchanges that were cut off at its end.
    pub cut_off: usize,
}

impl DrainReport {
    pub(crate) fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.finished += other.finished;
        self.cut_off += other.cut_off;
    }
}

/// A server that could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Beyond loopback, other machines can connect: who they are must be decided on purpose.
    #[error(
        "{0} can be reached from other machines, which needs an identity set up on purpose: \
         listen on a loopback address such as 127.0.0.1, or give an identity directory"
    )]
    NotLoopback(SocketAddr),
    /// Another process has the port.
    #[error(
        "{0} is in use: stop the process that listens there, or choose another port (0 picks a free one)"
    )]
    InUse(SocketAddr),
    /// The operating system refused; the source says why.
    #[error("cannot listen on {address}")]
    Failed {
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// TLS could not be set up: a broken build.
    #[error("TLS cannot be used: {0}")]
    Tls(String),
}

impl BindError {
    fn from_io(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            _ => Self::Failed { address, source },
        }
    }
}

fn bind(config: &ServerConfig, tasks: &Tasks) -> Result<Endpoint, BindError> {
    let tls = tls::serving(&config.identity, config.protocol)
        .map_err(|error| BindError::Tls(error.to_string()))?;
    let mut quic = quinn::ServerConfig::with_crypto(Arc::new(tls));
    quic.transport_config(config.limits.serving(config.listen.ip()))
        .max_incoming(config.limits.handshakes);
    let failed = |source| BindError::from_io(config.listen, source);
    let socket = socket::bind(config.listen).map_err(failed)?;
    let local = socket.local_addr().map_err(failed)?;
    let own = endpoint_config(&config.identity, local);
    Endpoint::new(own, Some(quic), socket, Arc::new(tasks.clone())).map_err(failed)
}

/// Keys that outlive the process: after a crash and a restart at the same address, the server
/// recognises the packets of lost connections and resets them, so that clients need not wait for
/// a timeout. Bound to identity and address, because whoever shares the key can end the other's
/// connections (RFC 9000, 21.11).
fn endpoint_config(identity: &Identity, local: SocketAddr) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(identity.secret(&format!("reset at {local}"))));
    let tag = ring::hmac::sign(&identity.secret("connection ids"), local.to_string().as_bytes());
    let key = tag.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    limits::take_large_datagrams(&mut config);
    config
}
