//! Making connections: one UDP socket per address family, shared by all of them.

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
};

use quinn::{ClientConfig, ConnectError, ConnectionError, Endpoint, EndpointConfig, TokioRuntime};
use rustls::pki_types::CertificateDer;

use crate::{
    CloseReason, Connection, Identity, Protocol, Role, TransportLimits,
    codes::{alert, is_about_certificate},
    tls,
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
        let transport = limits.dialling();
        let config = |expect| {
            let tls = tls::dialling(identity, protocol, expect)
                .map_err(|error| DialError::Tls(error.to_string()))?;
            let mut config = ClientConfig::new(Arc::new(tls));
            config.transport_config(transport.clone());
            Ok::<_, DialError>(config)
        };
        let [registry, host, client] = Role::ALL;
        let configs = [config(registry)?, config(host)?, config(client)?];
        Ok(Self { protocol, limits, configs, endpoints: Mutex::default() })
    }

    /// Connects to a server that must be of role `expect`. Put a timeout around it.
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
        let config = self.configs[expect as usize].clone();
        let connecting = self
            .endpoint(address)?
            .connect_with(config, address, SERVER_NAME)
            .map_err(|error| self.not_started(address, error))?;
        let quic = connecting.await.map_err(|error| self.failed(address, &error))?;
        let Some(id) = peer_certificate(&quic).and_then(|leaf| tls::peer_id(&leaf).ok()) else {
            return Err(DialError::PeerCertificate { address, what: "it has no name".into() });
        };
        Ok(Connection::new(quic, id, self.limits.clone()))
    }

    fn endpoint(&self, address: SocketAddr) -> Result<Endpoint, DialError> {
        let (slot, any): (_, SocketAddr) = match address {
            SocketAddr::V4(_) => (0, (Ipv4Addr::UNSPECIFIED, 0).into()),
            SocketAddr::V6(_) => (1, (Ipv6Addr::UNSPECIFIED, 0).into()),
        };
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = &endpoints[slot] {
            return Ok(endpoint.clone());
        }
        let endpoint =
            make_endpoint(any).map_err(|source| DialError::Socket { address, source })?;
        Ok(endpoints[slot].insert(endpoint).clone())
    }

    fn not_started(&self, address: SocketAddr, error: ConnectError) -> DialError {
        match error {
            ConnectError::EndpointStopping => {
                // Its socket failed; the next dial makes a new one.
                let slot = usize::from(address.is_ipv6());
                self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)[slot] = None;
                DialError::Socket { address, source: io::ErrorKind::BrokenPipe.into() }
            }
            ConnectError::InvalidRemoteAddress(_) => DialError::Address(address),
            other => DialError::Tls(other.to_string()),
        }
    }

    fn failed(&self, address: SocketAddr, error: &ConnectionError) -> DialError {
        let protocol = self.protocol;
        match error {
            ConnectionError::TimedOut => DialError::NoAnswer(address),
            ConnectionError::VersionMismatch => DialError::Protocol { address, protocol },
            ConnectionError::TransportError(error) => match alert(error.code) {
                Some(alert) if is_about_certificate(alert) => DialError::PeerCertificate {
                    address,
                    what: tls::readable(&error.reason).into(),
                },
                Some(NO_APPLICATION_PROTOCOL) => DialError::Protocol { address, protocol },
                _ => {
                    DialError::Failed { address, reason: CloseReason::Transport(error.to_string()) }
                }
            },
            ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
                Some(NO_APPLICATION_PROTOCOL) => DialError::Protocol { address, protocol },
                None if close.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED => {
                    DialError::Busy(address)
                }
                _ => DialError::Failed { address, reason: (error).into() },
            },
            other => DialError::Failed { address, reason: other.into() },
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

fn make_endpoint(any: SocketAddr) -> io::Result<Endpoint> {
    let socket = UdpSocket::bind(any)?;
    Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))
}

/// TLS wants one; nobody looks at it, and it is not sent.
const SERVER_NAME: &str = "jackfield";
/// The alert of RFC 7301.
const NO_APPLICATION_PROTOCOL: u8 = 120;
