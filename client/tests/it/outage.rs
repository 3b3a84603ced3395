//! Registries that are away, come back, or know too little.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_client::{CallError, Client, Looking, NoInstance, Origin, Resolve};
use jackfield_wire::Status;
use jackfield_wire::registry::Instance;
use serde_json::Value;
use tokio::sync::watch;
use tracing::{Level, Metadata, span};

use crate::fleet::Fleet;
use crate::harness::{Authority, PATIENCE};
use crate::registry::{FakeRegistry, eventually, failing, hosts, instance};

const SOON: Duration = Duration::from_millis(700);

#[tokio::test]
async fn an_outage_of_the_registry_keeps_the_last_good_set() {
    let fleet = Fleet::of(&["a", "b"]).await;
    fleet.registry.stop().await;
    for _ in 0..4 {
        fleet.client.call::<_, String>("calc.who", ()).await.unwrap();
    }
    failing(&fleet.client).await;
    assert_eq!(hosts(&fleet.client.snapshot(), "calc"), ["a", "b"]);
    fleet.client.call::<_, String>("calc.who", ()).await.unwrap();
}

#[tokio::test]
async fn a_restarted_registry_that_knows_nobody_yet_removes_nobody() {
    let mut fleet = Fleet::of(&["a", "b"]).await;
    let address = fleet.registry.address();
    fleet.registry.stop().await;
    fleet.registry = FakeRegistry::start_at(&fleet.authority, 2, address).await;
    fleet.registry.whole(&[], false);
    eventually(&fleet.client, |known| known.origin() == Origin::Gathering).await;
    assert_eq!(hosts(&fleet.client.snapshot(), "calc"), ["a", "b"]);
    fleet.registry.change(&fleet.instances[1..], &[]);
    eventually(&fleet.client, |known| hosts(known, "calc") == ["b"]).await;
}

#[tokio::test]
async fn without_a_registry_a_call_names_it_and_what_to_start() {
    let authority = Authority::new();
    let registry = FakeRegistry::start(&authority, 1).await;
    let address = registry.address();
    registry.stop().await;
    let builder = authority.builder().registry(address.to_string()).deadline(SOON);
    let client = builder.connect_timeout(Duration::from_millis(100)).build().await.unwrap();
    let error = client.call::<_, Value>("calc.who", ()).await.unwrap_err();
    let CallError::NoAvailableInstance(none) = &error else { panic!("{error}") };
    assert!(matches!(none.reason, NoInstance::NoRegistry(_)));
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("jackfield registry"), "{text}");
    assert_eq!(error.status(), Status::Unavailable);
    assert!(client.wait_ready(Duration::ZERO).await.is_err());
}

#[tokio::test]
async fn a_registry_that_starts_later_is_found() {
    let authority = Authority::new();
    let host = authority.host("a").await;
    let registry = FakeRegistry::start(&authority, 1).await;
    let address = registry.address();
    registry.stop().await;
    let builder = authority.builder().registry(address.to_string()).deadline(PATIENCE);
    let client = builder.connect_timeout(Duration::from_millis(200)).build().await.unwrap();
    client.wait_ready(Duration::from_millis(50)).await.unwrap_err();
    let mut registry = FakeRegistry::start_at(&authority, 1, address).await;
    registry.whole(&[instance("calc", "a", &host)], true);
    assert_eq!(client.call::<_, String>("calc.who", ()).await.unwrap(), "a");
}

#[tokio::test]
async fn when_one_registry_is_away_the_next_is_asked() {
    let authority = Authority::new();
    let host = authority.host("a").await;
    let (first, mut second) =
        (FakeRegistry::start(&authority, 1).await, FakeRegistry::start(&authority, 2).await);
    second.whole(&[instance("calc", "a", &host)], true);
    let places = [first.address().to_string(), second.address().to_string()];
    first.stop().await;
    let builder = authority.builder().registry(&places[0]).registry(&places[1]);
    let client = builder.connect_timeout(Duration::from_millis(300)).build().await.unwrap();
    assert_eq!(client.call::<_, String>("calc.who", ()).await.unwrap(), "a");
    let link = client.registry_link().unwrap();
    assert_eq!(link.connected.as_deref(), Some(places[1].as_str()));
    assert_eq!(link.failures[0].registry, places[0]);
}

/// A client of two registries that both know too little, at once and for ever, of `calc` on `a` and
/// on `b`; the last good set on disk has `c` as well.
async fn between_two_that_gather(authority: &Authority) -> (Client, [FakeRegistry; 2]) {
    let c = authority.host("c").await;
    let file = authority.path().join("set.json");
    let (mut first, mut second) =
        (FakeRegistry::start(authority, 1).await, FakeRegistry::start(authority, 2).await);
    let places = [&first, &second].map(|registry| registry.address().to_string());
    let builder = authority.builder().registry(&places[0]).registry(&places[1]);
    let builder = builder.last_good_file(&file).refresh_interval(Duration::from_millis(100));
    first.whole(&[instance("calc", "c", &c)], true);
    let before = builder.clone().build().await.unwrap();
    eventually(&before, |known| hosts(known, "calc") == ["c"]).await;
    before.close().await;
    first.forget();
    let (a, b) = (authority.host("a").await, authority.host("b").await);
    for (registry, name, host) in [(&mut first, "a", &a), (&mut second, "b", &b)] {
        registry.whole(&[instance("calc", name, host)], false);
        registry.list(&[instance("calc", name, host)]);
    }
    (builder.build().await.unwrap(), [first, second])
}

#[tokio::test]
async fn a_registry_that_does_not_know_everyone_is_left_for_one_that_does() {
    let authority = Authority::new();
    let (a, b) = (authority.host("a").await, authority.host("b").await);
    let (mut cut_off, mut whole) =
        (FakeRegistry::start(&authority, 1).await, FakeRegistry::start(&authority, 1).await);
    cut_off.whole(&[instance("calc", "a", &a)], false);
    whole.whole(&[instance("calc", "b", &b)], true);
    let places = [&cut_off, &whole].map(|registry| registry.address().to_string());
    let builder = authority.builder().registry(&places[0]).registry(&places[1]);
    let client = builder.build().await.unwrap();
    let first = client.wait_ready(PATIENCE).await.unwrap();
    assert_eq!((first.origin(), hosts(&first, "calc")), (Origin::Registry, vec!["b".into()]));
    assert_eq!(whole.resumes(), [None]);
    let link = client.registry_link().unwrap();
    assert_eq!(link.connected.as_deref(), Some(places[1].as_str()));
    assert_eq!(link.failures[0].message, "it does not know every instance yet");
}

#[tokio::test]
async fn where_no_registry_knows_everyone_all_they_said_and_the_disk_are_used() {
    let authority = Authority::new();
    let (client, _registries) = between_two_that_gather(&authority).await;
    eventually(&client, |known| hosts(known, "calc") == ["a", "b", "c"]).await;
    assert_eq!(client.snapshot().origin(), Origin::Gathering);
}

#[tokio::test]
async fn among_registries_that_do_not_know_everyone_the_first_that_does_is_found() {
    let authority = Authority::new();
    let (client, [mut first, _second]) = between_two_that_gather(&authority).await;
    eventually(&client, |known| known.origin() == Origin::Gathering).await;
    let it = client.instances().iter().find(|it| it.host == "b").cloned().unwrap();
    first.forget();
    first.whole(&[Instance::clone(&it)], true);
    eventually(&client, |known| known.origin() == Origin::Registry).await;
    assert_eq!(hosts(&client.snapshot(), "calc"), ["b"]);
}

/// Says that every name leads to one address, which moves.
#[derive(Debug)]
struct Moving(Mutex<SocketAddr>);

impl Resolve for Moving {
    fn resolve<'a>(&'a self, _: &'a str) -> Looking<'a> {
        let address = *self.0.lock().unwrap();
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[tokio::test]
async fn a_registry_that_moves_is_found_under_its_name() {
    let authority = Authority::new();
    let (a, b) = (authority.host("a").await, authority.host("b").await);
    let mut first = FakeRegistry::start(&authority, 1).await;
    first.whole(&[instance("calc", "a", &a)], true);
    let names = Arc::new(Moving(Mutex::new(first.address())));
    let builder = authority.builder().registry("registry.example:9999").resolver(names.clone());
    let client = builder.build().await.unwrap();
    assert_eq!(client.call::<_, String>("calc.who", ()).await.unwrap(), "a");
    let mut second = FakeRegistry::start(&authority, 2).await;
    second.whole(&[instance("calc", "b", &b)], true);
    *names.0.lock().unwrap() = second.address();
    first.stop().await;
    eventually(&client, |known| hosts(known, "calc") == ["b"]).await;
    assert_eq!(client.call::<_, String>("calc.who", ()).await.unwrap(), "b");
}

#[tokio::test]
async fn a_client_that_starts_without_a_registry_goes_by_the_set_on_disk() {
    let authority = Authority::new();
    let host = authority.host("a").await;
    let file = authority.path().join("set.json");
    let mut registry = FakeRegistry::start(&authority, 1).await;
    registry.whole(&[instance("calc", "a", &host)], true);
    let builder = authority.builder().registry(registry.address().to_string());
    let builder = builder.last_good_file(&file).connect_timeout(Duration::from_millis(300));
    let client = builder.clone().build().await.unwrap();
    client.call::<_, String>("calc.who", ()).await.unwrap();
    client.close().await;
    registry.stop().await;
    let (said, mut heard) = watch::channel((0, 0));
    let _listening = tracing::subscriber::set_default(Ear(said));
    let client = builder.build().await.unwrap();
    assert_eq!(client.call::<_, String>("calc.who", ()).await.unwrap(), "a");
    assert_eq!(client.snapshot().origin(), Origin::Disk);
    // It goes on trying, and has nothing new to say.
    let tried = heard.wait_for(|(tries, _)| *tries >= 4);
    let (_, warnings) = *tokio::time::timeout(PATIENCE, tried).await.unwrap().unwrap();
    assert_eq!(warnings, 1);
}

/// Counts what discovery says: its tries that failed, and its warnings.
struct Ear(watch::Sender<(usize, usize)>);

impl tracing::Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("jackfield_client::discovery")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        self.0.send_modify(|(tries, warnings)| match *event.metadata().level() {
            Level::WARN => *warnings += 1,
            _ => *tries += 1,
        });
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_change_just_before_the_registry_dies_is_on_disk() {
    let authority = Authority::new();
    let (a, b) = (authority.host("a").await, authority.host("b").await);
    let file = authority.path().join("set.json");
    let mut registry = FakeRegistry::start(&authority, 1).await;
    registry.whole(&[instance("calc", "a", &a)], true);
    let builder = authority.builder().registry(registry.address().to_string());
    let builder = builder.last_good_file(&file);
    let client = builder.clone().build().await.unwrap();
    eventually(&client, |known| hosts(known, "calc") == ["a"]).await;
    // The file was written a moment ago, so this change has to wait for its turn.
    registry.change(&[instance("calc", "b", &b)], &[]);
    eventually(&client, |known| hosts(known, "calc") == ["a", "b"]).await;
    registry.stop().await;
    failing(&client).await;
    let second = builder.build().await.unwrap();
    eventually(&second, |known| hosts(known, "calc") == ["a", "b"]).await;
    assert_eq!(second.snapshot().origin(), Origin::Disk);
}
