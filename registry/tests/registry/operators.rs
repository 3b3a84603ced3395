//! Orders over the wire: who may give them, and what becomes of them.

use jackfield_wire::Status;
use jackfield_wire::registry::{Edit, InstancePatch, Reply, Request, ServicePatch};

use crate::harness::{World, id, instance};

fn disable() -> Request {
    let patch = InstancePatch { disabled: Some(true), ..InstancePatch::new(id("calc", "left")) };
    Request::SetInstance(patch)
}

#[tokio::test]
async fn an_order_reaches_watchers_and_survives_the_host() {
    let world = World::new();
    let mut watching = world.watch().await;
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    let operator = world.client().await;
    let Reply::InstanceSet(order) = operator.ask(&disable()).await else { panic!() };
    assert!(order.disabled);
    watching.until(|set| set.values().any(|instance| !instance.enabled)).await;
    host.deregister(&[id("calc", "left")]).await;
    drop(host);
    watching.until(|set| set.is_empty()).await;
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    watching.until(|set| set.len() == 1).await;
    assert!(!watching.set[&id("calc", "left")].enabled);
}

#[tokio::test]
async fn an_operator_takes_back_what_is_anothers() {
    let world = World::new();
    let mut watching = world.watch().await;
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    assert_eq!(world.client().await.deregister(&[id("calc", "left")]).await, 1);
    watching
        .until_health(&id("calc", "left"), Some(jackfield_wire::registry::Health::Draining))
        .await;
}

#[tokio::test]
async fn only_those_who_are_named_give_orders() {
    let world = World::with(|config| config.operators = vec!["somebody".into()]);
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    let client = world.client().await;
    let refusal = client.refused(&disable()).await;
    assert_eq!(refusal.status, Status::PermissionDenied);
    assert!(refusal.message.contains("--operator"), "{}", refusal.message);
    let patch =
        ServicePatch { timeout_ms: Edit::Set(1), ..ServicePatch::new("calc".parse().unwrap()) };
    let refusal = client.refused(&Request::SetService(patch)).await;
    assert_eq!(refusal.status, Status::PermissionDenied);
    let refusal = client.refused(&Request::Deregister(vec![id("calc", "left")])).await;
    assert_eq!(refusal.status, Status::PermissionDenied);
}

#[tokio::test]
async fn who_is_named_gives_orders() {
    let world = World::with(|config| config.operators = vec!["client".into()]);
    world.host("left").await.register(vec![instance("calc", "left")]).await;
    let Reply::InstanceSet(_) = world.client().await.ask(&disable()).await else { panic!() };
}
