//! The core as readers see it: locked for moments, never while the store works.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::core::{Core, Moment};

/// The core, its clock, and the sign that it changed. For readers.
#[derive(Debug)]
pub(crate) struct View {
    /// Locked for moments only, never across an `.await`.
    core: Mutex<Core>,
    clock: Instant,
    pulse: watch::Sender<()>,
    /// Whether this front end is cut off from a store that others change.
    alone: watch::Sender<bool>,
}

impl View {
    /// The view of a core whose time began at `clock`.
    pub(crate) fn new(core: Core, clock: Instant) -> Self {
        Self {
            core: Mutex::new(core),
            clock,
            pulse: watch::Sender::new(()),
            alone: watch::Sender::new(false),
        }
    }

    /// Reads the core at this moment.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Core, Moment) -> T) -> T {
        let now = self.now();
        read(&self.lock(), now)
    }

    /// The registry has its socket.
    pub(crate) fn bound_to(&self, address: SocketAddr) {
        self.lock().bound_to(address);
    }

    /// Says when the core has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.pulse.subscribe()
    }

    /// Ends when this front end is cut off from its store; not at all when it is so already.
    pub(crate) fn cut_off(&self) -> impl Future<Output = ()> + use<> {
        let mut alone = self.alone.subscribe();
        async move {
            let already = *alone.borrow();
            if already || alone.wait_for(|alone| *alone).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(crate) fn is_alone(&self) -> bool {
        *self.alone.borrow()
    }

    pub(super) fn set_alone(&self, alone: bool) {
        self.alone.send_replace(alone);
    }

    /// The moment that it is.
    pub(super) fn now(&self) -> Moment {
        Moment::since_start(self.clock.elapsed())
    }

    /// When that moment comes, for waiting.
    pub(super) fn instant(&self, moment: Moment) -> Instant {
        self.clock + moment.elapsed()
    }

    /// Tells everyone who waits that the core has changed.
    pub(super) fn changed(&self) {
        self.pulse.send_replace(());
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic under the lock has ended the task that had it; readers can still be served.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
