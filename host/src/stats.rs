//! What a host has in hand at one moment, in numbers.

use jackfield_wire::name::ServiceName;
use jackfield_wire::{Generation, Load};

use crate::manifest::Instances;

/// What a host has in hand at one moment. The numbers are taken one after another, so under load
/// they need not add up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// Calls that run and that wait.
    pub load: Load,
    /// Stores that are open, each with an instance in it or about to have one.
    pub stores: usize,
    /// Versions that were replaced or removed and still have calls running.
    pub draining: usize,
    /// The stores of each version that is loaded: it serves, is kept to be returned to, or has calls
    /// left. When no call runs, more than what is kept warm would be a leak.
    pub versions: Vec<VersionStats>,
    /// Each service that is served, by name.
    pub services: Vec<ServiceStats>,
}

/// What a host has open of one version of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionStats {
    /// Of which service.
    pub service: ServiceName,
    /// Which version.
    pub generation: Generation,
    /// Its stores that are open.
    pub stores: usize,
    /// Bytes of their linear memories.
    pub memory: usize,
}

/// What a host has in hand of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceStats {
    /// Which.
    pub service: ServiceName,
    /// The version that serves.
    pub generation: Generation,
    /// Its calls that run and that wait, those of older versions with them.
    pub load: Load,
    /// Whether it trapped so often that its calls are refused, or are on trial.
    pub quarantined: bool,
    /// Which instances serve its calls.
    pub instances: Instances,
    /// Instances that are kept and serve no call.
    pub idle: usize,
}
