//! A host at a known place, without a registry.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_transport::Backoff;

use crate::balancer::Balancer;
use crate::place::{Place, Resolve, ResolveError};
use crate::pool::Pool;
use crate::retry::Cure;

/// The place and its addresses as last looked up.
pub(crate) struct Direct {
    place: Place,
    resolver: Arc<dyn Resolve>,
    /// Held to copy or replace, never across an await.
    addresses: Mutex<Vec<SocketAddr>>,
    /// Held by the one who looks the place up; the others go on with what there is.
    looking_up: tokio::sync::Mutex<()>,
    /// Held by the one who looks whether the host is back; the others wait for their turn.
    looking_out: tokio::sync::Mutex<()>,
    /// Somebody has been reached there since the client began.
    reached: AtomicBool,
}

impl Direct {
    pub(crate) async fn new(
        place: Place,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, ResolveError> {
        let addresses = Mutex::new(place.resolve_by(&*resolver).await?);
        Ok(Self {
            place,
            resolver,
            addresses,
            looking_up: tokio::sync::Mutex::default(),
            looking_out: tokio::sync::Mutex::default(),
            reached: AtomicBool::new(false),
        })
    }

    /// Somebody is at the place.
    pub(crate) fn note_reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }

    /// How long a call waits, from its beginning, for somebody to be there: a host that was there is
    /// waited for, a mistyped address does not look like a hang.
    pub(crate) fn patience(&self) -> Duration {
        if self.reached.load(Ordering::Relaxed) { Duration::MAX } else { FIRST_PATIENCE }
    }

    /// Waits until the host is back, or says that it never will be for us. However many calls
    /// wait, one of them dials, and pauses between its dials.
    pub(crate) async fn back(&self, pool: &Arc<Pool>, balancer: &Balancer) {
        let _turn = self.looking_out.lock().await;
        for tries in 1.. {
            for address in self.addresses() {
                match pool.connect(address, None).await {
                    Ok(_) if pool.reach().is_down(address) => {} // The old process ends.
                    Err(failure) if failure.cure == Cure::Time => {}
                    _ => return,
                }
            }
            tokio::time::sleep(RETURN.pause(tries, balancer.moment().entropy)).await;
            self.refresh(pool, balancer).await;
        }
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks the place up again, after nobody was found there; pool and balancer forget where it was
    /// before. A failure keeps what there was.
    pub(crate) async fn refresh(&self, pool: &Pool, balancer: &Balancer) {
        let Ok(_alone) = self.looking_up.try_lock() else { return };
        match self.place.resolve_by(&*self.resolver).await {
            Ok(found) => {
                pool.keep_only(found.iter().copied());
                balancer.keep_addresses(&found);
                *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = found;
            }
            Err(error) => tracing::debug!(%error, "keeping the addresses of before"),
        }
    }
}

/// As long as a call waits for a service that a registry does not know yet.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);

/// Between dials to a host that is away: a restart is noticed soon, and one dial in a quarter of a
/// second, for all calls together, is nothing to whoever is there.
const RETURN: Backoff =
    Backoff { first: Duration::from_millis(20), most: Duration::from_millis(500), factor: 2.0 };
