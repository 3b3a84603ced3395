//! Networks that are cut, in both directions or in one, between the registry and those who use it.

use std::time::Duration;

use jackfield_relay::{Direction, Relay, Weather};
use jackfield_transport::Role;
use jackfield_wire::registry::{Health, Instance, WatchEvent, WatchQuery};

use crate::harness::{World, id, instance, soon};

/// Longer than any test lives.
const HOUR: Duration = Duration::from_secs(3600);
/// Everything, and each direction alone.
const CUTS: [&[Direction]; 3] =
    [&[Direction::ToServer, Direction::ToClients], &[Direction::ToServer], &[Direction::ToClients]];

/// A connection that is silent for a second is dead, long before a lease is.
fn world(ttl: Duration) -> World {
    World::with(|config| {
        config.ttl = ttl;
        config.heartbeat = Duration::from_millis(200);
        config.limits.idle_timeout = Duration::from_secs(1);
        config.limits.keep_alive = Duration::from_millis(200);
    })
}

async fn relay(world: &World) -> Relay {
    Relay::spawn(7, world.address).await.unwrap()
}

fn cut(relay: &Relay, directions: &[Direction]) {
    for direction in directions {
        relay.set_one(*direction, Weather::PARTITION);
    }
}

#[tokio::test]
async fn a_host_that_is_cut_off_is_suspect_then_gone_and_back_when_the_network_is() {
    for directions in CUTS {
        let world = world(Duration::from_secs(4));
        let relay = relay(&world).await;
        let near = world.host("near").await;
        // It needs no heartbeat: its health is not what this is about.
        let stays = Instance { check_healthy: false, ..instance("calc", "near") };
        near.register(vec![stays]).await;
        let far = world.caller_at(relay.address(), Role::Host, "far").await;
        far.register(vec![instance("calc", "far")]).await;
        let mut watching = world.watch().await;
        cut(&relay, directions);
        watching.until_health(&id("calc", "far"), Some(Health::Suspect)).await;
        watching.until_health(&id("calc", "far"), None).await;
        assert_eq!(watching.set[&id("calc", "near")].health, Health::Healthy);

        relay.set(Weather::default());
        let back = world.caller_at(relay.address(), Role::Host, "far").await;
        assert_eq!(back.heartbeat(&[id("calc", "far")]).await, [id("calc", "far")]);
        back.register(vec![instance("calc", "far")]).await;
        watching.until_health(&id("calc", "far"), Some(Health::Healthy)).await;
    }
}

#[tokio::test]
async fn a_host_whose_network_comes_back_within_its_lease_was_never_gone() {
    for directions in CUTS {
        let world = world(HOUR);
        let relay = relay(&world).await;
        let far = world.caller_at(relay.address(), Role::Host, "far").await;
        far.register(vec![instance("calc", "far")]).await;
        let mut watching = world.watch().await;
        cut(&relay, directions);
        watching.until_health(&id("calc", "far"), Some(Health::Suspect)).await;
        relay.set(Weather::default());
        let back = world.caller_at(relay.address(), Role::Host, "far").await;
        back.register(vec![instance("calc", "far")]).await;
        while let Some(instance) = watching.set.get(&id("calc", "far"))
            && instance.health != Health::Healthy
        {
            watching.next().await;
        }
        assert!(watching.set.contains_key(&id("calc", "far")), "it was gone for a while");
        assert_eq!(world.registry.status().expired, 0);
    }
}

#[tokio::test]
async fn a_watcher_that_is_cut_off_is_let_go_and_resumes_with_what_it_missed() {
    for directions in CUTS {
        let world = world(HOUR);
        let relay = relay(&world).await;
        let near = world.host("near").await;
        near.register(vec![instance("calc", "near")]).await;
        let mut direct = world.watch().await;
        let far = world.caller_at(relay.address(), Role::Client, "client").await;
        let far = far.watch(WatchQuery::default()).await;
        let resume = far.revision;
        cut(&relay, directions);
        while world.registry.status().watches > 1 {
            direct.next().await;
        }
        soon(far.caller.connection.closed()).await;
        near.register(vec![instance("text", "near")]).await;

        relay.set(Weather::default());
        let back = world.caller_at(relay.address(), Role::Client, "client").await;
        let query = WatchQuery { resume, ..WatchQuery::default() };
        let mut back = back.watch(query).await;
        back.until(|set| set.contains_key(&id("text", "near"))).await;
        assert!(!back.set.contains_key(&id("calc", "near")), "only what it missed");
        assert!(!matches!(back.next().await, WatchEvent::Snapshot(_)));
    }
}
