//! What is repeated, where, and what never is.

use std::time::Duration;

use jackfield_client::{CallError, CallOptions, Client};
use jackfield_wire::{Executed, Status};
use serde_json::Value;

use crate::fleet::Fleet;
use crate::harness::{Authority, Host, reaches};

fn says(host: &Host, answers: &[(Status, Executed)]) {
    let script = answers.iter().rev().map(|&(status, executed)| (status, executed, Some(1)));
    host.desk.script.lock().unwrap().extend(script);
}

async fn scripted(client: &Client) -> Result<String, CallError> {
    client.call("calc.scripted", ()).await
}

const UNAVAILABLE: (Status, Executed) = (Status::Unavailable, Executed::No);

#[tokio::test]
async fn a_call_that_was_not_executed_is_tried_elsewhere() {
    let fleet = Fleet::of(&["a", "b"]).await;
    says(&fleet.hosts[0], &[UNAVAILABLE; 9]);
    for _ in 0..4 {
        assert_eq!(scripted(&fleet.client).await.unwrap(), "b");
    }
    assert!(fleet.hosts[0].calls() >= 1);
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_repeated() {
    for executed in [Executed::Unknown, Executed::Yes] {
        let fleet = Fleet::of(&["a", "b"]).await;
        for host in &fleet.hosts {
            says(host, &[(Status::Internal, executed)]);
        }
        let error = scripted(&fleet.client).await.unwrap_err();
        assert!(matches!(error, CallError::ServiceError(_)), "{error}");
        assert_eq!((error.executed(), fleet.calls()), (executed, 1));
    }
}

#[tokio::test]
async fn an_idempotent_call_is_repeated_when_nobody_knows_whether_it_ran() {
    let fleet = Fleet::of(&["a", "b"]).await;
    says(&fleet.hosts[0], &[(Status::Internal, Executed::Unknown)]);
    says(&fleet.hosts[1], &[(Status::Internal, Executed::Unknown)]);
    let request = fleet.client.request("calc.scripted").unwrap().idempotent();
    let answer = request.send().await.unwrap();
    assert_eq!((answer.attempts.len(), fleet.calls()), (2, 3));
}

#[tokio::test]
async fn after_three_attempts_the_error_tells_all_of_them() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    says(&host, &[UNAVAILABLE; 9]);
    let client = authority.direct(&host).await;
    let error = scripted(&client).await.unwrap_err();
    let CallError::MaxRetriesExceeded(all) = &error else { panic!("{error}") };
    assert_eq!((all.attempts.len(), all.executed, host.calls()), (3, Executed::No, 3));
    assert_eq!(error.status(), Status::Unavailable);
    assert!(error.to_string().contains("attempt 3"), "{error}");
}

#[tokio::test]
async fn a_call_that_may_not_be_retried_is_made_once() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    says(&host, &[UNAVAILABLE]);
    let client = authority.direct(&host).await;
    let once = CallOptions::new().max_retries(0);
    let request = client.request("calc.scripted").unwrap().options(once);
    let error = request.send().await.unwrap_err();
    assert!(matches!(error, CallError::ServiceError(_)), "{error}");
    assert_eq!(host.calls(), 1);
}

#[tokio::test]
async fn a_wish_to_wait_longer_than_the_deadline_ends_the_call_at_once() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let wish = (Status::ResourceExhausted, Executed::No, Some(3_600_000));
    host.desk.script.lock().unwrap().push(wish);
    let client = authority.direct(&host).await;
    let error = scripted(&client).await.unwrap_err();
    assert_eq!((error.status(), host.calls()), (Status::ResourceExhausted, 1));
}

#[tokio::test]
async fn an_unknown_method_is_asked_for_once() {
    let fleet = Fleet::of(&["a", "b"]).await;
    let error = fleet.client.call::<_, Value>("calc.missing", ()).await.unwrap_err();
    assert!(matches!(error, CallError::ServiceError(_)), "{error}");
    assert_eq!((error.status(), fleet.calls()), (Status::NotFound, 1));
}

const WITHDRAWN: (Status, Executed) = (Status::NotFound, Executed::No);

#[tokio::test]
async fn a_service_that_one_host_just_withdrew_is_found_on_another() {
    let fleet = Fleet::of(&["a", "b"]).await.relisted(&["scripted"]).await;
    says(&fleet.hosts[0], &[WITHDRAWN; 9]);
    for _ in 0..4 {
        assert_eq!(scripted(&fleet.client).await.unwrap(), "b");
    }
    says(&fleet.hosts[1], &[WITHDRAWN; 9]);
    let error = scripted(&fleet.client).await.unwrap_err();
    assert!(matches!(error, CallError::ServiceError(_)), "{error}");
    assert_eq!((error.status(), error.attempts().len()), (Status::NotFound, 2));
}

#[tokio::test]
async fn a_draining_host_hands_its_calls_to_another() {
    let fleet = Fleet::of(&["a", "b"]).await;
    for _ in 0..2 {
        fleet.who().await;
    }
    fleet.hosts[0].server.stop_accepting();
    for _ in 0..6 {
        assert_eq!(fleet.who().await, "b");
    }
}

#[tokio::test]
async fn one_of_two_hosts_is_killed_and_calls_go_on() {
    let mut fleet = Fleet::of(&["a", "b"]).await;
    for _ in 0..2 {
        fleet.who().await;
    }
    fleet.hosts.remove(0).kill().await;
    for _ in 0..10 {
        assert_eq!(fleet.who().await, "b");
    }
}

/// Begins a call of `hold`, kills the host that holds it, and gives what becomes of the call.
async fn killed_while_running(idempotent: bool) -> (Fleet, Result<String, CallError>) {
    let mut fleet = Fleet::of(&["a", "b"]).await;
    fleet.hosts[1].desk.release.add_permits(1);
    fleet.hosts[0].desk.release.add_permits(1);
    assert_eq!(hold(&fleet.client, false).await.unwrap(), "released");
    let turn = usize::from(fleet.hosts[0].calls() == 1);
    let client = fleet.client.clone();
    let mut calls = tokio::task::JoinSet::new();
    let holding = fleet.hosts.remove(turn);
    while holding.desk.release.try_acquire().map(|permit| permit.forget()).is_ok() {}
    calls.spawn(async move { hold(&client, idempotent).await });
    reaches(&holding.desk.held, 1).await;
    fleet.hosts[0].desk.release.add_permits(1);
    holding.kill().await;
    (fleet, calls.join_next().await.unwrap().unwrap())
}

async fn hold(client: &Client, idempotent: bool) -> Result<String, CallError> {
    let request = client.request("calc.hold").unwrap();
    let request = if idempotent { request.idempotent() } else { request };
    request.send().await?.decode()
}

#[tokio::test]
async fn a_call_whose_host_is_killed_is_not_repeated_and_says_why() {
    let (fleet, outcome) = killed_while_running(false).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, CallError::ServiceError(_)), "{error}");
    assert_eq!((error.status(), error.executed()), (Status::Unavailable, Executed::Unknown));
    assert_eq!(fleet.hosts[0].calls(), 1);
}

#[tokio::test]
async fn an_idempotent_call_whose_host_is_killed_goes_on_elsewhere() {
    let (fleet, outcome) = killed_while_running(true).await;
    assert_eq!(outcome.unwrap(), "released");
    assert_eq!(fleet.hosts[0].calls(), 2);
}

#[tokio::test]
async fn a_dead_address_is_avoided_after_it_was_found_dead() {
    let mut fleet =
        Fleet::with(&["a", "b"], |b| b.connect_timeout(Duration::from_millis(200))).await;
    fleet.hosts.remove(0).kill().await;
    let mut retried = 0;
    for _ in 0..20 {
        let answer = fleet.client.request("calc.who").unwrap().send().await.unwrap();
        retried += answer.attempts.len();
    }
    // Taking turns without that knowledge, all but one would.
    assert!(retried <= 10, "{retried} of 20 calls went to the dead address first");
}
