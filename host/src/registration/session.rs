//! One connection to one registry, and what was announced over it.
//!
//! Every step either has the registry's answer or says that the registry is lost; after that the
//! session is of no more use.

use std::collections::BTreeMap;
use std::time::Duration;

use jackfield_transport::{CloseReason, Connection};
use jackfield_wire::name::InstanceId;
use jackfield_wire::registry::{Instance, LeaseTerms, Reply, Request};
use jackfield_wire::{FrameKind, from_cbor, to_cbor};
use tokio::time::Instant;

use super::chain;

/// Why there is no registry any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Lost(String);

impl Lost {
    pub(super) fn new(reason: impl AsRef<str>) -> Self {
        Self(jackfield_wire::status::printable(reason.as_ref()))
    }
}

impl From<CloseReason> for Lost {
    fn from(reason: CloseReason) -> Self {
        Self::new(chain(&reason))
    }
}

/// What the registry holds of this host.
pub(super) struct Session {
    connection: Connection,
    announced: BTreeMap<InstanceId, Instance>,
    heartbeat: Duration,
    next: Instant,
}

impl Session {
    pub(super) fn new(connection: Connection) -> Self {
        let next = Instant::now() + FIRST_HEARTBEAT;
        Self { connection, announced: BTreeMap::new(), heartbeat: FIRST_HEARTBEAT, next }
    }

    /// How many services the registry holds.
    pub(super) fn len(&self) -> usize {
        self.announced.len()
    }

    pub(super) fn until_heartbeat(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Makes what the registry holds `wanted`: registers what is new or changed, takes back what
    /// is gone.
    pub(super) async fn announce(
        &mut self,
        wanted: BTreeMap<InstanceId, Instance>,
    ) -> Result<(), Lost> {
        let gone: Vec<_> =
            self.announced.keys().filter(|id| !wanted.contains_key(*id)).cloned().collect();
        let changed: Vec<_> = wanted
            .values()
            .filter(|instance| self.announced.get(&instance.id) != Some(instance))
            .cloned()
            .collect();
        self.register(changed).await?;
        if !gone.is_empty() {
            self.ask(&Request::Deregister(gone)).await?;
        }
        self.announced = wanted;
        Ok(())
    }

    /// Says that the host lives; registers again what the registry has forgotten.
    pub(super) async fn heartbeat(&mut self) -> Result<(), Lost> {
        self.next = Instant::now() + self.heartbeat;
        let ids: Vec<_> = self.announced.keys().cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let Reply::Alive(unknown) = self.ask(&Request::Heartbeat(ids)).await? else {
            return Err(unexpected());
        };
        let again: Vec<_> =
            unknown.iter().filter_map(|id| self.announced.get(id).cloned()).collect();
        if !again.is_empty() {
            tracing::info!(
                services = again.len(),
                "the registry forgot services; registering again"
            );
        }
        self.register(again).await
    }

    /// Says goodbye. A registry that cannot be told finds out by itself.
    pub(super) async fn take_back(&mut self) {
        let ids: Vec<_> = std::mem::take(&mut self.announced).into_keys().collect();
        if ids.is_empty() {
            return;
        }
        let asked = tokio::time::timeout(GOODBYE, self.ask(&Request::Deregister(ids))).await;
        match asked {
            Ok(Ok(_)) => tracing::info!("deregistered"),
            Ok(Err(lost)) => tracing::warn!("not deregistered: {lost}; the lease will expire"),
            Err(_) => tracing::warn!("not deregistered in {GOODBYE:?}; the lease will expire"),
        }
    }

    async fn register(&mut self, instances: Vec<Instance>) -> Result<(), Lost> {
        for part in parts(instances) {
            let Reply::Registered(terms) = self.ask(&Request::Register(part)).await? else {
                return Err(unexpected());
            };
            self.take_terms(terms);
        }
        Ok(())
    }

    fn take_terms(&mut self, terms: LeaseTerms) {
        let asked = Duration::from_millis(terms.heartbeat_ms.into());
        self.heartbeat = asked.clamp(LEAST_HEARTBEAT, MOST_HEARTBEAT);
        self.next = Instant::now() + self.heartbeat;
    }

    async fn ask(&self, request: &Request) -> Result<Reply, Lost> {
        let asked = tokio::time::timeout(ANSWER_TIMEOUT, exchange(&self.connection, request));
        match asked.await {
            Ok(Ok(Reply::Refused(refusal))) => Err(Lost::new(format!("it refused: {refusal}"))),
            Ok(reply) => reply,
            Err(_) => Err(Lost::new(format!("no answer in {ANSWER_TIMEOUT:?}"))),
        }
    }
}

async fn exchange(connection: &Connection, request: &Request) -> Result<Reply, Lost> {
    let mut exchange = connection.open().await.map_err(|error| Lost::new(chain(&error)))?;
    let message = to_cbor(request);
    exchange
        .send_last(&[(FrameKind::Message, &message)])
        .await
        .map_err(|error| Lost::new(chain(&error)))?;
    let frame = exchange.recv().await.map_err(|error| Lost::new(chain(&error)))?;
    let frame = frame.ok_or_else(|| Lost::new("it ended without an answer"))?;
    from_cbor(&frame.payload).map_err(|error| Lost::new(error.to_string()))
}

/// Cuts a registration into messages that are short enough.
fn parts(instances: Vec<Instance>) -> Vec<Vec<Instance>> {
    let mut parts: Vec<Vec<Instance>> = Vec::new();
    let mut room = 0;
    for instance in instances {
        let bytes = to_cbor(&instance).len();
        match parts.last_mut() {
            Some(part) if bytes <= room => part.push(instance),
            _ => {
                parts.push(vec![instance]);
                room = PART;
            }
        }
        room = room.saturating_sub(bytes);
    }
    parts
}

fn unexpected() -> Lost {
    Lost::new("it answered something else than was asked")
}

/// Until the registry has told its terms.
const FIRST_HEARTBEAT: Duration = Duration::from_secs(3);

/// A registry that asks for more would be flooded by its hosts.
const LEAST_HEARTBEAT: Duration = Duration::from_millis(50);

/// A registry that asks for less would not notice a dead host.
const MOST_HEARTBEAT: Duration = Duration::from_secs(60);

/// A registry that takes longer is not there, as far as heartbeats go.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for the goodbye: a host's end does not wait for a registry that is gone.
const GOODBYE: Duration = Duration::from_secs(1);

/// Bytes of instances in one message, half of what a message may have.
const PART: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_wire::name::ServiceName;
    use jackfield_wire::registry::Health;

    fn instance(n: usize, bytes: usize) -> Instance {
        let service = ServiceName::new(format!("service-{n}")).unwrap();
        Instance {
            id: InstanceId::new(&service, "host"),
            service,
            address: "127.0.0.1:1".into(),
            host: "host".into(),
            version: None,
            generation: None,
            weight: 1,
            check_healthy: true,
            health: Health::Healthy,
            enabled: true,
            methods: vec![],
            metadata: BTreeMap::from([("filler".into(), "x".repeat(bytes))]),
        }
    }

    #[test]
    fn a_long_registration_is_cut_into_messages_and_loses_nothing() {
        let all: Vec<_> = (0..20).map(|n| instance(n, 100 << 10)).collect();
        let parts = parts(all.clone());
        for part in &parts {
            assert!(to_cbor(&Request::Register(part.clone())).len() < 1 << 20);
        }
        assert_eq!(parts.concat(), all);
    }
}
