//! What one peer can take up.

use jackfield_wire::Status;
use jackfield_wire::registry::{Request, WatchQuery};

use crate::harness::{World, instance};

#[tokio::test]
async fn watches_are_bounded_and_a_closed_one_makes_room() {
    let world = World::with(|config| config.max_watches_per_peer = 2);
    let first = world.watch().await;
    let mut second = world.watch().await;
    let client = world.client().await;
    let refusal = client.refused(&Request::Watch(WatchQuery::default())).await;
    assert_eq!(refusal.status, Status::ResourceExhausted);
    assert!(refusal.message.contains("2 watches"), "{refusal}");
    first.caller.hang_up();
    // The registry learns of it when it learns of it: the place is free some time later.
    while world.registry.status().watches == 2 {
        second.caller.list(Default::default()).await;
    }
    let host = world.host("left").await;
    let mut third = client.watch(WatchQuery::default()).await;
    host.register(vec![instance("calc", "left")]).await;
    second.next_delta().await;
    third.next_delta().await;
}

#[tokio::test]
async fn instances_of_one_host_are_bounded() {
    let world = World::with(|config| config.max_instances_per_host = 2);
    let host = world.host("left").await;
    let three = ["a", "b", "c"].map(|service| instance(service, "left")).to_vec();
    let refusal = host.refused(&Request::Register(three)).await;
    assert_eq!(refusal.status, Status::ResourceExhausted);
    host.register(vec![instance("a", "left"), instance("b", "left")]).await;
    assert_eq!(world.registry.status().instances, 2);
}
