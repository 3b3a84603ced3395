//! One connection to one of several registries, for those who ask instead of watching.

use std::time::Duration;

use jackfield_transport::{
    CloseCode, Connection, DialError, Dialer, ExchangeError, Identity, OpenError, Protocol, Role,
    TransportLimits,
};
use jackfield_wire::registry::{Refusal, Reply, Request};
use jackfield_wire::status::printable;
use jackfield_wire::{DecodeError, FrameKind, Status, from_cbor, to_cbor};
use tokio::time::timeout;

use crate::place::{Place, PlaceError, ResolveError};

/// What a registry was asked for did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A registry is not `HOST:PORT`.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// No registry was named.
    #[error("no registry was named: name one, as HOST:PORT")]
    NoRegistry,
    /// The registry's name leads nowhere.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The registry cannot be reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It did not answer in time. What was asked may have been done.
    #[error("the registry {registry} did not answer within {within:.1?}")]
    Slow {
        /// Which.
        registry: String,
        /// How long it had.
        within: Duration,
    },
    /// The connection broke before there was an answer. What was asked may have been done.
    #[error("the connection to the registry broke")]
    Broken(#[source] ExchangeError),
    /// The connection was closed before the request was sent.
    #[error("the connection to the registry broke")]
    Open(#[from] OpenError),
    /// The registry says why it does not do this.
    #[error("the registry refused: {}", .0.message)]
    Refused(Refusal),
    /// It answered something that is no answer to this.
    #[error("the registry answered something else than it was asked")]
    OffTopic,
    /// It answered what cannot be read.
    #[error("the registry's answer cannot be read")]
    Garbage(#[from] DecodeError),
}

impl RegistryError {
    /// The kind of failure.
    pub fn status(&self) -> Status {
        match self {
            Self::Place(_) | Self::NoRegistry => Status::InvalidArgument,
            Self::Refused(refusal) => refusal.status,
            Self::OffTopic | Self::Garbage(_) => Status::Internal,
            _ => Status::Unavailable,
        }
    }
}

/// A connection to one of several registries.
#[derive(Debug)]
pub(crate) struct Asker {
    registry: String,
    pub(crate) connection: Connection,
    dialer: Dialer,
}

impl Asker {
    /// Connects to the first that answers.
    pub(crate) async fn connect(
        identity: &Identity,
        registries: &[Place],
    ) -> Result<Self, RegistryError> {
        let dialer = Dialer::new(identity, Protocol::Registry, TransportLimits::default())?;
        let mut last = RegistryError::NoRegistry;
        for registry in registries {
            match dial(&dialer, registry).await {
                Ok(connection) => {
                    return Ok(Self { registry: registry.to_string(), connection, dialer });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(crate) async fn ask(&self, request: &Request) -> Result<Reply, RegistryError> {
        let asked = timeout(PATIENCE, self.exchange(request));
        let slow = |_| RegistryError::Slow { registry: self.registry.clone(), within: PATIENCE };
        match asked.await.map_err(slow)?? {
            Reply::Refused(Refusal { status, message }) => {
                Err(RegistryError::Refused(Refusal { status, message: printable(&message) }))
            }
            reply => Ok(reply),
        }
    }

    async fn exchange(&self, request: &Request) -> Result<Reply, RegistryError> {
        let mut exchange = self.connection.open().await?;
        let message = to_cbor(request);
        exchange
            .send_last(&[(FrameKind::Message, &message)])
            .await
            .map_err(RegistryError::Broken)?;
        let frame = exchange.recv().await.map_err(RegistryError::Broken)?;
        Ok(from_cbor(&frame.ok_or(RegistryError::OffTopic)?.payload)?)
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        self.connection.close(CloseCode::Done);
        self.dialer.shutdown().await;
    }
}

async fn dial(dialer: &Dialer, registry: &Place) -> Result<Connection, RegistryError> {
    let mut last = RegistryError::NoRegistry;
    for address in registry.resolve().await? {
        match timeout(PATIENCE, dialer.dial(address, Role::Registry)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => last = error.into(),
            Err(_) => {
                let registry = registry.to_string();
                last = RegistryError::Slow { registry, within: PATIENCE };
            }
        }
    }
    Err(last)
}

/// A registry that takes longer is not there, as far as whoever waits is concerned.
const PATIENCE: Duration = Duration::from_secs(3);
