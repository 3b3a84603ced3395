//! Calls over a network that loses, delays, doubles, reorders and cuts; by seed.

use std::time::Duration;

use jackfield_client::{CallError, Client};
use jackfield_relay::{Direction, Relay, Weather};
use jackfield_wire::{Executed, registry::Instance};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::harness::{Authority, Host, PATIENCE};
use crate::registry::{FakeRegistry, eventually, hosts, instance};

/// A host behind a relay, and a client of it alone.
struct Far {
    host: Host,
    relay: Relay,
    client: Client,
}

impl Far {
    async fn new(seed: u64) -> Self {
        let authority = Authority::new();
        let host = authority.host("far").await;
        let relay = Relay::spawn(seed, host.address()).await.unwrap();
        let builder = authority.builder().direct(relay.address().to_string());
        let client = builder.deadline(PATIENCE).build().await.unwrap();
        client.call::<_, String>("calc.who", ()).await.unwrap();
        Self { host, relay, client }
    }

    /// So many calls at once that are not idempotent; gives how many were answered.
    async fn burst(&self, calls: usize) -> usize {
        let mut burst = JoinSet::new();
        for n in 0..calls {
            let client = self.client.clone();
            burst.spawn(async move {
                client.call::<_, usize>("calc.first", (n,)).await.ok() == Some(n)
            });
        }
        burst.join_all().await.into_iter().filter(|right| *right).count()
    }
}

/// Every call gets its own answer, and the host has executed each exactly once.
async fn answers_each_once(seed: u64, weather: Weather) {
    let far = Far::new(seed).await;
    far.relay.set(weather);
    let before = far.host.calls();
    for _ in 0..4 {
        assert_eq!(far.burst(50).await, 50);
    }
    assert_eq!(far.host.calls() - before, 200);
}

#[tokio::test]
async fn five_in_a_hundred_lost_datagrams_cost_no_call_and_run_none_twice() {
    answers_each_once(5, Weather::losing(0.05)).await;
}

#[tokio::test]
async fn doubled_datagrams_run_no_call_twice() {
    answers_each_once(6, Weather { duplicate: 0.5, ..Weather::default() }).await;
}

#[tokio::test]
async fn late_and_overtaken_datagrams_give_every_call_its_own_answer() {
    let (delay, jitter) = (Duration::from_millis(10), Duration::from_millis(10));
    let weather = Weather { delay, jitter, reorder: 0.2, loss: 0.02, duplicate: 0.1 };
    answers_each_once(7, weather).await;
}

async fn ends_by_its_deadline_and_goes_on_after(cut: Direction) {
    let far = Far::new(8).await;
    far.relay.set_one(cut, Weather::PARTITION);
    let request = far.client.request("calc.who").unwrap();
    let error = request.deadline(Duration::from_millis(200)).send().await.unwrap_err();
    let CallError::RequestTimeout(error) = error else { panic!("{error}") };
    assert_eq!(error.executed, Executed::Unknown);
    far.relay.set(Weather::default());
    far.client.call::<_, String>("calc.who", ()).await.unwrap();
}

#[tokio::test]
async fn a_call_whose_answer_is_cut_off_ends_by_its_deadline() {
    ends_by_its_deadline_and_goes_on_after(Direction::ToClients).await;
}

#[tokio::test]
async fn a_call_that_does_not_arrive_ends_by_its_deadline() {
    ends_by_its_deadline_and_goes_on_after(Direction::ToServer).await;
}

/// Two hosts, the first behind a relay.
struct Pair {
    relay: Relay,
    hosts: [Host; 2],
    client: Client,
    _registry: FakeRegistry,
}

impl Pair {
    async fn new(seed: u64) -> Self {
        let authority = Authority::new();
        let pair = [authority.host("far").await, authority.host("near").await];
        let relay = Relay::spawn(seed, pair[0].address()).await.unwrap();
        let far =
            Instance { address: relay.address().to_string(), ..instance("calc", "far", &pair[0]) };
        let mut registry = FakeRegistry::start(&authority, 1).await;
        registry.whole(&[far, instance("calc", "near", &pair[1])], true);
        let builder = authority.builder().registry(registry.address().to_string());
        let client = builder.deadline(PATIENCE).build().await.unwrap();
        eventually(&client, |known| hosts(known, "calc").len() == 2).await;
        for _ in 0..4 {
            client.call::<_, String>("calc.who", ()).await.unwrap();
        }
        assert!(pair.iter().all(|host| host.calls() > 0), "both are connected to");
        Self { relay, hosts: pair, client, _registry: registry }
    }
}

#[tokio::test]
async fn an_idempotent_call_to_a_host_that_falls_silent_is_answered_by_another() {
    let pair = Pair::new(9).await;
    pair.relay.set_one(Direction::ToClients, Weather::PARTITION);
    for _ in 0..4 {
        let request = pair.client.request("calc.who").unwrap().idempotent();
        assert_eq!(request.send().await.unwrap().decode::<String>().unwrap(), "near");
    }
}

#[tokio::test]
async fn a_silent_host_is_chosen_again_once_it_is_heard() {
    let pair = Pair::new(10).await;
    pair.relay.set(Weather::PARTITION);
    for _ in 0..4 {
        let request = pair.client.request("calc.who").unwrap().idempotent();
        request.send().await.unwrap();
    }
    let before = pair.hosts[0].calls();
    pair.relay.set(Weather::default());
    let returns = async {
        while pair.hosts[0].calls() == before {
            let request = pair.client.request("calc.who").unwrap().idempotent();
            request.send().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, returns).await.expect("it is never chosen again");
}

#[tokio::test]
async fn a_call_that_may_not_run_twice_waits_for_a_silent_host() {
    let pair = Pair::new(11).await;
    pair.relay.set_one(Direction::ToClients, Weather::PARTITION);
    let before: usize = pair.hosts.iter().map(Host::calls).sum();
    let mut ended = Vec::new();
    for _ in 0..2 {
        let request = pair.client.request("calc.who").unwrap();
        ended.push(request.deadline(Duration::from_millis(900)).send().await);
    }
    // One went to each host: one is answered, the other is not repeated.
    let failed: Vec<_> = ended.iter().filter_map(|end| end.as_ref().err()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].executed(), Executed::Unknown);
    assert_eq!(pair.hosts.iter().map(Host::calls).sum::<usize>() - before, 2);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_and_made_again() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let builder = authority.builder().direct(host.address().to_string());
    let client = builder.idle_connection(Duration::from_millis(50)).build().await.unwrap();
    client.call::<_, Value>("calc.who", ()).await.unwrap();
    crate::harness::reaches(&host.desk.ended, 1).await;
    client.call::<_, Value>("calc.who", ()).await.unwrap();
    assert_eq!(host.connections(), 2);
}

#[tokio::test]
async fn no_more_hosts_are_connected_to_than_allowed() {
    let fleet = crate::fleet::Fleet::with(&["a", "b", "c"], |b| b.max_connections(2)).await;
    for _ in 0..6 {
        fleet.who().await;
    }
    let open =
        || fleet.hosts.iter().map(|h| h.connections() - *h.desk.ended.borrow()).sum::<usize>();
    tokio::time::timeout(PATIENCE, async {
        while open() > 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("at most two stay open");
}
