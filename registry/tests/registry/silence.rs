//! What becomes of hosts whose connections vanish together: somebody looks.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_registry::RegistryConfig;
use jackfield_transport::{
    Exchange, Peer, Protocol, Role, Serve, Server, ServerConfig, TransportLimits,
};
use jackfield_wire::registry::{Health, Instance, ListQuery};

use crate::harness::{Caller, World, id, instance};

const HOSTS: [&str; 4] = ["a", "b", "c", "d"];

/// Takes connections and answers nothing, which is all that a look needs.
struct Quiet;

impl Serve for Quiet {
    type Session = ();

    fn connected(&self, _: &Peer) {}

    async fn exchange(&self, _: &Arc<()>, _: Exchange) {}
}

/// A host that can be dialled where it says.
struct Host {
    name: &'static str,
    caller: Caller,
    listener: Server,
}

impl Host {
    async fn new(world: &World, name: &'static str) -> Self {
        let config = ServerConfig {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            identity: world.identity(Role::Host, name),
            protocol: Protocol::Call,
            limits: TransportLimits::default(),
        };
        let listener = Server::spawn(config, Arc::new(Quiet)).unwrap();
        Self { name, caller: world.host(name).await, listener }
    }

    fn instance(&self) -> Instance {
        let address = self.listener.local_addr().to_string();
        Instance { address, ..instance("calc", self.name) }
    }

    /// Its connection to the registry vanishes; it can be dialled.
    fn lose_registry(self) -> Server {
        self.caller.hang_up();
        self.listener
    }
}

/// Time enough that leases which begin together are still seen to end together.
fn short(config: &mut RegistryConfig) {
    config.ttl = Duration::from_secs(2);
    config.heartbeat = Duration::from_millis(100);
}

/// All registered at one moment, which leases that end at one moment need.
async fn fleet(world: &World) -> Vec<Host> {
    let mut hosts = Vec::new();
    for name in HOSTS {
        hosts.push(Host::new(world, name).await);
    }
    for host in &hosts {
        host.caller.register(vec![host.instance()]).await;
    }
    hosts
}

#[tokio::test]
async fn hosts_that_lose_the_registry_together_and_answer_when_dialled_are_kept() {
    let world = World::with(short);
    let hosts = fleet(&world).await;
    let mut watching = world.watch().await;
    let listeners: Vec<Server> = hosts.into_iter().map(Host::lose_registry).collect();
    let client = world.client().await;
    // Their leases have ended, somebody has looked, and they are believed to answer.
    loop {
        watching.next().await;
        assert_eq!(watching.set.len(), HOSTS.len());
        let doubtful = world.registry.status().doubtful;
        let listed = client.list(ListQuery::default()).await.instances;
        if doubtful == HOSTS.len() && listed.len() == HOSTS.len() {
            assert!(listed.iter().all(|instance| instance.health == Health::Healthy));
            break;
        }
    }
    let status = world.registry.status();
    assert_eq!((status.suspected, status.expired), (4, 0));

    // A host's own word ends the doubt.
    let back = world.host("a").await;
    let address = listeners[0].local_addr().to_string();
    back.register(vec![Instance { address, ..instance("calc", "a") }]).await;
    assert_eq!(world.registry.status().doubtful, HOSTS.len() - 1);
}

#[tokio::test]
async fn of_hosts_that_vanish_together_those_where_nobody_listens_any_more_are_removed() {
    let world = World::with(short);
    let hosts = fleet(&world).await;
    let mut watching = world.watch().await;
    let mut listeners: Vec<Server> = hosts.into_iter().map(Host::lose_registry).collect();
    for listener in listeners.drain(1..) {
        listener.shutdown(Duration::ZERO).await;
    }
    // Were they gone because their leases ended, the first would be too.
    let first = id("calc", "a");
    watching.until(|set| set.len() == 1).await;
    watching.until_health(&first, Some(Health::Healthy)).await;
    let status = world.registry.status();
    assert_eq!((status.expired, status.doubtful, status.instances), (3, 1, 1));
}
