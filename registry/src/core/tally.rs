//! How many instances each part of the set has, and its digest, kept up to date change by change:
//! asking costs nothing, whatever the size.

use std::collections::HashMap;

use jackfield_wire::registry::{Digest, ServiceEntry, ServiceSettings};
use jackfield_wire::{Namespace, ServiceKey};

use super::scope::Scope;

/// Sums over the whole, over each namespace and over each service.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    all: Tally,
    namespaces: HashMap<Namespace, Tally>,
    services: HashMap<ServiceKey, Tally>,
}

/// The sums of one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Instances, whatever their health.
    pub(super) instances: usize,
    /// Of what a watcher of this part holds.
    pub(super) digest: Digest,
}

impl Tallies {
    /// Of one part.
    pub(super) fn of(&self, scope: &Scope) -> Tally {
        match scope {
            Scope::All => self.all,
            Scope::Namespace(namespace) => {
                self.namespaces.get(namespace).copied().unwrap_or_default()
            }
            Scope::Service(key) => self.services.get(key).copied().unwrap_or_default(),
        }
    }

    pub(super) fn add(&mut self, key: &ServiceKey, digest: Digest) {
        self.change(key, |tally| {
            tally.instances += 1;
            tally.digest = tally.digest.with(digest);
        });
    }

    pub(super) fn take(&mut self, key: &ServiceKey, digest: Digest) {
        self.change(key, |tally| {
            tally.instances -= 1;
            tally.digest = tally.digest.without(digest);
        });
    }

    pub(super) fn add_settings(&mut self, key: &ServiceKey, settings: &ServiceSettings) {
        let digest = entry(key, settings).digest();
        self.change(key, |tally| tally.digest = tally.digest.with(digest));
    }

    pub(super) fn take_settings(&mut self, key: &ServiceKey, settings: &ServiceSettings) {
        let digest = entry(key, settings).digest();
        self.change(key, |tally| tally.digest = tally.digest.without(digest));
    }

    fn change(&mut self, key: &ServiceKey, change: impl Fn(&mut Tally)) {
        change(&mut self.all);
        let namespace = self.namespaces.entry(key.namespace.clone()).or_default();
        change(namespace);
        if *namespace == Tally::default() {
            self.namespaces.remove(&key.namespace);
        }
        let service = self.services.entry(key.clone()).or_default();
        change(service);
        if *service == Tally::default() {
            self.services.remove(key);
        }
    }
}

/// As watchers get it.
pub(super) fn entry(key: &ServiceKey, settings: &ServiceSettings) -> ServiceEntry {
    let ServiceKey { namespace, service } = key.clone();
    ServiceEntry { namespace, service, settings: settings.clone() }
}
