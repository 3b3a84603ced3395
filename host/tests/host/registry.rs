//! What a host tells a registry, seen from the registry's side of the wire.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jackfield_host::HostEvent;
use jackfield_transport::{
    Exchange, Peer, Protocol, Role, Serve, Server, ServerConfig, TransportLimits,
};
use jackfield_wire::registry::{Instance, LeaseTerms, Refusal, Reply, Request};
use jackfield_wire::{FrameKind, Status, from_cbor, to_cbor};
use serde_json::json;

use crate::rig::{Place, Rig, eventually, versioned};

/// A registry that believes everything and remembers what it was told.
#[derive(Default)]
struct Book {
    instances: Mutex<BTreeMap<String, Instance>>,
    heartbeats: Mutex<u32>,
    /// The service that it does not take.
    unwanted: Mutex<Option<&'static str>>,
}

impl Book {
    /// Starts it; again, on a port that it had before, once the system has given that back.
    async fn spawn(self: &Arc<Self>, place: &Place, listen: SocketAddr) -> Server {
        let config = ServerConfig {
            listen,
            identity: place.identity(Role::Registry, "registry"),
            protocol: Protocol::Registry,
            limits: TransportLimits::default(),
        };
        let mut server = None;
        eventually("the port is free", async || {
            server = Server::spawn(config.clone(), Arc::clone(self)).ok();
            server.is_some()
        })
        .await;
        server.expect("it was just there")
    }

    fn instances(&self) -> MutexGuard<'_, BTreeMap<String, Instance>> {
        self.instances.lock().expect(CALM)
    }

    fn names(&self) -> Vec<String> {
        self.instances().keys().cloned().collect()
    }

    fn get(&self, id: &str) -> Option<Instance> {
        self.instances().get(id).cloned()
    }

    fn forget(&self) {
        self.instances().clear();
    }

    fn answer(&self, request: Request) -> Reply {
        let mut instances = self.instances();
        match request {
            Request::Register(all)
                if all
                    .iter()
                    .any(|i| Some(i.service.as_str()) == *self.unwanted.lock().expect(CALM)) =>
            {
                Reply::Refused(Refusal {
                    status: Status::InvalidArgument,
                    message: "not this one".into(),
                })
            }
            Request::Register(all) => {
                instances.extend(all.into_iter().map(|i| (i.id.to_string(), i)));
                Reply::Registered(LeaseTerms { ttl_ms: 1000, heartbeat_ms: 100 })
            }
            Request::Heartbeat(ids) => {
                *self.heartbeats.lock().expect(CALM) += 1;
                let unknown =
                    |id: &jackfield_wire::InstanceId| !instances.contains_key(id.as_str());
                Reply::Alive(ids.into_iter().filter(unknown).collect())
            }
            Request::Deregister(ids) => {
                ids.iter().for_each(|id| drop(instances.remove(id.as_str())));
                Reply::Deregistered(1)
            }
            other => panic!("a host does not ask for {other:?}"),
        }
    }
}

impl Serve for Book {
    type Session = ();

    fn connected(&self, peer: &Peer) {
        assert_eq!(peer.id.role(), Role::Host);
    }

    async fn exchange(&self, _: &Arc<()>, mut exchange: Exchange) {
        let frame = exchange.recv().await.expect("a request").expect("a message");
        assert_eq!(exchange.recv().await.expect("its end"), None);
        let request = from_cbor(&frame.payload).expect("CBOR");
        let reply = to_cbor(&self.answer(request));
        // A host that went away meanwhile needs no answer.
        let _ = exchange.send_last(&[(FrameKind::Message, &reply)]).await;
    }
}

/// Why no lock is poisoned.
const CALM: &str = "nobody panics while holding it";

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn registered(place: Place, registry: SocketAddr) -> Rig {
    let mut config = place.config();
    config.registries = vec![registry.to_string()];
    Rig::over(place, config).await.expect("the host starts")
}

#[tokio::test]
async fn every_change_of_the_folder_reaches_the_registry_and_a_goodbye_at_the_end() {
    let (place, book) = (Place::new(), Arc::new(Book::default()));
    let server = book.spawn(&place, ANY).await;
    place.put("v.wasm", versioned(1));
    let rig = registered(place, server.local_addr()).await;
    eventually("it registers", async || book.names() == ["v@host-under-test"]).await;
    let instance = book.get("v@host-under-test").unwrap();
    assert_eq!(instance.address, rig.host.local_addr().to_string());
    assert_eq!(instance.generation, rig.generation("v"));
    assert_eq!(instance.methods[0].wit, "version: func() -> u32");
    rig.place.put("w.wasm", versioned(2));
    eventually("the new one is there", async || book.get("w@host-under-test").is_some()).await;
    rig.place.put("v.wasm", versioned(3));
    eventually("the new generation is told", async || {
        book.get("v@host-under-test").is_some_and(|now| now.generation != instance.generation)
    })
    .await;
    std::fs::remove_file(rig.place.path("w.wasm")).unwrap();
    eventually("it is taken back", async || book.names() == ["v@host-under-test"]).await;
    rig.host.shutdown(Duration::from_secs(5)).await;
    assert!(book.names().is_empty(), "a host that ends says goodbye first");
}

#[tokio::test]
async fn a_rejected_file_shows_in_the_registry() {
    let (place, book) = (Place::new(), Arc::new(Book::default()));
    let server = book.spawn(&place, ANY).await;
    place.put("v.wasm", versioned(1));
    place.put("bad.wasm", "not wasm");
    let rig = registered(place, server.local_addr()).await;
    eventually("both are told", async || book.names().len() == 2).await;
    let bad = book.get("bad@host-under-test").unwrap();
    assert!(!bad.is_available() && bad.metadata["rejected"].contains("not a wasm file"));
    rig.place.put("v.wasm", "not wasm either");
    eventually("it is told of the one that serves", async || {
        book.get("v@host-under-test").is_some_and(|v| v.metadata.contains_key("rejected"))
    })
    .await;
    assert!(book.get("v@host-under-test").unwrap().enabled);
}

#[tokio::test]
async fn an_instance_that_the_registry_refuses_keeps_no_other_one_out() {
    let (place, book) = (Place::new(), Arc::new(Book::default()));
    *book.unwanted.lock().unwrap() = Some("bad");
    let server = book.spawn(&place, ANY).await;
    place.put("bad.wasm", versioned(1));
    let rig = registered(place, server.local_addr()).await;
    eventually("the host tries", async || rig.host.services().len() == 1).await;
    for (n, name) in ["v", "w"].into_iter().enumerate() {
        rig.place.put(&format!("{name}.wasm"), versioned(u32::try_from(n).unwrap()));
    }
    eventually("the others are there", async || {
        book.names() == ["v@host-under-test", "w@host-under-test"]
    })
    .await;
    let before = *book.heartbeats.lock().unwrap();
    eventually("it lives on", async || *book.heartbeats.lock().unwrap() > before + 2).await;
    assert_eq!(book.names().len(), 2);
}

#[tokio::test]
async fn changes_without_end_do_not_keep_heartbeats_from_the_others() {
    let (place, book) = (Place::new(), Arc::new(Book::default()));
    let server = book.spawn(&place, ANY).await;
    place.put("calm.wasm", versioned(1));
    let mut rig = registered(place, server.local_addr()).await;
    eventually("it registers", async || !book.names().is_empty()).await;
    let mut number = 1;
    while *book.heartbeats.lock().unwrap() < 3 {
        rig.place.put("storm.wasm", versioned(number));
        number += 1;
        let changed = |event| match event {
            HostEvent::Loaded { .. } | HostEvent::Replaced { .. } => Some(()),
            _ => None,
        };
        rig.event(changed).await;
    }
}

#[tokio::test]
async fn a_registry_that_forgets_is_told_again() {
    let (place, book) = (Place::new(), Arc::new(Book::default()));
    let server = book.spawn(&place, ANY).await;
    place.put("v.wasm", versioned(1));
    let _rig = registered(place, server.local_addr()).await;
    eventually("it registers", async || !book.names().is_empty()).await;
    book.forget();
    eventually("it registers again", async || !book.names().is_empty()).await;
    assert!(*book.heartbeats.lock().unwrap() > 0);
}

#[tokio::test]
async fn a_registry_that_comes_late_or_comes_back_finds_the_host() {
    let (place, book) = (Place::new(), Arc::new(Book::default()));
    let server = book.spawn(&place, ANY).await;
    let address = server.local_addr();
    server.shutdown(Duration::ZERO).await;
    drop(server);
    place.put("v.wasm", versioned(1));
    let mut rig = registered(place, address).await;
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(1));
    for _ in 0..2 {
        let server = book.spawn(&rig.place, address).await;
        eventually("it registers", async || !book.names().is_empty()).await;
        rig.event(|event| matches!(event, HostEvent::Registered { .. }).then_some(())).await;
        // Whoever asks after the event finds out, too.
        rig.host.registered().await;
        server.shutdown(Duration::ZERO).await;
        rig.event(|event| matches!(event, HostEvent::RegistryLost { .. }).then_some(())).await;
        book.forget();
        assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(1));
    }
}

#[tokio::test]
async fn with_several_registries_the_next_one_is_taken() {
    let (place, book) = (Place::new(), Arc::new(Book::default()));
    let server = book.spawn(&place, ANY).await;
    place.put("v.wasm", versioned(1));
    let mut config = place.config();
    config.registries = vec!["no-such-host.invalid:1".into(), server.local_addr().to_string()];
    let _rig = Rig::over(place, config).await.expect("the host starts");
    eventually("it registers", async || !book.names().is_empty()).await;
}

#[tokio::test]
async fn an_address_that_means_nothing_to_clients_is_refused() {
    let place = Place::new();
    let mut config = place.config();
    config.registries = vec!["127.0.0.1:1".into()];
    config.advertise = Some("0.0.0.0:4433".parse().unwrap());
    let error = Rig::over(place, config).await.err().expect("it cannot start");
    assert!(error.to_string().contains("0.0.0.0:4433 is not an address"), "{error}");
}
