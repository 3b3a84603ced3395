//! One connection to one registry, and what was announced over it.
//!
//! Every step either has the registry's answer or says that the registry is lost; after that the
//! session is of no more use. What the registry refuses of one instance keeps no other one out.

use std::collections::BTreeMap;
use std::time::Duration;

use jackfield_transport::{CloseReason, Connection, chain};
use jackfield_wire::name::InstanceId;
use jackfield_wire::registry::{Instance, LeaseTerms, Refusal, Reply, Request};
use jackfield_wire::{FrameKind, Status, from_cbor, to_cbor};
use tokio::time::Instant;

/// Why there is no registry any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Lost(String);

impl Lost {
    pub(super) fn new(reason: impl AsRef<str>) -> Self {
        let text = jackfield_wire::status::printable(reason.as_ref());
        Self(text.replace('\n', "\\n"))
    }

    fn refused(refusal: &Refusal) -> Self {
        Self::new(format!("it refused: {refusal}"))
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
    /// What was sent and not refused: also what a step that was cut off may have brought there.
    announced: BTreeMap<InstanceId, Instance>,
    /// What the registry does not take, and why.
    refused: BTreeMap<InstanceId, (Instance, Refusal)>,
    heartbeat: Duration,
    next: Instant,
    /// When what was refused is tried again.
    retry: Instant,
    announced_once: bool,
}

impl Session {
    pub(super) fn new(connection: Connection) -> Self {
        let now = Instant::now();
        Self {
            connection,
            announced: BTreeMap::new(),
            refused: BTreeMap::new(),
            heartbeat: FIRST_HEARTBEAT,
            next: now + FIRST_HEARTBEAT,
            retry: now + RETRY_REFUSED,
            announced_once: false,
        }
    }

    /// Whether it ever took what there was.
    pub(super) fn is_registered(&self) -> bool {
        self.announced_once
    }

    /// How many services that can be called the registry holds.
    pub(super) fn len(&self) -> usize {
        self.announced.values().filter(|instance| instance.enabled).count()
    }

    pub(super) fn until_heartbeat(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Makes what the registry holds `wanted`: registers what is new or changed, takes back what
    /// is gone.
    ///
    /// # Cancel safety
    /// After a step that was dropped, [`Self::take_back`] still takes everything back.
    pub(super) async fn announce(
        &mut self,
        wanted: BTreeMap<InstanceId, Instance>,
    ) -> Result<(), Lost> {
        let gone: Vec<_> =
            self.announced.keys().filter(|id| !wanted.contains_key(*id)).cloned().collect();
        let changed: Vec<_> = wanted
            .values()
            .filter(|instance| self.announced.get(&instance.id) != Some(instance))
            .filter(|instance| self.refused.get(&instance.id).map(|(was, _)| was) != Some(instance))
            .cloned()
            .collect();
        self.refused.retain(|id, _| wanted.contains_key(id));
        if !gone.is_empty() {
            self.told(&Request::Deregister(gone.clone())).await?;
            gone.iter().for_each(|id| drop(self.announced.remove(id)));
        }
        self.register(changed).await?;
        self.announced_once = true;
        Ok(())
    }

    /// Says that the host lives; registers again what the registry has forgotten.
    pub(super) async fn heartbeat(&mut self) -> Result<(), Lost> {
        self.next = Instant::now() + self.heartbeat;
        let ids: Vec<_> = self.announced.keys().cloned().collect();
        if ids.is_empty() {
            return self.register(self.to_retry()).await;
        }
        let Reply::Alive(unknown) = self.told(&Request::Heartbeat(ids)).await? else {
            return Err(unexpected());
        };
        let mut again: Vec<_> =
            unknown.iter().filter_map(|id| self.announced.get(id).cloned()).collect();
        if !again.is_empty() {
            tracing::info!(
                services = again.len(),
                "the registry forgot services; registering again"
            );
        }
        again.extend(self.to_retry());
        self.register(again).await
    }

    /// What was refused some time ago: the reason may have gone.
    fn to_retry(&self) -> Vec<Instance> {
        let due = Instant::now() >= self.retry;
        self.refused.values().filter(|_| due).map(|(instance, _)| instance.clone()).collect()
    }

    /// Says goodbye. A registry that cannot be told finds out by itself.
    pub(super) async fn take_back(&mut self) {
        let ids: Vec<_> = std::mem::take(&mut self.announced).into_keys().collect();
        if ids.is_empty() {
            return;
        }
        let asked = tokio::time::timeout(GOODBYE, self.told(&Request::Deregister(ids))).await;
        match asked {
            Ok(Ok(_)) => tracing::info!("deregistered"),
            Ok(Err(lost)) => tracing::warn!("not deregistered: {lost}; the lease will expire"),
            Err(_) => tracing::warn!("not deregistered in {GOODBYE:?}; the lease will expire"),
        }
    }

    async fn register(&mut self, instances: Vec<Instance>) -> Result<(), Lost> {
        for part in parts(instances) {
            if self.register_part(&part).await?.is_none() {
                continue;
            }
            // A request is taken or refused as a whole: find out whom it is about.
            for instance in part {
                if let Some(refusal) = self.register_part(std::slice::from_ref(&instance)).await? {
                    self.note_refused(instance, refusal);
                }
            }
        }
        match self.refused.values().next() {
            Some((_, refusal)) if self.announced.is_empty() => Err(Lost::refused(refusal)),
            _ => Ok(()),
        }
    }

    /// Gives the reason when the registry does not take these.
    async fn register_part(&mut self, part: &[Instance]) -> Result<Option<Refusal>, Lost> {
        let pairs = part.iter().map(|instance| (instance.id.clone(), instance.clone()));
        self.announced.extend(pairs);
        match self.ask(&Request::Register(part.to_vec())).await? {
            Reply::Registered(terms) => {
                self.take_terms(terms);
                part.iter().for_each(|instance| drop(self.refused.remove(&instance.id)));
                Ok(None)
            }
            // It is the registry that cannot, whatever it is asked.
            Reply::Refused(refusal) if refusal.status == Status::Unavailable => {
                Err(Lost::refused(&refusal))
            }
            Reply::Refused(refusal) => Ok(Some(refusal)),
            _ => Err(unexpected()),
        }
    }

    fn note_refused(&mut self, instance: Instance, refusal: Refusal) {
        self.retry = Instant::now() + RETRY_REFUSED;
        self.announced.remove(&instance.id);
        let id = instance.id.clone();
        let reason = Lost::refused(&refusal);
        let known = self.refused.insert(id.clone(), (instance, refusal.clone()));
        if known.is_none_or(|(_, before)| before != refusal) {
            tracing::warn!(%id, "not registered: {reason}; everything else is");
        }
    }

    /// The next heartbeat may come sooner than planned, never later: instances that did not change
    /// live on heartbeats alone, however often others are registered.
    fn take_terms(&mut self, terms: LeaseTerms) {
        let asked = Duration::from_millis(terms.heartbeat_ms.into());
        self.heartbeat = asked.clamp(LEAST_HEARTBEAT, MOST_HEARTBEAT);
        self.next = self.next.min(Instant::now() + self.heartbeat);
    }

    /// The answer to what a registry has no reason to refuse.
    async fn told(&self, request: &Request) -> Result<Reply, Lost> {
        match self.ask(request).await? {
            Reply::Refused(refusal) => Err(Lost::refused(&refusal)),
            reply => Ok(reply),
        }
    }

    async fn ask(&self, request: &Request) -> Result<Reply, Lost> {
        let asked = tokio::time::timeout(ANSWER_TIMEOUT, exchange(&self.connection, request));
        let too_late = || Lost::new(format!("no answer in {ANSWER_TIMEOUT:?}"));
        asked.await.unwrap_or_else(|_| Err(too_late()))
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

/// Time until what a registry refused is offered again: long enough not to bother it, short enough
/// for somebody who has made room there and waits.
const RETRY_REFUSED: Duration = Duration::from_secs(10);

/// Bytes of instances in one message, half of what a message may have.
const PART: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_wire::name::ServiceName;

    fn instance(n: usize, bytes: usize) -> Instance {
        let service = ServiceName::new(format!("service-{n}")).unwrap();
        let metadata = BTreeMap::from([("filler".into(), "x".repeat(bytes))]);
        Instance { metadata, ..Instance::new(service, "host", "127.0.0.1:1") }
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
