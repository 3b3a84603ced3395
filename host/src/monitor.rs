//! A look at a host from outside: is it ready, how does it fare. Keeps nothing of it alive.

use std::sync::{Arc, Weak};

use jackfield_wire::reflect::HostReport;
use tokio::sync::watch;

use crate::catalog::Catalog;
use crate::dispatch::Dispatch;
use crate::registration::Link;
use crate::telemetry::{Beside, Telemetry};

/// What looks at a host for whoever runs it: for probes and exporters. Outlives the host and keeps
/// nothing of it.
pub struct HostMonitor {
    pub(crate) dispatch: Weak<Dispatch>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) settled: watch::Receiver<bool>,
    pub(crate) link: watch::Receiver<Link>,
    pub(crate) telemetry: Telemetry,
}

/// Why calls should not be sent to a host yet, or any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// Its folder was not read to the end.
    #[error("the plugins of its folder are being loaded")]
    Loading,
    /// No registry has taken its services yet.
    #[error("no registry has taken its services yet: its log says why")]
    Unregistered,
    /// It takes its leave, or has.
    #[error("it is ending")]
    Ending,
}

impl HostMonitor {
    /// Whether calls should be sent to it. A registry that goes away later changes nothing: its
    /// callers go on without one.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), NotReady> {
        let dispatch = self.dispatch.upgrade().ok_or(NotReady::Ending)?;
        if dispatch.drain().has_begun() {
            return Err(NotReady::Ending);
        }
        if !*self.settled.borrow() {
            return Err(NotReady::Loading);
        }
        match *self.link.borrow() {
            Link::Never => Err(NotReady::Unregistered),
            Link::Unwanted | Link::Held | Link::Lost => Ok(()),
        }
    }

    /// What it has done and has in hand; `None` when it has ended.
    pub fn report(&self) -> Option<HostReport> {
        let dispatch = self.dispatch.upgrade()?;
        // Only a service that is named can be missing.
        dispatch.reporter().report(None).ok()
    }

    /// Reports to the recorder that is installed for the `metrics` facade what has happened since
    /// the sample before, and how it is now.
    ///
    /// # Cost
    /// About a microsecond for each method: for a few times in a second at most.
    pub fn sample(&self) {
        let Some(report) = self.report() else { return };
        let rejected = self.catalog.now().rejected().count();
        let registered = *self.link.borrow() == Link::Held;
        self.telemetry.sample(&report, Beside { rejected, registered });
    }
}
