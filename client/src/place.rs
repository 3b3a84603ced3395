//! Where a peer is, as a person writes it: `HOST:PORT`, with a name or an address.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;

/// `HOST:PORT`. A name is looked up again at each connection, so a peer may move.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place(String);

/// Text that is no [`Place`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not HOST:PORT, as in 127.0.0.1:9999, [::1]:9999 or registry.example:9999")]
pub struct PlaceError(pub String);

/// A name that leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The system could not look it up.
    #[error("cannot look up {place}: {error}")]
    LookUp {
        /// What was looked up.
        place: Place,
        /// The system's words.
        error: std::io::Error,
    },
    /// It has no address.
    #[error("{0} has no address")]
    Empty(Place),
}

impl Place {
    /// Its addresses now; never empty.
    ///
    /// # Errors
    /// When the name cannot be looked up, or has no address.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        self.resolve_by(&System).await
    }

    /// As [`resolve`](Self::resolve), by a resolver of one's own.
    pub(crate) async fn resolve_by(
        &self,
        resolver: &dyn Resolve,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        if let Ok(address) = self.0.parse() {
            return Ok(vec![address]);
        }
        let addresses = resolver
            .resolve(&self.0)
            .await
            .map_err(|error| ResolveError::LookUp { place: self.clone(), error })?;
        if addresses.is_empty() {
            return Err(ResolveError::Empty(self.clone()));
        }
        Ok(addresses)
    }
}

/// Looks up where a name leads, for those who do not want the system's way: a service mesh, a test.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of `place`, which is `NAME:PORT`, now. Asked again at each connection.
    fn resolve<'a>(&'a self, place: &'a str) -> Looking<'a>;
}

/// A name being looked up.
pub type Looking<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// As the system does.
#[derive(Debug)]
pub(crate) struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, place: &'a str) -> Looking<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host(place).await?.collect()) })
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let name = |host: &str| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        };
        let good = text.parse::<SocketAddr>().is_ok()
            || text
                .rsplit_once(':')
                .is_some_and(|(host, port)| name(host) && port.parse::<u16>().is_ok());
        if good { Ok(Self(text.into())) } else { Err(PlaceError(text.into())) }
    }
}

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_with_a_port_are_places() {
        for text in ["127.0.0.1:9999", "[::1]:9999", "localhost:1", "a-b.example:65535"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_text_is_refused_with_how_to_write_it() {
        for text in ["", "localhost", "::1:9999", ":9999", "host:port", "host:70000", "a b:1"] {
            let error = text.parse::<Place>().unwrap_err().to_string();
            assert!(error.contains("127.0.0.1:9999"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up() {
        let addresses = "localhost:80".parse::<Place>().unwrap().resolve().await.unwrap();
        assert!(addresses.iter().all(|a| a.ip().is_loopback() && a.port() == 80));
    }
}
