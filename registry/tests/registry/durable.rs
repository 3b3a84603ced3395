//! A registry that lasts: what a restart leaves as it was.

use jackfield_registry::{Registry, SpawnError, StoreError};
use jackfield_wire::registry::{Health, ListQuery, WatchQuery};

use crate::harness::{World, id, instance};

#[tokio::test]
async fn a_restart_serves_the_old_set_at_once_and_asks_its_hosts_to_come_back() {
    let world = World::durable();
    let left = world.host("left").await;
    left.register(vec![instance("calc", "left"), instance("text", "left")]).await;
    left.deregister(&[id("text", "left")]).await;
    let all = ListQuery { all: true, ..ListQuery::default() };
    let before = world.client().await.list(all.clone()).await;

    let world = world.restart().await;
    assert_eq!(world.client().await.list(all).await, before);
    let left = world.host("left").await;
    assert_eq!(left.heartbeat(&[id("calc", "left")]).await, [id("calc", "left")]);
    left.register(vec![instance("calc", "left")]).await;
    assert_eq!(world.registry.status().revision, before.revision);
}

#[tokio::test]
async fn a_watcher_resumes_across_a_restart_without_the_whole_set() {
    let world = World::durable();
    let (left, right) = (world.host("left").await, world.host("right").await);
    left.register(vec![instance("calc", "left")]).await;
    right.register(vec![instance("calc", "right")]).await;
    let resume = world.watch().await.revision;
    right.deregister(&[id("calc", "right")]).await;

    let world = world.restart().await;
    let mut missed =
        world.client().await.watch(WatchQuery { resume, ..WatchQuery::default() }).await;
    assert_eq!(missed.set.keys().collect::<Vec<_>>(), [&id("calc", "right")]);
    assert_eq!(missed.set[&id("calc", "right")].health, Health::Draining);
    left.hang_up();
    let right = world.host("right").await;
    right.deregister(&[id("calc", "right")]).await;
    assert_eq!(missed.next_delta().await.removed, [id("calc", "right")]);
}

#[tokio::test]
async fn a_new_store_begins_a_new_count() {
    let (old, new) = (World::durable(), World::durable());
    new.host("left").await.register(vec![instance("calc", "left")]).await;
    let resume = old.watch().await.revision;
    let watching = new.client().await.watch(WatchQuery { resume, ..WatchQuery::default() }).await;
    assert_eq!(watching.set.len(), 1);
    assert_ne!(watching.revision.map(|r| r.epoch), resume.map(|r| r.epoch));
}

#[tokio::test]
async fn two_registries_do_not_share_a_file() {
    let world = World::durable();
    let Err(error) = Registry::spawn(world.durable_config()) else { panic!("two on one file") };
    assert!(matches!(error, SpawnError::Store(StoreError::InUse { .. })), "{error}");
    assert!(error.to_string().contains("registry.sqlite is in use"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_refused_by_name_and_with_what_repairs_it() {
    let world = World::new();
    std::fs::write(world.store(), "x".repeat(5000)).unwrap();
    let Err(error) = Registry::spawn(world.durable_config()) else { panic!("damaged, and taken") };
    assert!(matches!(error, SpawnError::Store(StoreError::Damaged { .. })), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("registry.sqlite is damaged") && text.contains("jackfield registry repair"),
        "{text}"
    );
}
