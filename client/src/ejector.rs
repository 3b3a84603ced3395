//! The one place where the client keeps who is left out: the core behind a lock, and what calls read
//! without it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jackfield_wire::InstanceId;

use crate::ejection::{Ejection, EjectionPolicy};
use crate::telemetry::Ejections;

/// Shared by every call of a client.
#[derive(Debug)]
pub(crate) struct Ejector {
    /// Held for one look or change, never across an await.
    core: Mutex<Ejection>,
    /// The core's, so that what was computed before a change is known to be old.
    version: AtomicU64,
    /// When somebody's time is over, in microseconds; [`NEVER`] when nobody is out.
    wakes: AtomicU64,
    /// Somebody waits for a call.
    ready: AtomicBool,
    out: AtomicBool,
    pub(crate) telemetry: Ejections,
    pub(crate) policy: EjectionPolicy,
}

impl Ejector {
    pub(crate) fn new(policy: EjectionPolicy) -> Self {
        let core = Mutex::new(Ejection::new(policy));
        Self {
            core,
            version: AtomicU64::new(0),
            wakes: AtomicU64::new(NEVER),
            ready: AtomicBool::new(false),
            out: AtomicBool::new(false),
            telemetry: Ejections::new(),
            policy,
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether somebody's time is over.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        self.wakes.load(Ordering::Relaxed) as u128 <= now.as_micros()
    }

    /// Whether somebody waits for a call.
    pub(crate) fn is_anyone_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Whether anybody may be out; false only when nobody is.
    pub(crate) fn is_anyone_out(&self) -> bool {
        self.out.load(Ordering::Relaxed)
    }

    /// A look. Holds the lock.
    pub(crate) fn look(&self) -> MutexGuard<'_, Ejection> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Ejection) -> T) -> T {
        let mut core = self.look();
        let outcome = change(&mut core);
        let out = core.out();
        self.telemetry.are(out);
        let wakes = core.wakes().map(|at| u64::try_from(at.as_micros()).unwrap_or(NEVER));
        self.wakes.store(wakes.unwrap_or(NEVER), Ordering::Relaxed);
        self.out.store(out > 0, Ordering::Relaxed);
        self.ready.store(core.is_anyone_ready(), Ordering::Relaxed);
        self.version.store(core.version(), Ordering::Release);
        outcome
    }

    /// Forgets everyone else.
    pub(crate) fn keep_only(
        &self,
        is_known: impl Fn(&InstanceId) -> bool,
        is_served: impl Fn(SocketAddr) -> bool,
    ) {
        self.change(|core| core.keep_only(is_known, is_served));
    }
}

const NEVER: u64 = u64::MAX;
