//! What the watching task and the calls share: the current snapshot, and how the registry fares.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jackfield_wire::metric::There;
use tokio::sync::watch;

use crate::error::{NoRegistry, RegistryFailure};
use crate::place::Place;
use crate::snapshot::{Origin, Snapshot};
use crate::telemetry::Telemetry;

/// How a client fares with its registries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryLink {
    /// The registry that is being watched; `None` while none answers.
    pub connected: Option<String>,
    /// What became of the last try of each that is not.
    pub failures: Vec<RegistryFailure>,
}

/// Read by calls, written by the watching task alone.
pub(crate) struct Shared {
    /// Replaced whole; the signal below only says that it was.
    current: ArcSwap<Snapshot>,
    published: watch::Sender<u64>,
    registries: Vec<String>,
    telemetry: Arc<Telemetry>,
    tries: watch::Sender<Tries>,
}

#[derive(Default)]
struct Tries {
    connected: Option<(usize, There)>,
    failures: Vec<Option<String>>,
}

impl Shared {
    pub(crate) fn new(registries: &[Place], telemetry: Arc<Telemetry>) -> Self {
        let tries = Tries { connected: None, failures: vec![None; registries.len()] };
        Self {
            current: ArcSwap::default(),
            published: watch::Sender::new(0),
            registries: registries.iter().map(Place::to_string).collect(),
            telemetry,
            tries: watch::Sender::new(tries),
        }
    }

    /// `HOST:PORT` of each.
    pub(crate) fn registries(&self) -> &[String] {
        &self.registries
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) {
        self.current.store(snapshot);
        self.published.send_modify(|count| *count += 1);
    }

    pub(crate) fn connected(&self, index: usize) {
        self.tries.send_modify(|tries| {
            tries.connected = Some((index, self.telemetry.registry()));
            tries.failures[index] = None;
        });
    }

    pub(crate) fn lost(&self, index: usize, message: String) {
        self.tries.send_modify(|tries| {
            tries.connected = None;
            tries.failures[index] = Some(message);
        });
    }

    pub(crate) fn link(&self) -> RegistryLink {
        let tries = self.tries.borrow();
        let failures = self.registries.iter().zip(&tries.failures);
        RegistryLink {
            connected: tries.connected.as_ref().map(|(index, _)| self.registries[*index].clone()),
            failures: failures
                .filter_map(|(registry, message)| {
                    let (registry, message) = (registry.clone(), message.clone()?);
                    Some(RegistryFailure { registry, message })
                })
                .collect(),
        }
    }

    /// Waits for the first set.
    pub(crate) async fn first(&self, patience: Duration) -> Result<Arc<Snapshot>, NoRegistry> {
        let enough = |snapshot: &Snapshot| snapshot.origin() != Origin::Nothing;
        match self.until(patience, enough).await {
            Some(snapshot) => Ok(snapshot),
            None => Err(NoRegistry { waited: patience, tried: self.tried() }),
        }
    }

    /// Waits until a set is `enough`, for at most `patience`.
    pub(crate) async fn until(
        &self,
        patience: Duration,
        enough: impl Fn(&Snapshot) -> bool,
    ) -> Option<Arc<Snapshot>> {
        let mut changes = self.changes();
        let wait = async {
            loop {
                changes.mark_unchanged();
                let snapshot = self.snapshot();
                if enough(&snapshot) || changes.changed().await.is_err() {
                    return snapshot;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.ok()
    }

    /// Every registry with what is known of it, for an error.
    fn tried(&self) -> Vec<RegistryFailure> {
        let tries = self.tries.borrow();
        let told = self.registries.iter().zip(&tries.failures);
        told.map(|(registry, message)| RegistryFailure {
            registry: registry.clone(),
            message: message.clone().unwrap_or_else(|| "no answer yet".into()),
        })
        .collect()
    }
}
