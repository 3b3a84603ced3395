//! Watches over the wire.

use jackfield_wire::Namespace;
use jackfield_wire::registry::{ListQuery, WatchEvent, WatchQuery};

use crate::harness::{Watching, World, id, instance, soon};

#[tokio::test]
async fn fifty_watchers_see_the_same() {
    let world = World::new();
    let mut watchers = Vec::new();
    for _ in 0..50 {
        watchers.push(world.watch().await);
    }
    let host = world.host("left").await;
    for service in ["calc", "text", "shapes"] {
        host.register(vec![instance(service, "left")]).await;
    }
    host.deregister(&[id("text", "left")]).await;
    host.hang_up();
    let all = ListQuery { all: true, ..ListQuery::default() };
    for watching in &mut watchers {
        watching.until(|set| !set.contains_key(&id("text", "left")) && set.len() == 2).await;
        watching.until(|set| set.values().all(|instance| !instance.is_available())).await;
    }
    let listing = world.client().await.list(all).await;
    for watching in &watchers {
        assert_eq!(watching.set.values().cloned().collect::<Vec<_>>(), listing.instances);
        assert_eq!(watching.revision, Some(listing.revision));
    }
    assert_eq!(world.registry.status().watches, 50);
}

#[tokio::test]
async fn a_watch_of_one_service_is_silent_about_others() {
    let world = World::new();
    let service = Some(instance("calc", "left").service);
    let query = WatchQuery { service, ..WatchQuery::default() };
    let mut watching = world.client().await.watch(query).await;
    let host = world.host("left").await;
    host.register(vec![instance("text", "left")]).await;
    host.register(vec![instance("calc", "left")]).await;
    let delta = watching.next_delta().await;
    assert_eq!(delta.upserted, [instance("calc", "left")]);
}

#[tokio::test]
async fn a_watch_resumes_where_it_was_on_another_connection() {
    let world = World::new();
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    let Watching { revision, caller, .. } = world.watch().await;
    caller.hang_up();
    host.register(vec![instance("text", "left")]).await;
    let query = WatchQuery { resume: revision, ..WatchQuery::default() };
    let watching = world.client().await.watch(query).await;
    let missed: Vec<_> = watching.set.into_keys().collect();
    assert_eq!(missed, [id("text", "left")]);
}

#[tokio::test]
async fn a_revision_of_another_registry_gets_the_whole_set() {
    let (old, new) = (World::new(), World::new());
    let host = new.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    let resume = old.watch().await.revision;
    let watching = new.client().await.watch(WatchQuery { resume, ..WatchQuery::default() }).await;
    assert_eq!(watching.set.len(), 1);
}

#[tokio::test]
async fn a_list_tells_how_long_ago_the_last_heartbeat_was() {
    let world = World::new();
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    let age = async || host.aged(ListQuery::default()).await.instances[0].last_heartbeat_ms;
    assert!(age().await.is_some());
}

#[tokio::test]
async fn a_watcher_of_a_namespace_sees_that_and_no_other() {
    let world = World::new();
    let host = world.host("left").await;
    let staging = Namespace::new("staging").unwrap();
    let there = instance("calc", "left").in_namespace(staging.clone());
    host.register(vec![instance("calc", "left"), there.clone()]).await;
    let query = WatchQuery { namespace: Some(staging.clone()), ..WatchQuery::default() };
    let watching = world.client().await.watch(query).await;
    assert_eq!(watching.set.values().collect::<Vec<_>>(), [&there]);
    let query = ListQuery { namespace: Some(staging), ..ListQuery::default() };
    assert_eq!(world.client().await.list(query).await.instances, [there]);
    let everywhere = world.client().await.list(ListQuery::default()).await;
    assert_eq!(everywhere.instances.len(), 2);
}

#[tokio::test]
async fn silence_brings_signs_of_life_and_authority_is_told_when_it_comes() {
    let world = World::impatient();
    let mut watching = world.watch().await;
    while !watching.authoritative {
        watching.next().await;
    }
    let revision = watching.revision;
    for _ in 0..3 {
        let event = watching.next().await;
        assert!(matches!(event, WatchEvent::Idle(at, Some(_)) if Some(at) == revision));
    }
    assert!(world.registry.status().authoritative);
    assert!(!World::new().watch().await.authoritative);
}

#[tokio::test]
async fn a_set_larger_than_a_frame_arrives_whole() {
    let world = World::new();
    let method =
        jackfield_wire::registry::MethodSummary { name: "m".into(), wit: "x".repeat(10 << 10) };
    for host in 0..20 {
        let name = format!("h{host:02}");
        let mut fat = instance("calc", &name);
        fat.methods = vec![method.clone(); 11];
        // Its connection ends here: suspect, but in the set.
        world.host(&name).await.register(vec![fat]).await;
    }
    let mut watching = world.watch().await;
    watching.until(|set| set.len() == 20).await;
}

#[tokio::test]
async fn a_watcher_that_does_not_read_gets_the_latest_state_and_not_every_state() {
    let world = World::new();
    let mut watching = world.watch().await;
    let host = world.host("left").await;
    let method =
        jackfield_wire::registry::MethodSummary { name: "m".into(), wit: "x".repeat(10 << 10) };
    // Together ten times what the watcher's windows hold.
    for version in 0..120 {
        let mut fat = instance("calc", "left");
        fat.methods = vec![method.clone(); 11];
        fat.version = Some(version.to_string());
        host.register(vec![fat]).await;
    }
    let mut events = 0;
    while watching.set.get(&id("calc", "left")).and_then(|i| i.version.as_deref()) != Some("119") {
        watching.next().await;
        events += 1;
    }
    assert!(events < 60, "{events} events for 120 changes");
}

#[tokio::test]
async fn a_shutdown_ends_watches_regularly() {
    let world = World::new();
    let mut watching = world.watch().await;
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    watching.until(|set| set.len() == 1).await;
    let grace = std::time::Duration::from_secs(30);
    let (report, end) = tokio::join!(soon(world.registry.shutdown(grace)), watching.try_next());
    assert_eq!(end, None);
    assert_eq!((report.connections, report.cut_off), (2, 0));
    soon(host.connection.closed()).await;
}

#[tokio::test]
async fn a_poll_waits_for_a_change_of_what_it_asks_for() {
    let world = World::new();
    let host = world.host("left").await;
    host.register(vec![instance("text", "left")]).await;
    let client = world.client().await;
    let calc = ListQuery { service: "calc".parse().ok(), ..ListQuery::default() };
    let since = Some(client.list(calc.clone()).await.revision);
    let poll = ListQuery { since, wait_ms: Some(1), ..calc.clone() };
    let unchanged = client.list(poll).await;
    assert!(unchanged.unchanged && unchanged.instances.is_empty());
    let poll = ListQuery { since, wait_ms: Some(60_000), ..calc };
    let change = async {
        host.register(vec![instance("shapes", "left")]).await;
        host.register(vec![instance("calc", "left")]).await;
    };
    let (found, ()) = tokio::join!(client.list(poll), change);
    assert!(!found.unchanged);
    assert_eq!(found.instances, [instance("calc", "left")]);
}
