//! What a registry starts with, and what it refuses to.

use std::net::Ipv6Addr;
use std::time::Duration;

use jackfield_registry::{Registry, RegistryConfig, SpawnError};
use jackfield_transport::{BindError, Role};
use jackfield_wire::registry::Instance;

use crate::harness::{World, instance};

#[tokio::test]
async fn hosts_are_told_the_default_terms() {
    let world = World::with(|_| {});
    let terms = world.host("left").await.register(vec![instance("calc", "left")]).await;
    assert_eq!((terms.ttl_ms, terms.heartbeat_ms), (10_000, 3_000));
}

#[tokio::test]
async fn it_serves_ipv6() {
    let world = World::with(|config| config.listen = (Ipv6Addr::LOCALHOST, 0).into());
    assert!(world.address.is_ipv6());
    let mut watching = world.watch().await;
    let host = world.host("left").await;
    let address = "[::1]:4433".into();
    host.register(vec![Instance { address, ..instance("calc", "left") }]).await;
    assert_eq!(watching.next_delta().await.upserted[0].address, "[::1]:4433");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let world = World::new();
    let identity = world.identity(Role::Registry, "second");
    let Err(error) = Registry::spawn(RegistryConfig::new(world.address, identity)) else {
        panic!("two on one port")
    };
    assert!(
        matches!(error, SpawnError::Bind(BindError::InUse(address)) if address == world.address)
    );
    assert!(error.to_string().contains(&world.address.to_string()), "{error}");
}

#[tokio::test]
async fn it_does_not_start_with_another_roles_identity() {
    let world = World::new();
    let identity = world.identity(Role::Host, "left");
    let config = RegistryConfig::new(([127, 0, 0, 1], 0).into(), identity);
    let Err(error) = Registry::spawn(config) else { panic!("a host as registry") };
    assert!(matches!(error, SpawnError::Role(_)), "{error}");
}

#[tokio::test]
async fn it_does_not_start_with_leases_shorter_than_heartbeats() {
    let world = World::new();
    for (ttl, heartbeat) in [(10, 6), (10, 0), (100_000, 10), (0, 0)] {
        let identity = world.identity(Role::Registry, "second");
        let mut config = RegistryConfig::new(([127, 0, 0, 1], 0).into(), identity);
        config.ttl = Duration::from_secs(ttl);
        config.heartbeat = Duration::from_secs(heartbeat);
        let Err(error) = Registry::spawn(config) else { panic!("ttl {ttl} heartbeat {heartbeat}") };
        assert!(matches!(error, SpawnError::Terms { .. }), "{error}");
    }
}

#[tokio::test]
async fn it_does_not_listen_beyond_loopback_by_itself() {
    let world = World::new();
    let identity = world.identity(Role::Registry, "second");
    let config = RegistryConfig::new(([0, 0, 0, 0], 0).into(), identity);
    let Err(error) = Registry::spawn(config) else { panic!("listens to everybody") };
    assert!(matches!(error, SpawnError::Bind(BindError::NotLoopback(_))), "{error}");
}
