//! The services that there are, each as the text that viewers are sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jackfield_client::{Endpoint, Snapshot};
use jackfield_wire::ServiceName;
use jackfield_wire::registry::{Health, Instance, Kind, MethodSummary, Override};
use serde::Serialize;

use super::Console;

/// One state of the set. A service that has not changed is the same allocation in the next one.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// Counts the states.
    pub(super) number: u64,
    services: BTreeMap<ServiceName, Arc<str>>,
}

/// A service as viewers see it.
#[derive(Serialize)]
struct Service<'s> {
    service: &'s ServiceName,
    /// How many instances may be called.
    available: usize,
    /// Of one instance that may be called, or of any.
    methods: &'s [MethodSummary],
    instances: Vec<Shown<'s>>,
}

/// An instance without what is its service's.
#[derive(Serialize)]
struct Shown<'s> {
    id: &'s str,
    host: &'s str,
    address: &'s str,
    kind: Kind,
    version: Option<&'s str>,
    generation: Option<String>,
    health: Health,
    enabled: bool,
    check_healthy: bool,
    weight: u32,
    zone: Option<&'s str>,
    operator: Option<&'s Override>,
    metadata: &'s BTreeMap<String, String>,
}

impl Network {
    /// What `snapshot` shows, after `self`; `None` when that is the same.
    fn next(&self, snapshot: &Snapshot) -> Option<Self> {
        let mut services = BTreeMap::new();
        for (name, endpoints) in snapshot.services() {
            let text = text(name, endpoints);
            let known = self.services.get(name).filter(|known| ***known == *text);
            services.insert(name.clone(), known.cloned().unwrap_or_else(|| text.into()));
        }
        let next = Self { number: self.number + 1, services };
        let stays = |(name, text): (&ServiceName, &Arc<str>)| next.holds(name, text);
        let is_same = next.services.len() == self.services.len() && self.services.iter().all(stays);
        (self.number == 0 || !is_same).then_some(next)
    }

    fn holds(&self, name: &ServiceName, text: &Arc<str>) -> bool {
        self.services.get(name).is_some_and(|held| Arc::ptr_eq(held, text))
    }

    /// What a viewer is told that was told `before`: everything, when that is nothing.
    pub(super) fn since(&self, before: Option<&Self>) -> String {
        let nothing = Self::default();
        let old = before.unwrap_or(&nothing);
        let fresh = self.services.iter().filter(|(name, text)| !old.holds(name, text));
        let set: Vec<&str> = fresh.map(|(_, text)| &**text).collect();
        let gone = old.services.keys().filter(|name| !self.services.contains_key(*name));
        let gone: Vec<String> = gone.map(|name| format!("\"{name}\"")).collect();
        let (whole, set, gone) = (before.is_none(), set.join(","), gone.join(","));
        format!(r#"{{"whole":{whole},"set":[{set}],"gone":[{gone}]}}"#)
    }
}

fn text(service: &ServiceName, endpoints: &[Endpoint]) -> String {
    let all = || endpoints.iter().map(|endpoint| &*endpoint.instance);
    let told = all().find(|instance| instance.is_available()).or(all().next());
    let shown = Service {
        service,
        available: all().filter(|instance| instance.is_available()).count(),
        methods: told.map_or(&[], |instance| &instance.methods),
        instances: all().map(shown).collect(),
    };
    serde_json::to_string(&shown).expect("names, numbers and texts have a JSON form")
}

fn shown(instance: &Instance) -> Shown<'_> {
    Shown {
        id: instance.id.as_str(),
        host: &instance.host,
        address: &instance.address,
        kind: instance.kind,
        version: instance.version.as_deref(),
        generation: instance.generation.map(|generation| generation.short()),
        health: instance.health,
        enabled: instance.enabled,
        check_healthy: instance.check_healthy,
        weight: instance.weight,
        zone: instance.zone.as_deref(),
        operator: instance.operator.as_ref(),
        metadata: &instance.metadata,
    }
}

impl Console {
    /// Publishes the set whenever it changes. Never ends.
    pub(super) async fn tell_network(&self) {
        let mut changes = self.client.changes();
        loop {
            changes.mark_unchanged();
            self.publish_network();
            tokio::time::sleep(PAUSE).await;
            if changes.changed().await.is_err() {
                // A client of a single host knows no set that could change.
                return std::future::pending().await;
            }
        }
    }

    fn publish_network(&self) {
        // Nobody else writes it; it is made outside the lock that viewers read it under.
        let before = self.network.borrow().clone().unwrap_or_default();
        if let Some(next) = before.next(&self.client.snapshot()) {
            self.network.send_replace(Some(Arc::new(next)));
        }
    }
}

/// Between two states: a storm of changes is told ten times a second.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u64, services: &[(&str, &Arc<str>)]) -> Network {
        let services = services.iter().map(|(name, text)| (name.parse().unwrap(), (*text).clone()));
        Network { number, services: services.collect() }
    }

    #[test]
    fn a_viewer_is_told_what_differs_from_what_it_was_told() {
        let [a, b, c]: [Arc<str>; 3] = ["{\"a\":1}".into(), "{\"b\":1}".into(), "{\"b\":2}".into()];
        let first = network(1, &[("a", &a), ("b", &b)]);
        let whole = r#"{"whole":true,"set":[{"a":1},{"b":1}],"gone":[]}"#;
        assert_eq!(first.since(None), whole);
        // Two states later: what was between is skipped.
        let later = network(3, &[("b", &c)]);
        let news = r#"{"whole":false,"set":[{"b":2}],"gone":["a"]}"#;
        assert_eq!(later.since(Some(&first)), news);
        assert_eq!(later.since(Some(&later)), r#"{"whole":false,"set":[],"gone":[]}"#);
    }

    #[test]
    fn the_first_state_is_one_even_when_it_is_empty() {
        let empty = Network::default().next(&Snapshot::default()).unwrap();
        assert_eq!((empty.number, empty.next(&Snapshot::default()).is_none()), (1, true));
    }
}
