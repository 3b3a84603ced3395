//! What hosts say of their services, asked for once for each version that serves.
//!
//! What changes without a new version (a rejected file, a rollback, a quarantine) is not what this
//! is for: whoever shows that asks anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jackfield_client::{Client, Snapshot};
use jackfield_wire::reflect::ServiceInfo;
use jackfield_wire::registry::Kind;
use jackfield_wire::{Generation, ServiceName};
use tokio::task::JoinSet;

/// The services that can be called, with their types.
pub(crate) struct Catalog {
    client: Client,
    /// Held to copy or replace, never across an await.
    known: Mutex<HashMap<ServiceName, Arc<ServiceInfo>>>,
}

/// What there is at one moment.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// In the order of their names.
    pub(crate) services: Vec<Arc<ServiceInfo>>,
    /// Those that no host could be asked about, and why.
    pub(crate) failed: Vec<(ServiceName, String)>,
}

/// Services that may be called, with the versions that serve.
type Serving = BTreeMap<ServiceName, Vec<Generation>>;

impl Catalog {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// Every service that may be called. Costs a call for each that is new or has changed.
    ///
    /// # Cancel safety
    /// Cancelled, it forgets what was asked.
    pub(crate) async fn listing(&self) -> Listing {
        let serving = serving(&self.client.snapshot());
        let mut described = self.held(&serving);
        let missing = serving.into_keys().filter(|name| !described.contains_key(name)).collect();
        let mut failed = Vec::new();
        for (name, answer) in self.ask(missing).await {
            match answer {
                Ok(info) => _ = described.insert(name, Arc::new(info)),
                Err(why) => failed.push((name, why)),
            }
        }
        failed.sort();
        let services = described.values().cloned().collect();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            described.into_iter().collect();
        Listing { services, failed }
    }

    /// What is known of versions that still serve.
    fn held(&self, serving: &Serving) -> BTreeMap<ServiceName, Arc<ServiceInfo>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let serves = |info: &ServiceInfo| {
            serving.get(&info.service).is_some_and(|all| all.contains(&info.generation))
        };
        let held = known.iter().filter(|(_, info)| serves(info));
        held.map(|(name, info)| (name.clone(), info.clone())).collect()
    }

    async fn ask(
        &self,
        missing: Vec<ServiceName>,
    ) -> Vec<(ServiceName, Result<ServiceInfo, String>)> {
        let (mut answers, mut asking) = (Vec::new(), JoinSet::new());
        let mut missing = missing.into_iter();
        loop {
            for name in missing.by_ref().take(AT_ONCE - asking.len()) {
                let client = self.client.clone();
                asking.spawn(async move {
                    let answer = client.describe(&name).await;
                    (name, answer.map_err(|error| error.to_string()))
                });
            }
            match asking.join_next().await {
                Some(Ok(answer)) => answers.push(answer),
                // It panicked: the service is left out, and asked for the next time.
                Some(Err(error)) => tracing::error!(%error, "a service could not be asked for"),
                None => return answers,
            }
        }
    }
}

fn serving(snapshot: &Snapshot) -> Serving {
    let mut serving = Serving::new();
    let plugins = snapshot.instances().filter(|i| i.kind == Kind::Plugin && i.is_available());
    for instance in plugins {
        if let Some(generation) = instance.generation {
            serving.entry(instance.service.clone()).or_default().push(generation);
        }
    }
    serving
}

/// Services that are asked for at once: enough to fill a round trip, too few to be a burst.
const AT_ONCE: usize = 16;
