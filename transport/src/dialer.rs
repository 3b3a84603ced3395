//! Making connections: one UDP socket per address family, shared by all of them.

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quinn::{
    ClientConfig, ConnectError, ConnectionError, Endpoint, EndpointConfig, Side, TransportErrorCode,
};
use rustls::pki_types::CertificateDer;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    CloseCode, CloseReason, Connection, Identity, Peer, Protocol, Role, TransportLimits,
    batches::Batches, codes::alert, limits, link::Link, probe, socket, tls,
};

/// Makes connections of one protocol, as one identity.
pub struct Dialer {
    protocol: Protocol,
    limits: TransportLimits,
    /// By the order of [`Role::ALL`].
    configs: [ClientConfig; 3],
    /// For IPv4 and IPv6, made when first needed. Held to look up or make one, never across an
    /// await.
    endpoints: Mutex<[Option<Endpoint>; 2]>,
    trust: Arc<tls::Trust>,
    batches: Batches,
    /// One task per connection that notices a dead peer; see [`crate::probe`]. Held to add one,
    /// never across an await.
    watches: Mutex<JoinSet<()>>,
}

impl Dialer {
    /// A dialer; it makes no socket yet.
    ///
    /// # Errors
    /// When TLS cannot be set up, which only a broken build does.
    pub fn new(
        identity: &Identity,
        protocol: Protocol,
        limits: TransportLimits,
    ) -> Result<Self, DialError> {
        let config = |expect| {
            let tls = tls::dialling(identity, protocol, expect)
                .map_err(|error| DialError::Tls(error.to_string()))?;
            Ok::<_, DialError>(ClientConfig::new(Arc::new(tls)))
        };
        let [registry, host, client] = Role::ALL;
        let configs = [config(registry)?, config(host)?, config(client)?];
        Ok(Self {
            protocol,
            limits,
            configs,
            endpoints: Mutex::default(),
            trust: identity.trust(),
            batches: Batches::default(),
            watches: Mutex::default(),
        })
    }

    /// Connects to a server that must be of role `expect`. Put a timeout around it.
    ///
    /// A closed port is known at once where the other machine says so by ICMP, as loopback always
    /// does ([`DialError::NobodyListens`]; QUIC itself would not notice, see `probe.rs`).
    /// Otherwise silence lasts until the caller's timeout, or the idle timeout
    /// ([`DialError::NoAnswer`]).
    ///
    /// The connection is usable as soon as this side is content; the server may still find fault
    /// with this side's certificate, which then shows at the first exchange, as
    /// [`CloseReason::CertificateRefused`] and not executed.
    ///
    /// # Errors
    /// See [`DialError`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn dial(&self, address: SocketAddr, expect: Role) -> Result<Connection, DialError> {
        let mut config = self.configs[expect as usize].clone();
        config.transport_config(self.limits.dialling(address.ip()));
        let connecting = self
            .endpoint(address)?
            .connect_with(config, address, SERVER_NAME)
            .map_err(|error| self.not_started(address, error))?;
        let quic = tokio::select! {
            biased;
            connected = connecting => connected.map_err(|error| self.failed(address, &error))?,
            () = probe::nobody_listens(address) => return Err(DialError::NobodyListens(address)),
        };
        self.connection(quic, address)
    }

    /// Closes every connection, running exchanges included, and waits until the servers know:
    /// a few round trips, at most half a second. Later dials make new sockets.
    pub async fn shutdown(&self) {
        let [v4, v6] = std::mem::take(&mut *locked(&self.endpoints));
        let both = async { tokio::join!(close(v4), close(v6)) };
        // A server that is silent for so long finds out by its idle timeout.
        let _silent = timeout(FAREWELL, both).await;
    }

    fn connection(
        &self,
        quic: quinn::Connection,
        address: SocketAddr,
    ) -> Result<Connection, DialError> {
        let nameless = || DialError::PeerCertificate { address, what: "it has no name".into() };
        let leaf = peer_certificate(&quic).ok_or_else(nameless)?;
        let id = tls::peer_id(&leaf).map_err(|_| nameless())?;
        let link = Link::new(Peer { id, address }, self.limits.frames, Side::Client);
        let link = Arc::new(link.in_batches(self.batches.clone()));
        let expires = self.trust.expires(&leaf);
        let watch = probe::watch(quic.clone(), Arc::downgrade(&link), probe::CLIENT_TICK, expires);
        let mut watches = locked(&self.watches);
        // Those whose connection has ended; they return nothing.
        while watches.try_join_next().is_some() {}
        link.watched_by(watches.spawn(watch));
        Ok(Connection::new(quic, link))
    }

    fn endpoint(&self, address: SocketAddr) -> Result<Endpoint, DialError> {
        let (slot, any): (_, SocketAddr) = match address {
            SocketAddr::V4(_) => (0, (Ipv4Addr::UNSPECIFIED, 0).into()),
            SocketAddr::V6(_) => (1, (Ipv6Addr::UNSPECIFIED, 0).into()),
        };
        let mut endpoints = locked(&self.endpoints);
        if let Some(endpoint) = &endpoints[slot] {
            return Ok(endpoint.clone());
        }
        let endpoint = make_endpoint(any, self.batches.clone())
            .map_err(|source| DialError::Socket { address, source })?;
        Ok(endpoints[slot].insert(endpoint).clone())
    }

    fn not_started(&self, address: SocketAddr, error: ConnectError) -> DialError {
        match error {
            ConnectError::EndpointStopping => {
                // Its socket failed; the next dial makes a new one.
                let slot = usize::from(address.is_ipv6());
                locked(&self.endpoints)[slot] = None;
                DialError::Socket { address, source: io::ErrorKind::BrokenPipe.into() }
            }
            ConnectError::InvalidRemoteAddress(_) => DialError::Address(address),
            other => DialError::Tls(other.to_string()),
        }
    }

    fn failed(&self, address: SocketAddr, error: &ConnectionError) -> DialError {
        let code = match error {
            ConnectionError::TransportError(error) => Some(error.code),
            ConnectionError::ConnectionClosed(close) => Some(close.error_code),
            _ => None,
        };
        if code == Some(TransportErrorCode::CONNECTION_REFUSED) {
            return DialError::Busy(address);
        }
        if code.and_then(alert) == Some(NO_APPLICATION_PROTOCOL) {
            return DialError::Protocol { address, protocol: self.protocol };
        }
        match CloseReason::from(error) {
            CloseReason::TimedOut => DialError::NoAnswer(address),
            CloseReason::CertificateRejected(what) => DialError::PeerCertificate { address, what },
            reason => DialError::Failed { address, reason },
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// No connection. Nothing was executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// This machine gave no socket; the source says why.
    #[error("no UDP socket to reach {address} from")]
    Socket {
        /// Where to.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// An address that cannot be dialled, such as one with port 0.
    #[error("{0} is not an address that can be dialled")]
    Address(SocketAddr),
    /// The machine is there and says that nothing listens. Known at once on loopback and in most
    /// networks; where ICMP is filtered it is [`NoAnswer`](Self::NoAnswer), later.
    #[error("nothing listens at {0}")]
    NobodyListens(SocketAddr),
    /// Nothing answered at all.
    #[error("no answer from {0}: nothing listens there, or packets are lost")]
    NoAnswer(SocketAddr),
    /// The server has as many connections as it takes, or shuts down. Later it may work.
    #[error("{0} takes no new connections now")]
    Busy(SocketAddr),
    /// The server's certificate is not acceptable to this side; the text says why.
    #[error("the certificate of {address} is not accepted: {what}")]
    PeerCertificate {
        /// Whose.
        address: SocketAddr,
        /// Why.
        what: String,
    },
    /// The server speaks something else, or another version.
    #[error("{address} does not speak {protocol}")]
    Protocol {
        /// Who.
        address: SocketAddr,
        /// What was asked for.
        protocol: Protocol,
    },
    /// The handshake failed otherwise.
    #[error("no connection to {address}")]
    Failed {
        /// Where to.
        address: SocketAddr,
        /// How it failed.
        #[source]
        reason: CloseReason,
    },
    /// TLS could not be set up: a broken build.
    #[error("TLS cannot be used: {0}")]
    Tls(String),
}

/// What the peer showed in its handshake, which the verifiers have accepted.
pub(crate) fn peer_certificate(connection: &quinn::Connection) -> Option<CertificateDer<'static>> {
    let shown = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    shown.into_iter().next()
}

/// Says goodbye on every connection, and waits until that was heard.
async fn close(endpoint: Option<Endpoint>) {
    let Some(endpoint) = endpoint else { return };
    endpoint.close(CloseCode::Done.varint(), &[]);
    endpoint.wait_idle().await;
}

fn make_endpoint(any: SocketAddr, batches: Batches) -> io::Result<Endpoint> {
    let mut config = EndpointConfig::default();
    limits::take_large_datagrams(&mut config);
    Endpoint::new(config, None, socket::bind(any)?, Arc::new(batches))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a shutdown waits for servers to hear of it. The word leaves at once; the wait is for one
/// repetition, should it be lost. quinn alone would wait for a silent server for 3 s, and every
/// command with a mistyped address would take as long to end.
const FAREWELL: Duration = Duration::from_millis(500);
/// TLS wants one; nobody looks at it, and it is not sent.
const SERVER_NAME: &str = "jackfield";
/// The alert of RFC 7301.
const NO_APPLICATION_PROTOCOL: u8 = 120;
