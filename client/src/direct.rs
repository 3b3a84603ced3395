//! A host at a known place, without a registry.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::place::{Place, Resolve, ResolveError};
use crate::pool::Pool;

/// The place and its addresses as last looked up.
pub(crate) struct Direct {
    place: Place,
    resolver: Arc<dyn Resolve>,
    /// Held to copy or replace, never across an await.
    addresses: Mutex<Vec<SocketAddr>>,
    /// Held by the one who looks the place up; the others go on with what there is.
    looking_up: tokio::sync::Mutex<()>,
}

impl Direct {
    pub(crate) async fn new(
        place: Place,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, ResolveError> {
        let addresses = Mutex::new(place.resolve_by(&*resolver).await?);
        Ok(Self { place, resolver, addresses, looking_up: tokio::sync::Mutex::default() })
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks the place up again, after nobody was found there, and lets the pool forget where it
    /// was before. A failure keeps what there was.
    pub(crate) async fn refresh(&self, pool: &Pool) {
        let Ok(_alone) = self.looking_up.try_lock() else { return };
        match self.place.resolve_by(&*self.resolver).await {
            Ok(found) => {
                pool.keep_only(found.iter().copied());
                *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = found;
            }
            Err(error) => tracing::debug!(%error, "keeping the addresses of before"),
        }
    }
}
