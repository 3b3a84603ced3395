//! Which instance a call goes to: pickers, filters, settings, hedges, and who is left out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jackfield_client::{
    CallError, CallOptions, Choices, Draw, Exhaustion, Hedge, NoInstance, Picker, PickerKind,
};
use jackfield_registry::{Registry, RegistryConfig};
use jackfield_transport::{Dialer, Protocol, Role, TransportLimits};
use jackfield_wire::registry::{Edit, Reply, Request, ServicePatch};
use jackfield_wire::{Executed, FrameKind, Namespace, ServiceKey, Status, from_cbor, to_cbor};

use crate::fleet::Fleet;
use crate::harness::{Authority, LOOPBACK, PATIENCE, reaches};
use crate::registry::eventually;

/// The hosts that answer twelve calls with these options.
async fn answering(fleet: &Fleet, options: &CallOptions) -> BTreeSet<String> {
    let mut hosts = BTreeSet::new();
    for _ in 0..12 {
        let request = fleet.client.request("calc.who").unwrap().options(options.clone());
        hosts.insert(request.send().await.unwrap().decode().unwrap());
    }
    hosts
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn every_picker_calls_hosts_over_the_network() {
    let fleet = Fleet::of(&["a", "b", "c"]).await;
    for kind in PickerKind::ALL {
        let hosts = answering(&fleet, &CallOptions::new().picker(kind)).await;
        assert!(!hosts.is_empty(), "{kind}");
    }
}

#[tokio::test]
async fn calls_with_one_key_go_to_one_host() {
    let fleet = Fleet::of(&["a", "b", "c"]).await;
    let mut owners = BTreeSet::new();
    for user in 0..20 {
        let keyed = CallOptions::new().picker(PickerKind::ConsistentHash).key(user.to_string());
        let hosts = answering(&fleet, &keyed).await;
        assert_eq!(hosts.len(), 1);
        owners.extend(hosts);
    }
    assert_eq!(owners.len(), 3);
}

#[tokio::test]
async fn a_picker_of_ones_own_may_be_the_clients_or_a_calls() {
    #[derive(Debug)]
    struct Last;
    impl Picker for Last {
        fn pick(&self, choices: &Choices, _: &Draw<'_>) -> usize {
            choices.len() - 1
        }
    }
    let fleet = Fleet::with(&["a", "b"], |builder| builder.picker(Arc::new(Last))).await;
    assert_eq!(answering(&fleet, &CallOptions::new()).await, names(&["b"]));
    let any = CallOptions::new().picker(PickerKind::RoundRobin);
    assert_eq!(answering(&fleet, &any).await, names(&["a", "b"]));
}

#[tokio::test]
async fn versions_metadata_zones_and_names_choose_among_hosts() {
    let mut fleet = Fleet::of(&["a", "b", "c"]).await;
    for (n, instance) in fleet.instances.iter_mut().enumerate() {
        instance.version = Some(format!("1.{n}.0"));
        instance.metadata.insert("tier".into(), if n == 0 { "gold" } else { "tin" }.into());
        instance.zone = Some(if n == 2 { "far" } else { "near" }.into());
    }
    fleet.registry.change(&fleet.instances, &[]);
    eventually(&fleet.client, |known| known.instances().all(|i| i.zone.is_some())).await;
    let any = CallOptions::new();
    let newer = any.clone().version("^1.1".parse().unwrap());
    assert_eq!(answering(&fleet, &newer).await, names(&["b", "c"]));
    let gold = any.clone().metadata("tier", "gold");
    assert_eq!(answering(&fleet, &gold).await, names(&["a"]));
    assert_eq!(answering(&fleet, &any.clone().zone("far")).await, names(&["c"]));
    assert_eq!(answering(&fleet, &any.clone().endpoint("b")).await, names(&["b"]));
    let address = fleet.hosts[2].address().to_string();
    assert_eq!(answering(&fleet, &any.clone().endpoint(address)).await, names(&["c"]));
    let none = any.version("^2".parse().unwrap());
    let request = fleet.client.request("calc.who").unwrap().options(none);
    let error = request.send().await.unwrap_err();
    let CallError::NoAvailableInstance(none) = &error else { panic!("{error}") };
    assert!(matches!(none.reason, NoInstance::NoneMatches { count: 3, .. }));
    assert!(error.to_string().contains("version ^2"), "{error}");
}

#[tokio::test]
async fn a_host_that_fails_every_call_is_left_out() {
    let fleet = Fleet::of(&["a", "b"]).await;
    let failure = (Status::Internal, Executed::Yes, None);
    *fleet.hosts[0].desk.script.lock().unwrap() = vec![failure; 100];
    let mut failed = 0;
    for _ in 0..40 {
        failed += usize::from(fleet.client.call::<_, String>("calc.scripted", ()).await.is_err());
    }
    // Five in a row, and one for each time that it is tried again on a slow machine.
    assert!((5..15).contains(&failed), "{failed} of 40 calls failed");
}

#[tokio::test]
async fn with_all_hosts_failing_retries_are_bounded_by_the_budget() {
    let fleet = Fleet::of(&["a", "b"]).await;
    let failure = (Status::Unavailable, Executed::No, Some(1));
    for host in &fleet.hosts {
        *host.desk.script.lock().unwrap() = vec![failure; 2000];
    }
    let (mut attempts, mut spent) = (0, 0);
    let began = std::time::Instant::now();
    for _ in 0..300 {
        let error = fleet.client.call::<_, String>("calc.scripted", ()).await.unwrap_err();
        attempts += error.attempts().len();
        if let CallError::MaxRetriesExceeded(all) = &error {
            spent += usize::from(all.reason == Exhaustion::Budget);
        }
    }
    let seconds = began.elapsed().as_secs() as usize + 1;
    assert!(attempts <= 360 + 10 * seconds, "{attempts} attempts in {seconds} s");
    assert!(attempts > 300 && spent > 0);
}

#[tokio::test]
async fn a_slow_call_is_hedged_and_the_loser_is_cancelled() {
    let fleet = Fleet::of(&["a", "b"]).await;
    let [first, second] = &fleet.hosts[..] else { panic!("two hosts") };
    // Whoever is asked second has a place for the call.
    let hedged = CallOptions::new().hedged(Hedge::After(Duration::from_millis(5)));
    let hedged = hedged.deadline(PATIENCE);
    let client = fleet.client.clone();
    let mut calls = tokio::task::JoinSet::new();
    calls.spawn(async move {
        client.request("calc.hold").unwrap().options(hedged).send().await.unwrap()
    });
    reaches(&first.desk.held, 1).await;
    reaches(&second.desk.held, 1).await;
    second.desk.release.add_permits(1);
    let answer = calls.join_next().await.unwrap().unwrap();
    assert_eq!(answer.host, "b");
    reaches(&first.desk.cancelled, 1).await;
}

#[tokio::test]
async fn a_clients_word_for_one_service_goes_before_its_word_for_all() {
    let fleet = Fleet::with(&["a", "b"], |builder| {
        builder
            .options(CallOptions::new().endpoint("a"))
            .service_options("calc", CallOptions::new().endpoint("b"))
    })
    .await;
    assert_eq!(answering(&fleet, &CallOptions::new()).await, names(&["b"]));
    assert_eq!(answering(&fleet, &CallOptions::new().endpoint("a")).await, names(&["a"]));
}

/// An operator's order to a real registry.
async fn order(authority: &Authority, registry: &Registry, patch: ServicePatch) {
    let identity = authority.identity(Role::Client, "operator");
    let dialer = Dialer::new(&identity, Protocol::Registry, TransportLimits::default()).unwrap();
    let connection = dialer.dial(registry.local_addr(), Role::Registry).await.unwrap();
    let mut exchange = connection.open().await.unwrap();
    let request = to_cbor(&Request::SetService(patch));
    exchange.send_last(&[(FrameKind::Message, &request)]).await.unwrap();
    let answer = exchange.recv().await.unwrap().unwrap();
    let reply = from_cbor::<Reply>(&answer.payload).unwrap();
    assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
}

#[tokio::test]
async fn settings_in_the_registry_apply_at_once_and_go_behind_the_clients() {
    let authority = Authority::new();
    let config = RegistryConfig::new(LOOPBACK, authority.identity(Role::Registry, "main"));
    let registry = Registry::spawn(config).unwrap();
    let host = authority.host("a").await;
    let instance = crate::registry::instance("calc", "a", &host);
    let _lease = crate::discovery::register(&authority, &registry, instance).await;
    let builder = authority.builder().registry(registry.local_addr().to_string());
    let client = builder.build().await.unwrap();
    client.call::<_, String>("calc.who", ()).await.unwrap();
    let service = jackfield_wire::ServiceName::new("calc").unwrap();
    let key = ServiceKey { namespace: Namespace::default(), service };
    let mut patch = ServicePatch::new(key);
    patch.timeout_ms = Edit::Set(50);
    patch.max_retries = Edit::Set(0);
    let mut changes = client.changes();
    changes.mark_unchanged();
    order(&authority, &registry, patch).await;
    tokio::time::timeout(PATIENCE, changes.changed()).await.unwrap().unwrap();
    let error = client.call::<_, String>("calc.hold", ()).await.unwrap_err();
    let CallError::RequestTimeout(timeout) = &error else { panic!("{error}") };
    assert_eq!(timeout.deadline, Duration::from_millis(50));
    host.desk.script.lock().unwrap().push((Status::Unavailable, Executed::No, None));
    let error = client.call::<_, String>("calc.scripted", ()).await.unwrap_err();
    assert_eq!(error.attempts().len(), 1, "{error}");
    host.desk.script.lock().unwrap().push((Status::Unavailable, Executed::No, None));
    let louder = CallOptions::new().max_retries(1).deadline(PATIENCE);
    client.request("calc.scripted").unwrap().options(louder).send().await.unwrap();
    registry.shutdown(Duration::ZERO).await;
}
