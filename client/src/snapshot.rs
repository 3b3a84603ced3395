//! What the client knows of the network at one moment: an immutable set, swapped whole.
//!
//! A call reads exactly one of these. Nothing in it ever changes; a newer one replaces it, and the
//! old one ends with its last reader.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_wire::registry::{Instance, Revision, ServiceSettings};
use jackfield_wire::{InstanceId, ServiceName};

use crate::options::CallOptions;
use crate::stats::Stats;

/// The instances that the client knows, by service; those of a service in the order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    services: BTreeMap<ServiceName, Vec<Endpoint>>,
    settings: BTreeMap<ServiceName, ServiceSettings>,
    /// The same as calls take them.
    options: BTreeMap<ServiceName, CallOptions>,
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

/// An instance and what this client has seen of it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// As the registry tells it.
    pub instance: Arc<Instance>,
    /// [`Instance::address`], read; `None` for an endpoint from outside, which does not speak this
    /// client's protocol.
    pub address: Option<SocketAddr>,
    pub(crate) stats: Arc<Stats>,
    /// Of the instance's id.
    pub(crate) hash: u64,
}

impl Endpoint {
    pub(crate) fn new(
        instance: Arc<Instance>,
        address: Option<SocketAddr>,
        stats: Arc<Stats>,
    ) -> Self {
        let hash = crate::picker::hash(instance.id.as_str());
        Self { instance, address, stats, hash }
    }

    /// Calls of this client that are on it.
    pub fn in_flight(&self) -> u32 {
        self.stats.in_flight()
    }

    /// Calls that are on it: this client's, and those of others as far as its host told a moment
    /// ago. `now` is [`Draw::now`](crate::Draw::now).
    pub fn load(&self, now: Duration) -> f64 {
        self.stats.load(now)
    }

    /// A moving average of its latency that rises fast; `None` until it has answered.
    /// `now` is [`Draw::now`](crate::Draw::now).
    pub fn latency(&self, now: Duration) -> Option<Duration> {
        self.stats.latency(now)
    }

    /// Where it stands, if it says.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.instance.zone.as_deref()
    }
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
        let (settings, options) = (BTreeMap::new(), BTreeMap::new());
        Self { services, settings, options, revision, origin }
    }

    pub(crate) fn with_settings(
        self,
        settings: impl Iterator<Item = (ServiceName, ServiceSettings)>,
    ) -> Self {
        let settings: BTreeMap<_, _> = settings.collect();
        let options = settings.iter().map(|(name, it)| (name.clone(), CallOptions::of(it, name)));
        Self { options: options.collect(), settings, ..self }
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

    /// What the registry says of calls of a service.
    pub(crate) fn options(&self, service: &str) -> Option<&CallOptions> {
        self.options.get(service)
    }

    /// One endpoint of a service.
    pub(crate) fn endpoint(&self, service: &str, id: &InstanceId) -> Option<&Endpoint> {
        let endpoints = self.endpoints(service);
        let found = endpoints.binary_search_by(|endpoint| endpoint.instance.id.cmp(id));
        found.ok().map(|at| &endpoints[at])
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
