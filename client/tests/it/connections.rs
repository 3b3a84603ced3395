//! How calls share connections.

use std::net::SocketAddr;
use std::sync::Arc;

use jackfield_client::{CallError, CallOptions, Client, Looking, Resolve};
use jackfield_wire::{Executed, Status};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::fleet::Fleet;
use crate::harness::{Authority, PATIENCE, reaches};

async fn who(client: &Client) -> Result<String, CallError> {
    client.call("calc.who", ()).await
}

#[tokio::test]
async fn a_thousand_calls_share_one_connection() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    for _ in 0..1000 {
        assert_eq!(who(&client).await.unwrap(), "one");
    }
    assert_eq!((host.calls(), host.connections()), (1000, 1));
}

#[tokio::test]
async fn calls_that_begin_together_dial_once() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let client = client.clone();
        calls.spawn(async move { who(&client).await });
    }
    assert!(calls.join_all().await.into_iter().all(|answer| answer.unwrap() == "one"));
    assert_eq!((host.calls(), host.connections()), (64, 1));
}

#[tokio::test]
async fn sixteen_clients_are_served_while_the_call_of_another_sleeps() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let sleeper = authority.direct(&host).await;
    let mut sleeping = tokio::task::JoinSet::new();
    sleeping.spawn(async move { sleeper.call::<_, String>("calc.hold", ()).await });
    reaches(&host.desk.held, 1).await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let client = authority.direct(&host).await;
        clients.spawn(async move {
            for _ in 0..20 {
                who(&client).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    assert_eq!((host.calls(), host.connections()), (1 + 16 * 20, 17));
    host.desk.release.add_permits(1);
    assert_eq!(sleeping.join_next().await.unwrap().unwrap().unwrap(), "released");
}

#[tokio::test]
async fn a_host_that_comes_back_is_connected_to_again() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let (client, address) = (authority.direct(&host).await, host.address());
    who(&client).await.unwrap();
    host.kill().await;
    let again = authority.host_on("one", address, Default::default()).await;
    assert_eq!(who(&client).await.unwrap(), "one");
    assert_eq!(again.connections(), 1);
}

#[tokio::test]
async fn a_port_that_nobody_has_is_an_error_that_says_so() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let (client, address) = (authority.direct(&host).await, host.address());
    host.kill().await;
    let error = who(&client).await.unwrap_err();
    assert_eq!((error.status(), error.executed()), (Status::Unavailable, Executed::No));
    assert_eq!(error.attempts().len(), 3);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

/// Leads everywhere to one address, and counts the look-ups.
#[derive(Debug)]
struct Counting(SocketAddr, watch::Sender<usize>);

impl Resolve for Counting {
    fn resolve<'a>(&'a self, _: &'a str) -> Looking<'a> {
        self.1.send_modify(|count| *count += 1);
        Box::pin(async { Ok(vec![self.0]) })
    }
}

#[tokio::test]
async fn calls_wait_for_their_only_host_while_that_restarts() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let address = host.address();
    let names = Arc::new(Counting(address, watch::Sender::new(0)));
    let builder = authority.builder().direct("one.example:1").resolver(names.clone());
    let client = builder.deadline(PATIENCE).build().await.unwrap();
    who(&client).await.unwrap();
    host.kill().await;
    let mut calls = JoinSet::new();
    (0..20).for_each(|_| _ = calls.spawn(client.request("calc.who").unwrap().send()));
    // The name is looked up again by whoever has dialled in vain.
    reaches(&names.1, 3).await;
    let again = authority.host_on("one", address, Default::default()).await;
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|it| it.host == "one")));
    assert_eq!((again.calls(), again.connections()), (20, 1));
    assert!(answers.iter().flatten().all(|answer| answer.attempts.len() <= 2), "{answers:?}");
}

#[tokio::test]
async fn a_call_that_may_not_be_repeated_waits_for_nobody() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    who(&client).await.unwrap();
    host.kill().await;
    let once = CallOptions::new().max_retries(0);
    let error = client.request("calc.who").unwrap().options(once).send().await.unwrap_err();
    assert_eq!((error.executed(), error.attempts().len()), (Executed::No, 1));
}

#[tokio::test]
async fn hosts_are_reached_over_ipv6() {
    let authority = Authority::new();
    let host = authority.host_on("six", "[::1]:0".parse().unwrap(), Default::default()).await;
    let client = authority.direct(&host).await;
    assert_eq!(who(&client).await.unwrap(), "six");
}

#[tokio::test]
async fn a_closed_client_says_so_and_ends_its_connections() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    who(&client).await.unwrap();
    client.close().await;
    reaches(&host.desk.ended, 1).await;
    let error = who(&client).await.unwrap_err();
    assert!(error.to_string().contains("the client is closed"), "{error}");
}

#[tokio::test]
async fn the_last_clone_of_a_client_takes_its_connections_with_it() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let clone = client.clone();
    who(&client).await.unwrap();
    drop(client);
    who(&clone).await.unwrap();
    assert_eq!(host.connections(), 1);
    drop(clone);
    reaches(&host.desk.ended, 1).await;
}

#[tokio::test]
async fn the_last_client_of_a_registry_takes_its_watch_with_it() {
    let fleet = Fleet::of(&["a"]).await;
    fleet.who().await;
    let Fleet { registry, hosts, client, .. } = fleet;
    assert_eq!(*registry.ended().borrow(), 0);
    drop(client);
    reaches(registry.ended(), 1).await;
    reaches(&hosts[0].desk.ended, 1).await;
}
