//! What happens in a host, for whoever wants to tell people.

use std::time::Duration;

use jackfield_wire::Generation;
use jackfield_wire::name::ServiceName;

/// Something that happened in a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostEvent {
    /// A service is there that was not.
    Loaded {
        /// Which.
        service: ServiceName,
        /// Its version.
        generation: Generation,
        /// From the decision to load until it served.
        took: Duration,
    },
    /// A service has a new version. Calls in flight finish on the old one.
    Replaced {
        /// Which.
        service: ServiceName,
        /// The version before.
        from: Generation,
        /// The version that serves now.
        to: Generation,
        /// From the decision to load until it served.
        took: Duration,
    },
    /// Somebody, or the host itself, has returned to the version before the one of the file.
    RolledBack {
        /// Which.
        service: ServiceName,
        /// The version of the file.
        from: Generation,
        /// The version that serves now, until the file changes.
        to: Generation,
        /// Why, when nobody has ordered it: the version of the file trapped as soon as it served.
        because: Option<String>,
    },
    /// A file does not serve.
    Rejected {
        /// Its name in the folder, with control characters escaped.
        file: String,
        /// The service that it would be, when its name can be one.
        service: Option<ServiceName>,
        /// Why, and what to do.
        reason: String,
        /// The version that goes on serving, if there is one.
        serving: Option<Generation>,
    },
    /// A service's file is gone, and the service with it.
    Withdrawn {
        /// Which.
        service: ServiceName,
    },
    /// A plugin trapped on most of its calls: they are refused for a while.
    Quarantined {
        /// Which.
        service: ServiceName,
        /// Its version.
        generation: Generation,
        /// The only caller whose calls are refused; `None` when all are.
        caller: Option<String>,
        /// What happened, and what ends it.
        reason: String,
        /// Until calls are tried again.
        pause: Duration,
    },
    /// A plugin that was quarantined works again.
    Recovered {
        /// Which.
        service: ServiceName,
        /// Its version.
        generation: Generation,
        /// The caller for whom; `None` for all.
        caller: Option<String>,
    },
    /// A registry has taken the host's services.
    Registered {
        /// Its address, as configured.
        registry: String,
        /// How many it took.
        services: usize,
    },
    /// The registry cannot be reached; the host serves on and keeps trying.
    RegistryLost {
        /// Its address, as configured.
        registry: String,
        /// What went wrong.
        reason: String,
    },
}
