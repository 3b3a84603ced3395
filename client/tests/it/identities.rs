//! Who is not believed.

use jackfield_client::{BuildError, CallError, Client};
use jackfield_transport::Role;
use jackfield_wire::{Executed, Status};

use crate::fleet::Fleet;
use crate::harness::Authority;
use crate::registry::{FakeRegistry, eventually, failing, instance};

#[tokio::test]
async fn a_host_that_is_not_who_the_registry_says_gets_no_call() {
    let authority = Authority::new();
    let host = authority.host("mallory").await;
    let mut registry = FakeRegistry::start(&authority, 1).await;
    registry.whole(&[instance("calc", "alice", &host)], true);
    let builder = authority.builder().registry(registry.address().to_string());
    let client = builder.build().await.unwrap();
    let error = client.call::<_, String>("calc.who", ()).await.unwrap_err();
    assert!(matches!(error, CallError::NoAvailableInstance(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("alice") && text.contains("host/mallory"), "{text}");
    assert_eq!((error.status(), error.executed()), (Status::Unauthenticated, Executed::No));
    assert_eq!(host.calls(), 0);
}

#[tokio::test]
async fn an_impostor_is_passed_over_for_a_host_that_is_who_it_says() {
    let mut fleet = Fleet::of(&["a", "b"]).await;
    let mut wrong = fleet.instances[0].clone();
    wrong.address = fleet.hosts[1].address().to_string();
    fleet.registry.change(&[wrong], &[]);
    let moved = |known: &jackfield_client::Snapshot| {
        known.endpoints("calc").iter().all(|e| e.address == Some(fleet.hosts[1].address()))
    };
    eventually(&fleet.client, moved).await;
    for _ in 0..8 {
        assert_eq!(fleet.who().await, "b");
    }
    assert_eq!(fleet.hosts[0].calls(), 0);
}

#[tokio::test]
async fn a_host_of_another_authority_gets_no_call() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let host = theirs.host("one").await;
    let client = ours.direct(&host).await;
    let error = client.call::<_, String>("calc.who", ()).await.unwrap_err();
    assert_eq!((error.status(), error.executed()), (Status::Unauthenticated, Executed::No));
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(host.calls(), 0);
}

#[tokio::test]
async fn a_registry_is_no_host_and_a_host_no_registry() {
    let authority = Authority::new();
    let registry = FakeRegistry::start(&authority, 1).await;
    let client = authority.builder().direct(registry.address().to_string()).build().await.unwrap();
    let error = client.call::<_, String>("calc.who", ()).await.unwrap_err();
    assert!(matches!(error, CallError::NoAvailableInstance(_)), "{error}");
    let host = authority.host("one").await;
    let client = authority.builder().registry(host.address().to_string()).build().await.unwrap();
    let link = failing(&client).await;
    let message = &link.failures[0].message;
    assert!(message.contains("certificate") || message.contains("speak"), "{message}");
    assert_eq!(link.connected, None);
}

#[tokio::test]
async fn an_identity_of_another_role_makes_no_client() {
    let authority = Authority::new();
    let identity = authority.identity(Role::Registry, "one");
    let error = Client::builder().identity(identity).build().await.unwrap_err();
    assert!(matches!(error, BuildError::Role(_)), "{error}");
}

#[tokio::test]
async fn without_a_word_the_identity_comes_from_the_state_directory() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let builder = Client::builder().state_dir(authority.path().join("state"));
    let client = builder.direct(host.address().to_string()).build().await.unwrap();
    assert_eq!(client.call::<_, String>("calc.who", ()).await.unwrap(), "one");
}

#[tokio::test]
async fn a_place_that_is_none_and_two_ways_at_once_make_no_client() {
    let authority = Authority::new();
    let error = authority.builder().registry("localhost").build().await.unwrap_err();
    assert!(error.to_string().contains("HOST:PORT"), "{error}");
    let both = authority.builder().registry("127.0.0.1:1").direct("127.0.0.1:2");
    assert!(matches!(both.build().await, Err(BuildError::Both)));
}
