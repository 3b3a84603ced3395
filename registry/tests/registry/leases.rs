//! Registering, staying and leaving.

use jackfield_transport::Role;
use jackfield_wire::Status;
use jackfield_wire::registry::{Health, Instance, ListQuery, Request};

use crate::harness::{World, id, instance};

#[tokio::test]
async fn what_is_registered_is_listed_watched_and_withdrawn() {
    let world = World::new();
    let mut watching = world.watch().await;
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;

    let delta = watching.next_delta().await;
    assert_eq!(delta.upserted, [instance("calc", "left")]);
    let listing = world.client().await.list(ListQuery::default()).await;
    assert_eq!(listing.instances, [instance("calc", "left")]);
    assert_eq!(listing.revision, delta.revision);

    assert_eq!(host.deregister(&[id("calc", "left")]).await, 1);
    watching.until_health(&id("calc", "left"), Some(Health::Draining)).await;
    assert!(world.client().await.list(ListQuery::default()).await.instances.is_empty());
    host.hang_up();
    watching.until_health(&id("calc", "left"), None).await;
}

#[tokio::test]
async fn a_broken_connection_makes_suspect_at_once_and_the_lease_runs_out() {
    let world = World::impatient();
    let mut watching = world.watch().await;
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    watching.until_health(&id("calc", "left"), Some(Health::Healthy)).await;
    host.hang_up();
    watching.until_health(&id("calc", "left"), Some(Health::Suspect)).await;
    watching.until_health(&id("calc", "left"), None).await;
    let status = world.registry.status();
    assert_eq!((status.suspected, status.expired, status.instances), (1, 1, 0));
}

#[tokio::test]
async fn a_host_that_only_forgets_its_heartbeats_expires_and_is_told_to_register_again() {
    let world = World::impatient();
    let mut watching = world.watch().await;
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    watching.until(|set| set.len() == 1).await;
    watching.until(|set| set.is_empty()).await;
    assert_eq!(host.heartbeat(&[id("calc", "left")]).await, [id("calc", "left")]);
    host.register(vec![instance("calc", "left")]).await;
    watching.until_health(&id("calc", "left"), Some(Health::Healthy)).await;
}

#[tokio::test]
async fn a_heartbeat_asks_only_for_what_the_registry_does_not_hold() {
    let world = World::new();
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    let unknown = host.heartbeat(&[id("calc", "left"), id("text", "left")]).await;
    assert_eq!(unknown, [id("text", "left")]);
    let other = world.host("right").await;
    assert_eq!(other.heartbeat(&[id("calc", "left")]).await, [id("calc", "left")]);
    assert_eq!(world.registry.status().heartbeats, 2);
}

#[tokio::test]
async fn a_host_that_reconnects_takes_its_instances_over() {
    let world = World::new();
    let mut watching = world.watch().await;
    let before = world.host("left").await;
    before.register(vec![instance("calc", "left")]).await;
    watching.until(|set| set.len() == 1).await;
    let after = world.host("left").await;
    let newer = Instance { version: Some("2.0.0".into()), ..instance("calc", "left") };
    after.register(vec![newer.clone()]).await;
    before.hang_up();
    after.register(vec![newer.clone(), instance("text", "left")]).await;
    watching.until(|set| set.len() == 2).await;
    assert_eq!(watching.set[&id("calc", "left")], newer);
    assert_eq!(world.registry.status().suspected, 0);
}

#[tokio::test]
async fn only_hosts_register_and_only_in_their_own_name() {
    let world = World::new();
    let client = world.client().await;
    for request in [
        Request::Register(vec![instance("calc", "client")]),
        Request::Heartbeat(vec![id("calc", "client")]),
    ] {
        let refusal = client.refused(&request).await;
        assert_eq!(refusal.status, Status::PermissionDenied);
        assert!(refusal.message.contains("only a host can"), "{refusal}");
    }
    let right = world.host("right").await;
    let refusal = right.refused(&Request::Register(vec![instance("calc", "left")])).await;
    assert_eq!(refusal.status, Status::PermissionDenied);
    assert!(refusal.message.contains("host/right"), "{refusal}");
    let other = world.caller(Role::Registry, "other").await;
    let refusal = other.refused(&Request::Register(vec![instance("calc", "other")])).await;
    assert_eq!(refusal.status, Status::PermissionDenied);
    assert_eq!(world.registry.status().denied, 4);
}

#[tokio::test]
async fn an_address_that_is_the_registrys_own_is_refused() {
    let world = World::new();
    let host = world.host("left").await;
    let address = world.address.to_string();
    let own = Instance { address, ..instance("calc", "left") };
    let refusal = host.refused(&Request::Register(vec![own])).await;
    assert_eq!(refusal.status, Status::InvalidArgument);
    assert!(refusal.message.contains("registry's own"), "{refusal}");
}

#[tokio::test]
async fn lists_are_by_service_and_of_the_healthy_unless_all_are_asked_for() {
    let world = World::new();
    let (left, right) = (world.host("left").await, world.host("right").await);
    left.register(vec![instance("calc", "left"), instance("text", "left")]).await;
    right.register(vec![instance("calc", "right")]).await;
    right.deregister(&[id("calc", "right")]).await;
    let client = world.client().await;
    let calc = Some(instance("calc", "left").service);
    let healthy = ListQuery { service: calc.clone(), ..ListQuery::default() };
    let ids = |listing: jackfield_wire::registry::Listing| -> Vec<_> {
        listing.instances.into_iter().map(|instance| instance.id).collect()
    };
    assert_eq!(ids(client.list(healthy).await), [id("calc", "left")]);
    let all = ListQuery { service: calc, all: true, ..ListQuery::default() };
    assert_eq!(ids(client.list(all).await), [id("calc", "left"), id("calc", "right")]);
    assert_eq!(
        client.list(ListQuery { all: true, ..ListQuery::default() }).await.instances.len(),
        3
    );
}
