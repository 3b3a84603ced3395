//! What a host says of its work in numbers: `jackfield.stats`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jackfield_wire::reflect::{HostReport, NamelessFile, ServiceReport};
use jackfield_wire::{Failure, ServiceName};

use super::gate::Gate;
use super::request::Request;
use super::{Dispatch, End, builtin, lookup};
use crate::catalog::{Catalog, Snapshot};
use crate::guest::{StoreCount, Stores};
use crate::plugin::Plugin;
use crate::registration::cut;
use crate::tally::ByStatus;

/// Whose calls a dispatch answers.
#[derive(Clone)]
pub(crate) struct About {
    /// The host's name.
    pub(crate) host: Arc<str>,
    pub(crate) stores: Stores,
    pub(crate) since: Instant,
}

/// All that a report is made of.
pub(crate) struct Reporter {
    catalog: Arc<Catalog>,
    gate: Gate,
    about: About,
    refused: Arc<ByStatus>,
    concurrency: u32,
    draining: bool,
}

impl Dispatch {
    /// Answers `stats(service: option<string>)`.
    pub(super) async fn stats(&self, request: &Request) -> Result<End, Failure> {
        let only = builtin::optional_service("stats", request)?;
        let (reporter, limit) = (self.reporter(), self.limits.plugin.result);
        let make = move || builtin::json(&reporter.report(only.as_ref())?, limit);
        builtin::beside(&self.lane, make, self.limits.queue_time).await
    }

    pub(crate) fn reporter(&self) -> Reporter {
        Reporter {
            catalog: Arc::clone(&self.catalog),
            gate: self.gate.clone(),
            about: self.about.clone(),
            refused: Arc::clone(&self.refused),
            concurrency: self.limits.concurrency,
            draining: self.drain.has_begun(),
        }
    }
}

impl Reporter {
    /// What the host has done and has in hand; of `only` this service, if one is named.
    ///
    /// # Errors
    /// When that is not here.
    pub(crate) fn report(&self, only: Option<&ServiceName>) -> Result<HostReport, Failure> {
        let snapshot = self.catalog.now();
        let plugins: Vec<_> = match only {
            Some(service) => vec![lookup::plugin(&snapshot, service.as_str())?],
            None => snapshot.plugins().collect(),
        };
        let (whole, by_service) = self.stores();
        let services = plugins.into_iter().map(|plugin| {
            self.service(plugin, by_service.get(plugin.service()).copied().unwrap_or_default())
        });
        Ok(HostReport {
            host: self.about.host.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: u64::try_from(self.about.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            load: self.gate.load(),
            concurrency: self.concurrency,
            draining: self.draining,
            instances: count(whole.open),
            memory_bytes: count(whole.memory),
            retired: u32::try_from(self.catalog.draining()).unwrap_or(u32::MAX),
            refused: self.refused.counts(),
            nameless: if only.is_none() { nameless(&snapshot) } else { Vec::new() },
            services: services.collect(),
        })
    }

    /// What is open in all, and of each service.
    fn stores(&self) -> (StoreCount, BTreeMap<ServiceName, StoreCount>) {
        let (mut whole, mut all) = (StoreCount::default(), BTreeMap::new());
        for (service, _, count) in self.about.stores.by_version() {
            whole.add(count);
            all.entry(service).or_insert_with(StoreCount::default).add(count);
        }
        (whole, all)
    }

    fn service(&self, plugin: &Plugin, stores: StoreCount) -> ServiceReport {
        let methods = plugin.methods().iter().enumerate().map(|(at, method)| {
            let info = method.info();
            plugin.tally(at).report(&info.name, info.hidden)
        });
        ServiceReport {
            service: plugin.service().clone(),
            version: plugin.version().map(str::to_owned),
            generation: plugin.generation(),
            load: self.gate.load_of(plugin.service().as_str()),
            instances: count(stores.open),
            idle: count(plugin.keeper().idle()),
            memory_bytes: count(stores.memory),
            quarantined: plugin.watch().quarantine().map(|told| told.to_string()),
            methods: methods.collect(),
        }
    }
}

/// The registry is told of services alone.
fn nameless(snapshot: &Snapshot) -> Vec<NamelessFile> {
    let files = snapshot.rejected().filter(|file| file.service.is_none()).take(MAX_NAMELESS);
    files.map(|it| NamelessFile { file: it.file.clone(), reason: cut(&it.reason) }).collect()
}

/// Who asks does so each second, and somebody may have taken a folder of something else for plugins.
const MAX_NAMELESS: usize = 20;

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
