//! What the client knows of the network at one moment: an immutable set, swapped whole.
//!
//! A call reads exactly one of these. Nothing in it ever changes; a newer one replaces it, and the
//! old one ends with its last reader.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use jackfield_wire::ServiceName;
use jackfield_wire::registry::{Instance, Revision, ServiceSettings};

/// The instances that the client knows, by service.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    services: BTreeMap<ServiceName, Vec<Endpoint>>,
    settings: BTreeMap<ServiceName, ServiceSettings>,
    revision: Option<Revision>,
    origin: Origin,
}

/// Where a [`Snapshot`] comes from, which says how far it can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nothing has been heard yet.
    #[default]
    Nothing,
    /// The last good set, read from disk because no registry answered.
    Disk,
    /// A registry that has not been up long enough to know everyone: more may come.
    Gathering,
    /// A registry that knows everyone: what is not there does not exist.
    Registry,
}

/// An instance and its address, which was checked to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// As the registry tells it.
    pub instance: Arc<Instance>,
    /// [`Instance::address`], read.
    pub address: SocketAddr,
}

impl Snapshot {
    pub(crate) fn new(
        endpoints: impl Iterator<Item = Endpoint>,
        revision: Option<Revision>,
        origin: Origin,
    ) -> Self {
        let mut services: BTreeMap<ServiceName, Vec<Endpoint>> = BTreeMap::new();
        for endpoint in endpoints {
            let service = &endpoint.instance.service;
            match services.get_mut(service) {
                Some(known) => known.push(endpoint),
                None => _ = services.insert(service.clone(), vec![endpoint]),
            }
        }
        Self { services, settings: BTreeMap::new(), revision, origin }
    }

    pub(crate) fn with_settings(
        self,
        settings: impl Iterator<Item = (ServiceName, ServiceSettings)>,
    ) -> Self {
        Self { settings: settings.collect(), ..self }
    }

    /// How operators want a service to be called by those who do not say it themselves.
    pub fn settings(&self, service: &str) -> Option<&ServiceSettings> {
        self.settings.get(service)
    }

    /// Every service that operators have settings for.
    pub fn all_settings(&self) -> impl Iterator<Item = (&ServiceName, &ServiceSettings)> {
        self.settings.iter()
    }

    /// The endpoints of one service, in the order of their ids; empty when it is not known.
    pub fn endpoints(&self, service: &str) -> &[Endpoint] {
        self.services.get(service).map_or(&[], Vec::as_slice)
    }

    /// Every service with its endpoints, by name.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceName, &[Endpoint])> {
        self.services.iter().map(|(name, endpoints)| (name, endpoints.as_slice()))
    }

    /// Every instance, by service.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.services.values().flatten().map(|endpoint| &endpoint.instance)
    }

    /// The state of the registry that this shows, when a registry told it.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Where this comes from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether there is no instance at all.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    pub(crate) fn all_endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.services.values().flatten()
    }
}
