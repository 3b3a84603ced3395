//! From what a registry says to what calls do.

use std::time::Duration;

use jackfield_client::{CallError, NoInstance, Origin, PickerKind};
use jackfield_registry::{Registry, RegistryConfig};
use jackfield_transport::{Connection, Dialer, Protocol, Role, TransportLimits};
use jackfield_wire::registry::{
    Health, Instance, Refusal, Reply, Request, Revision, Snapshot as Part, WatchEvent,
};
use jackfield_wire::{Executed, FrameKind, Status, from_cbor, to_cbor};
use serde_json::Value;

use crate::fleet::Fleet;
use crate::harness::{Authority, LOOPBACK};
use crate::registry::{FakeRegistry, eventually, failing, hosts, instance};

/// A host's side of a registry: the lease lives as long as the connection.
pub(crate) async fn register(
    authority: &Authority,
    registry: &Registry,
    it: Instance,
) -> Connection {
    let identity = authority.identity(Role::Host, &it.host);
    let dialer = Dialer::new(&identity, Protocol::Registry, TransportLimits::default()).unwrap();
    let connection = dialer.dial(registry.local_addr(), Role::Registry).await.unwrap();
    let mut exchange = connection.open().await.unwrap();
    let request = to_cbor(&Request::Register(vec![it]));
    exchange.send_last(&[(FrameKind::Message, &request)]).await.unwrap();
    let answer = exchange.recv().await.unwrap().unwrap();
    assert!(matches!(from_cbor(&answer.payload).unwrap(), Reply::Registered(_)));
    connection
}

#[tokio::test]
async fn a_host_that_registers_is_found_and_one_that_goes_is_not_called() {
    let authority = Authority::new();
    let config = RegistryConfig::new(LOOPBACK, authority.identity(Role::Registry, "main"));
    let registry = Registry::spawn(config).unwrap();
    let (a, b) = (authority.host("a").await, authority.host("b").await);
    let _lease_a = register(&authority, &registry, instance("calc", "a", &a)).await;
    let builder = authority.builder().registry(registry.local_addr().to_string());
    let client = builder.build().await.unwrap();
    let first: String = client.call("calc.who", ()).await.unwrap();
    assert_eq!(first, "a");
    let lease_b = register(&authority, &registry, instance("calc", "b", &b)).await;
    eventually(&client, |known| hosts(known, "calc") == ["a", "b"]).await;
    drop(lease_b);
    let suspect = |known: &jackfield_client::Snapshot| {
        known.endpoints("calc").iter().any(|e| e.instance.health == Health::Suspect)
    };
    eventually(&client, suspect).await;
    for _ in 0..4 {
        assert_eq!(client.call::<_, String>("calc.who", ()).await.unwrap(), "a");
    }
    assert_eq!(b.calls(), 0);
    registry.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn round_robin_over_the_network_is_fair() {
    let fleet = Fleet::of(&["a", "b", "c"]).await;
    for _ in 0..30 {
        fleet.who().await;
    }
    let shares: Vec<_> = fleet.hosts.iter().map(|host| host.calls()).collect();
    assert_eq!(shares, [10, 10, 10]);
}

#[tokio::test]
async fn random_uses_every_host() {
    let fleet = Fleet::with(&["a", "b"], |builder| builder.picker(PickerKind::Random)).await;
    for _ in 0..60 {
        fleet.who().await;
    }
    assert!(fleet.hosts.iter().all(|host| host.calls() > 10));
}

#[tokio::test]
async fn a_disabled_instance_is_not_called_and_one_alone_is_said_to_be() {
    let mut fleet = Fleet::of(&["a"]).await;
    let mut disabled = fleet.instances[0].clone();
    disabled.enabled = false;
    fleet.registry.change(&[disabled], &[]);
    eventually(&fleet.client, |known| known.instances().all(|i| !i.enabled)).await;
    let error = fleet.client.call::<_, Value>("calc.who", ()).await.unwrap_err();
    assert_eq!(error.to_string(), "the only instance of calc is disabled");
    assert_eq!((error.status(), error.executed()), (Status::Unavailable, Executed::No));
}

#[tokio::test]
async fn a_mistyped_service_is_answered_with_the_nearest_name() {
    let fleet = Fleet::of(&["a"]).await;
    let error = fleet.client.call::<_, Value>("clac.who", ()).await.unwrap_err();
    assert_eq!(error.to_string(), "no host serves clac; did you mean calc? there is calc");
    assert_eq!(error.status(), Status::NotFound);
}

#[tokio::test]
async fn a_call_right_after_the_start_waits_for_the_first_set() {
    let authority = Authority::new();
    let host = authority.host("a").await;
    let mut registry = FakeRegistry::start(&authority, 1).await;
    let builder = authority.builder().registry(registry.address().to_string());
    let client = builder.build().await.unwrap();
    let call = client.call::<_, String>("calc.who", ());
    let speak = async { registry.whole(&[instance("calc", "a", &host)], true) };
    assert_eq!(tokio::join!(call, speak).0.unwrap(), "a");
}

#[tokio::test]
async fn a_call_for_a_service_that_registers_again_after_a_restart_waits_for_it() {
    let authority = Authority::new();
    let host = authority.host("a").await;
    let mut registry = FakeRegistry::start(&authority, 1).await;
    registry.whole(&[], false);
    let builder = authority.builder().registry(registry.address().to_string());
    let client = builder.build().await.unwrap();
    client.wait_ready(Duration::from_secs(9)).await.unwrap();
    let call = client.call::<_, String>("calc.who", ());
    let speak = async { registry.change(&[instance("calc", "a", &host)], &[]) };
    assert_eq!(tokio::join!(call, speak).0.unwrap(), "a");
}

#[tokio::test]
async fn a_broken_watch_resumes_where_it_was() {
    let mut fleet = Fleet::of(&["a"]).await;
    let stood = fleet.client.snapshot().revision();
    let address = fleet.registry.address();
    fleet.registry.stop().await;
    fleet.registry = FakeRegistry::start_at(&fleet.authority, 1, address).await;
    fleet.registry.event(WatchEvent::Idle(stood.unwrap(), None));
    fleet.registry.change(&[], &[]);
    fleet.registry.change(&[], &[fleet.instances[0].id.clone()]);
    eventually(&fleet.client, |known| known.is_empty()).await;
    assert_eq!(fleet.registry.resumes(), [stood]);
}

#[tokio::test]
async fn a_watch_that_makes_no_sense_starts_anew_without_resuming() {
    let mut fleet = Fleet::of(&["a", "b"]).await;
    let stood = fleet.client.snapshot().revision().unwrap();
    fleet.registry.event(WatchEvent::Idle(Revision { number: stood.number + 5, ..stood }, None));
    fleet.registry.forget();
    fleet.registry.whole(&fleet.instances[1..], true);
    eventually(&fleet.client, |known| hosts(known, "calc") == ["b"]).await;
    assert_eq!(fleet.registry.resumes(), [None, None]);
    assert_eq!(fleet.who().await, "b");
}

#[tokio::test]
async fn garbage_from_a_registry_changes_nothing() {
    let fleet = Fleet::of(&["a"]).await;
    fleet.registry.raw(vec![0xff; 40]);
    let link = failing(&fleet.client).await;
    assert!(link.failures[0].message.contains("no answer: malformed message"), "{link:?}");
    assert_eq!(fleet.who().await, "a");
}

#[tokio::test]
async fn a_silent_watch_is_replaced_by_a_list() {
    let quick = Duration::from_millis(50);
    let authority = Authority::new();
    let (a, b) = (authority.host("a").await, authority.host("b").await);
    let mut registry = FakeRegistry::start(&authority, 1).await;
    registry.whole(&[instance("calc", "a", &a)], true);
    registry.list(&[instance("calc", "b", &b)]);
    let builder = authority.builder().registry(registry.address().to_string());
    let client = builder.refresh_interval(quick).build().await.unwrap();
    eventually(&client, |known| hosts(known, "calc") == ["b"]).await;
}

#[tokio::test]
async fn what_every_host_answers_may_be_asked_of_any_and_by_address() {
    let fleet = Fleet::of(&["a", "b"]).await;
    let service = fleet.instances[0].service.clone();
    let error = fleet.client.describe(&service).await.unwrap_err();
    assert_eq!(error.status(), Status::NotFound);
    for _ in 0..2 {
        fleet.client.call::<_, String>("jackfield.who", ()).await.unwrap();
    }
    assert!(fleet.hosts.iter().all(|host| host.calls() >= 1));
    let request = fleet.client.request("jackfield.who").unwrap().at(fleet.hosts[1].address());
    assert_eq!(request.send().await.unwrap().decode::<String>().unwrap(), "b");
    let nobody = "nobody".parse().unwrap();
    let error = fleet.client.describe(&nobody).await.unwrap_err();
    let CallError::NoAvailableInstance(none) = error else { panic!("{error}") };
    assert!(matches!(none.reason, NoInstance::UnknownService { .. }));
    assert_eq!(fleet.client.snapshot().origin(), Origin::Registry);
}

#[tokio::test]
async fn a_registry_that_never_completes_its_set_is_left_for_another() {
    let authority = Authority::new();
    let host = authority.host("a").await;
    let endless = FakeRegistry::start(&authority, 1).await;
    let mut other = FakeRegistry::start(&authority, 2).await;
    other.whole(&[instance("calc", "a", &host)], true);
    let places = [&endless, &other].map(|registry| registry.address().to_string());
    let builder = authority.builder().registry(&places[0]).registry(&places[1]);
    let client = builder.refresh_interval(Duration::from_millis(100)).build().await.unwrap();
    let revision = Revision { epoch: 1, number: 1 };
    let part = Part { revision, authoritative: true, ..Part::default() };
    let trickle = async {
        loop {
            endless.event(WatchEvent::Snapshot(part.clone()));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = trickle => {}
        () = eventually(&client, |known| hosts(known, "calc") == ["a"]) => {}
    }
}

#[tokio::test]
async fn the_words_of_a_registry_that_refuses_are_made_printable() {
    let authority = Authority::new();
    let registry = FakeRegistry::start(&authority, 1).await;
    let refusal = Refusal { status: Status::PermissionDenied, message: "no\u{1b}[2J".into() };
    registry.raw(to_cbor(&Reply::Refused(refusal)));
    let builder = authority.builder().registry(registry.address().to_string());
    let link = failing(&builder.build().await.unwrap()).await;
    assert!(link.failures[0].message.ends_with("permission-denied: no\\u{1b}[2J"), "{link:?}");
}
