//! The core as readers see it: locked for moments, never while the store works.

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
}

impl View {
    /// The view of a core whose time began at `clock`.
    pub(crate) fn new(core: Core, clock: Instant) -> Self {
        Self { core: Mutex::new(core), clock, pulse: watch::Sender::new(()) }
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
