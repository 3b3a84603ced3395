//! Hosts that go away politely.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::fleet::Fleet;
use crate::harness::Authority;
use crate::registry::instance;

#[tokio::test]
async fn a_host_that_says_it_will_close_is_left_before_the_registry_knows() {
    let fleet = Fleet::of(&["a", "b"]).await;
    fleet.hosts[0].desk.draining.store(true, Ordering::SeqCst);
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(fleet.who().await);
    }
    assert_eq!(answers.iter().filter(|name| *name == "a").count(), 1, "{answers:?}");
}

#[tokio::test]
async fn the_only_host_is_called_although_it_will_close() {
    let fleet = Fleet::of(&["a"]).await;
    fleet.hosts[0].desk.draining.store(true, Ordering::SeqCst);
    assert_eq!((fleet.who().await, fleet.who().await), ("a".into(), "a".into()));
}

#[tokio::test]
async fn hosts_that_restart_in_turn_without_a_word_to_the_registry_cost_no_call() {
    let authority = Authority::new();
    let names = ["a", "b", "c"];
    let mut hosts = Vec::new();
    for name in names {
        hosts.push(authority.host(name).await);
    }
    let mut registry = crate::registry::FakeRegistry::start(&authority, 1).await;
    let instances: Vec<_> =
        names.iter().zip(&hosts).map(|(name, host)| instance("calc", name, host)).collect();
    registry.whole(&instances, true);
    let builder = authority.builder().registry(registry.address().to_string());
    let client = builder.deadline(crate::harness::PATIENCE).build().await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let (client, stopped) = (client.clone(), stopped.clone());
        callers.spawn(async move {
            while !*stopped.borrow() {
                client.call::<_, String>("calc.who", ()).await.unwrap();
            }
        });
    }
    let mut restarted = Vec::new();
    for (name, host) in names.into_iter().zip(hosts) {
        let address = host.address();
        host.server.stop_accepting();
        host.server.shutdown(Duration::from_secs(5)).await;
        let again = authority.host_on(name, address, Default::default()).await;
        while again.calls() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        restarted.push(again);
    }
    stop.send_replace(true);
    callers.join_all().await;
}
