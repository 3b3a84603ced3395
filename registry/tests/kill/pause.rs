//! Processes that stand still for longer than a TTL, and go on.

use std::time::Duration;

use jackfield_wire::registry::{Health, Instance, Reply, Request};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::child::Plan;
use crate::crash::list;
use crate::peer::Peer;
use crate::{bounded, plan};

/// The registry stands still; its hosts live, and wait or come back.
pub(crate) fn registry(runtime: &Runtime) {
    let (_dir, plan) = plan("registry.sqlite", TTL);
    bounded(runtime, async {
        let serving = plan.start();
        let mut hosts = Vec::new();
        for n in 0..4 {
            let mut host = Host::new(&plan, &format!("h{n}"));
            host.beat(&[serving.address]).await;
            hosts.push(host);
        }
        let (_, before) = list(&plan, serving.address).await;
        for _ in 0..PAUSES {
            serving.stop();
            // The length of the pause, not a wait for anything.
            sleep(TTL * 2).await;
            serving.go_on();
            // What it lists is what it would have expired by now.
            let (listed, _) = list(&plan, serving.address).await;
            assert_eq!(listed.len(), hosts.len(), "a living host is gone");
            for host in &mut hosts {
                host.beat(&[serving.address]).await;
            }
        }
        let (listed, after) = list(&plan, serving.address).await;
        assert!(listed.values().all(|instance| instance.health == Health::Healthy));
        // Suspect and healthy again, at most: nobody was removed and made anew.
        let most = u64::from(PAUSES) * 2 * hosts.len() as u64;
        assert!(after - before <= most, "{before} to {after}");
    });
}

/// A host's connection is silent for longer than a TTL: it is gone, and back with its next heartbeat.
pub(crate) fn host(runtime: &Runtime) {
    let (_dir, plan) = plan("registry.sqlite", TTL);
    bounded(runtime, async {
        let serving = plan.start();
        let (mut lives, mut stands) = (Host::new(&plan, "lives"), Host::new(&plan, "stands"));
        lives.beat(&[serving.address]).await;
        stands.beat(&[serving.address]).await;
        while list(&plan, serving.address).await.0.len() == 2 {
            lives.beat(&[serving.address]).await;
        }
        assert!(list(&plan, serving.address).await.0.contains_key(&lives.instance.id));
        stands.beat(&[serving.address]).await;
        assert_eq!(list(&plan, serving.address).await.0.len(), 2);
    });
}

/// A host as those of this project behave: one connection to one of several registries, heartbeats,
/// and a registration wherever it is not known.
pub(crate) struct Host {
    state: jackfield_transport::StateDir,
    name: String,
    pub(crate) instance: Instance,
    pub(crate) peer: Option<Peer>,
}

impl Host {
    pub(crate) fn new(plan: &Plan, name: &str) -> Self {
        let instance = Peer::instance_of(name, "calc", "1");
        Self { state: plan.state(), name: name.into(), instance, peer: None }
    }

    /// One heartbeat that one of these registries has answered well; whatever that takes.
    pub(crate) async fn beat(&mut self, registries: &[std::net::SocketAddr]) {
        for registry in registries.iter().cycle() {
            if let Some(peer) = &self.peer {
                let id = self.instance.id.clone();
                match peer.ask(&Request::Heartbeat(vec![id])).await {
                    Some(Reply::Alive(unknown)) if unknown.is_empty() => return,
                    Some(Reply::Alive(_)) => {}
                    // Sooner than it need be: the lease lives, and so does the connection.
                    Some(Reply::Refused(refused)) if refused.status == EARLY => return,
                    _ => self.peer = None,
                }
            }
            if self.peer.is_none() {
                self.peer = Peer::try_connect(&self.state, &self.name, *registry).await;
            }
            let Some(peer) = &self.peer else { continue };
            match peer.ask(&Request::Register(vec![self.instance.clone()])).await {
                Some(Reply::Registered(_)) => return,
                _ => self.peer = None,
            }
        }
    }
}

const TTL: Duration = Duration::from_secs(2);
const PAUSES: u32 = 3;
const EARLY: jackfield_wire::Status = jackfield_wire::Status::ResourceExhausted;
