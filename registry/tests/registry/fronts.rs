//! Several front ends over one etcd cluster.

use std::time::Duration;

use jackfield_registry::{EtcdConfig, RegistryConfig, StoreConfig};
use jackfield_wire::Status;
use jackfield_wire::registry::{Health, ListQuery, Reply, Request, WatchEvent, WatchQuery};

use crate::etcd::Cluster;
use crate::harness::{World, id, instance, soon};

/// With a TTL that no test lives to see.
fn over(cluster: &Cluster) -> impl Fn(&mut RegistryConfig) {
    let store = StoreConfig::Etcd(EtcdConfig::new(cluster.addresses()));
    move |config| {
        config.store = store.clone();
        config.ttl = Duration::from_secs(3600);
    }
}

/// With a TTL that tests can see the end of.
fn impatient(cluster: &Cluster) -> impl Fn(&mut RegistryConfig) {
    let over = over(cluster);
    move |config| {
        over(config);
        config.ttl = Duration::from_secs(4);
        config.heartbeat = Duration::from_millis(200);
    }
}

fn all() -> ListQuery {
    ListQuery { all: true, ..ListQuery::default() }
}

#[tokio::test]
async fn what_one_front_end_takes_the_other_shows_and_a_watcher_goes_on_there() {
    let Some(cluster) = Cluster::start(1) else { return };
    let one = World::with(over(&cluster));
    let two = one.beside(over(&cluster));
    let (left, right) = (one.host("left").await, two.host("right").await);
    left.register(vec![instance("calc", "left")]).await;
    let mut watching = two.watch().await;
    watching.until_health(&id("calc", "left"), Some(Health::Healthy)).await;
    right.register(vec![instance("calc", "right")]).await;
    let resume = watching.revision;

    let mut moved = one.client().await.watch(WatchQuery { resume, ..Default::default() }).await;
    moved.until(|set| set.contains_key(&id("calc", "right"))).await;
    assert_eq!(moved.set.len(), 1, "only what it missed");
    watching.until(|set| set.len() == 2).await;
    assert_eq!(moved.revision, watching.revision);
    left.deregister(&[id("calc", "left")]).await;
    watching.until_health(&id("calc", "left"), Some(Health::Draining)).await;
}

#[tokio::test]
async fn a_host_that_moves_is_not_hurt_by_the_connection_that_it_left() {
    let Some(cluster) = Cluster::start(1) else { return };
    let one = World::with(over(&cluster));
    let two = one.beside(over(&cluster));
    let old = one.host("left").await;
    old.register(vec![instance("calc", "left")]).await;
    let mut watching = one.watch().await;
    let new = two.host("left").await;
    new.register(vec![instance("calc", "left")]).await;
    watching.next_delta().await;
    old.hang_up();
    // The answer to a later change on the same front end shows that the loss was dealt with.
    let other = one.host("other").await;
    other.register(vec![instance("text", "other")]).await;
    watching.until(|set| set.contains_key(&id("text", "other"))).await;
    assert_eq!(watching.set[&id("calc", "left")].health, Health::Healthy);
    assert!(new.heartbeat(&[id("calc", "left")]).await.is_empty());
}

#[tokio::test]
async fn hosts_that_register_at_two_front_ends_at_once_are_all_there() {
    let Some(cluster) = Cluster::start(1) else { return };
    let one = World::with(over(&cluster));
    let two = one.beside(over(&cluster));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16 {
        let front = if n % 2 == 0 { &one } else { &two };
        let name = format!("h{n}");
        let host = front.host(&name).await;
        tasks.spawn(async move {
            for service in 0..10 {
                host.register(vec![instance(&format!("s{service}"), &name)]).await;
            }
            host
        });
    }
    let hosts = soon(tasks.join_all()).await;
    for front in [&one, &two] {
        let mut watching = front.watch().await;
        watching.until(|set| set.len() == 160).await;
        assert_eq!(watching.revision.map(|revision| revision.number), Some(160));
    }
    drop(hosts);
}

#[tokio::test]
async fn while_etcd_is_away_changes_are_refused_and_all_else_goes_on() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    let world = World::with(over(&cluster));
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    let mut watching = world.watch().await;
    cluster.kill(0);
    let refused = host.refused(&Request::Register(vec![instance("text", "left")])).await;
    assert_eq!(refused.status, Status::Unavailable, "{refused}");
    assert!(host.heartbeat(&[id("calc", "left")]).await.is_empty());
    assert_eq!(world.client().await.list(all()).await.instances.len(), 1);
    assert!(matches!(watching.next().await, WatchEvent::Idle(..)));
    cluster.restart(0);
    while let Reply::Refused(refused) =
        host.ask(&Request::Register(vec![instance("text", "left")])).await
    {
        assert_eq!(refused.status, Status::Unavailable, "{refused}");
    }
    watching.until(|set| set.len() == 2).await;
}

#[tokio::test]
async fn a_front_end_that_lost_its_lease_sends_its_hosts_and_watchers_away() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    let world = World::with(impatient(&cluster));
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    let mut watching = world.watch().await;
    cluster.kill(0);
    while soon(watching.try_next()).await.is_some() {}
    let refused = host.refused(&Request::Heartbeat(vec![id("calc", "left")])).await;
    assert_eq!(refused.status, Status::Unavailable);
    assert!(refused.message.contains("connect to another"), "{refused}");
    // Who comes nevertheless gets what is known, and nothing expires.
    let mut watching = world.watch().await;
    assert_eq!(watching.set.len(), 1);
    cluster.restart(0);
    while let Reply::Refused(_) = host.ask(&Request::Register(vec![instance("calc", "left")])).await
    {
    }
    while let Reply::Refused(_) = host.ask(&Request::Heartbeat(vec![id("calc", "left")])).await {}
    watching.until_health(&id("calc", "left"), Some(Health::Healthy)).await;
}

#[tokio::test]
async fn where_somebody_empties_etcd_watchers_get_the_whole_set_and_hosts_come_back() {
    let Some(cluster) = Cluster::start(1) else { return };
    let world = World::with(over(&cluster));
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left"), instance("text", "left")]).await;
    let mut watching = world.watch().await;
    let before = watching.revision.unwrap();
    cluster.ctl(&["del", "--prefix", EtcdConfig::DEFAULT_PREFIX]);
    loop {
        match watching.try_next().await {
            Some(WatchEvent::Snapshot(set)) if set.revision.epoch != before.epoch => {
                assert!(set.instances.is_empty() && set.last);
                break;
            }
            Some(_) => {}
            // The front end's own key was among what was removed: its watchers go elsewhere.
            None => watching = world.watch().await,
        }
    }
    assert_eq!(host.heartbeat(&[id("calc", "left")]).await, [id("calc", "left")]);
    while let Reply::Refused(_) = host.ask(&Request::Register(vec![instance("calc", "left")])).await
    {
    }
    assert_eq!(world.client().await.list(all()).await.instances.len(), 1);
}

#[tokio::test]
async fn a_cluster_of_three_that_loses_a_member_takes_changes() {
    let Some(mut cluster) = Cluster::start(3) else { return };
    let one = World::with(over(&cluster));
    let two = one.beside(over(&cluster));
    let (left, right) = (one.host("left").await, two.host("right").await);
    let mut watching = two.watch().await;
    for member in 0..3 {
        cluster.kill(member);
        for (host, name) in [(&left, "left"), (&right, "right")] {
            let service = format!("s{member}");
            let all = vec![instance(&service, name)];
            while let Reply::Refused(refused) = host.ask(&Request::Register(all.clone())).await {
                assert_eq!(refused.status, Status::Unavailable, "{refused}");
            }
            watching.until(|set| set.contains_key(&id(&service, name))).await;
        }
        cluster.restart(member);
    }
    assert_eq!(watching.set.len(), 6);
    assert_eq!(one.client().await.list(all()).await.instances.len(), 6);
}
