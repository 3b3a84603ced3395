//! `watch`: changes of services and settings, one a line, until a signal ends it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jackfield_client::Snapshot;
use jackfield_wire::registry::{Instance, ServiceSettings};
use jackfield_wire::status::printable;
use jackfield_wire::{InstanceId, ServiceName};
use serde_json::json;

use crate::args::{Common, WatchArgs};
use crate::discover::{self, Via};
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;
use crate::{instance, service};

/// Watches.
pub(crate) fn run(args: WatchArgs, common: &Common, terminal: Terminal) -> Outcome {
    let via = Via::Registry(&args.registry);
    discover::with_client(common, via, async |client| {
        let mut changes = client.changes();
        let mut known = Seen::default();
        let mut snapshot = discover::ready(client, via).await?;
        loop {
            let seen = Seen::of(&snapshot, args.service.as_deref());
            for change in known.changes_to(&seen) {
                let line = if args.json { change.json() } else { change.text() };
                terminal.out(line)?;
            }
            known = seen;
            let gone = |_| Problem::internal("the client ended by itself");
            changes.changed().await.map_err(gone)?;
            snapshot = client.snapshot();
        }
    })
}

/// What can be told of a set.
#[derive(Debug, Default)]
struct Seen {
    instances: BTreeMap<InstanceId, Arc<Instance>>,
    settings: BTreeMap<ServiceName, ServiceSettings>,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    New(Arc<Instance>),
    Changed(Arc<Instance>),
    Gone(InstanceId),
    Settings(ServiceName, ServiceSettings),
}

impl Seen {
    fn of(snapshot: &Snapshot, service: Option<&str>) -> Self {
        let wanted = |name: &ServiceName| service.is_none_or(|wanted| name.as_str() == wanted);
        let instances = snapshot.instances().filter(|instance| wanted(&instance.service));
        let settings = snapshot.all_settings().filter(|(name, _)| wanted(name));
        Self {
            instances: instances.map(|i| (i.id.clone(), Arc::clone(i))).collect(),
            settings: settings.map(|(name, set)| (name.clone(), set.clone())).collect(),
        }
    }

    fn changes_to(&self, next: &Self) -> Vec<Change> {
        let gone = self.instances.keys().filter(|id| !next.instances.contains_key(*id));
        let mut changes: Vec<Change> = gone.cloned().map(Change::Gone).collect();
        for (id, instance) in &next.instances {
            match self.instances.get(id) {
                None => changes.push(Change::New(Arc::clone(instance))),
                Some(old) if old != instance => {
                    changes.push(Change::Changed(Arc::clone(instance)));
                }
                Some(_) => {}
            }
        }
        let names = self.settings.keys().chain(next.settings.keys());
        let names: std::collections::BTreeSet<_> = names.collect();
        for name in names {
            let (old, new) = (self.settings.get(name), next.settings.get(name));
            if old != new {
                changes.push(Change::Settings(name.clone(), new.cloned().unwrap_or_default()));
            }
        }
        changes
    }
}

impl Change {
    fn text(&self) -> String {
        printable(&match self {
            Self::New(instance) => format!("+ {}", shown(instance)),
            Self::Changed(instance) => format!("~ {}", shown(instance)),
            Self::Gone(id) => format!("- {id}"),
            Self::Settings(name, settings) => format!("= {name}: {}", service::words(settings)),
        })
    }

    fn json(&self) -> String {
        match self {
            Self::New(instance) => json!({ "change": "new", "instance": **instance }),
            Self::Changed(instance) => json!({ "change": "changed", "instance": **instance }),
            Self::Gone(id) => json!({ "change": "gone", "id": id }),
            Self::Settings(name, settings) => {
                json!({ "change": "settings", "service": name, "settings": settings })
            }
        }
        .to_string()
    }
}

fn shown(instance: &Instance) -> String {
    let Instance { id, address, .. } = instance;
    let state = if instance.enabled { instance.health.name() } else { "disabled" };
    let version = instance.version.as_ref().map(|v| format!(" {v}")).unwrap_or_default();
    let order = instance.operator.as_ref().map(instance::words);
    let order = order.map(|order| format!(" ({order})")).unwrap_or_default();
    format!("{id} {address} {state}{version}{order}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::testing::instance;

    fn seen(instances: Vec<Instance>) -> Seen {
        let instances = instances.into_iter().map(|i| (i.id.clone(), Arc::new(i))).collect();
        Seen { instances, settings: BTreeMap::new() }
    }

    #[test]
    fn each_change_is_a_line() {
        let before = seen(vec![instance("left"), instance("right")]);
        let disabled = Instance { enabled: false, ..instance("right") };
        let mut after = seen(vec![disabled, instance("third")]);
        let settings = ServiceSettings { timeout_ms: Some(2000), ..Default::default() };
        after.settings.insert(ServiceName::new("calc").unwrap(), settings);
        let lines: Vec<_> = before.changes_to(&after).iter().map(Change::text).collect();
        assert_eq!(
            lines,
            [
                "- calc@left",
                "~ calc@right 127.0.0.1:4433 disabled 0.1.0",
                "+ calc@third 127.0.0.1:4433 healthy 0.1.0",
                "= calc: timeout 2.0 s",
            ]
        );
        assert!(after.changes_to(&after).is_empty());
    }
}
