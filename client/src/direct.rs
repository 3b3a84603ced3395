//! A host at a known place, without a registry.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::place::{Place, ResolveError};

/// The place and its addresses as last looked up.
pub(crate) struct Direct {
    place: Place,
    /// Held to copy or replace, never across an await.
    addresses: Mutex<Vec<SocketAddr>>,
}

impl Direct {
    pub(crate) async fn new(place: Place) -> Result<Self, ResolveError> {
        let addresses = Mutex::new(place.resolve().await?);
        Ok(Self { place, addresses })
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks the place up again, after nobody was found there. A failure keeps what there was.
    pub(crate) async fn refresh(&self) {
        match self.place.resolve().await {
            Ok(found) => *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = found,
            Err(error) => tracing::debug!(%error, "keeping the addresses of before"),
        }
    }
}
