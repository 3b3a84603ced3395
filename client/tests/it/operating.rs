//! Outside endpoints and orders, through the library, at a real registry.

use std::net::Ipv4Addr;
use std::time::Duration;

use jackfield_client::{Client, Operator, Registration, RegistrationState, register_once};
use jackfield_registry::{Registry, RegistryConfig};
use jackfield_transport::{Identity, Role};
use jackfield_wire::registry::{Edit, Instance, InstancePatch, Kind, ListQuery, ServicePatch};
use jackfield_wire::{Namespace, ServiceName};

use crate::harness::{Authority, PATIENCE};
use crate::registry::eventually;

struct World {
    registry: Registry,
    authority: Authority,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new();
        let identity = authority.identity(Role::Registry, "registry");
        let config = RegistryConfig::new((Ipv4Addr::LOCALHOST, 0).into(), identity);
        Self { registry: Registry::spawn(config).unwrap(), authority }
    }

    fn places(&self) -> Vec<String> {
        vec![self.registry.local_addr().to_string()]
    }

    fn identity(&self, role: Role) -> Identity {
        self.authority.identity(role, "models")
    }

    async fn client(&self, namespace: &str) -> Client {
        let identity = self.identity(Role::Client);
        let builder = Client::builder().identity(identity).registry(&self.places()[0]);
        builder.namespace(Namespace::new(namespace).unwrap()).build().await.unwrap()
    }

    async fn operator(&self) -> Operator {
        Operator::connect(&self.identity(Role::Client), &self.places()).await.unwrap()
    }
}

fn model(host: &str) -> Instance {
    let service = ServiceName::new("model").unwrap();
    let metadata = [("prompt".to_owned(), "You are {name}.".to_owned())].into();
    let kind = Kind::Endpoint;
    Instance { kind, metadata, weight: 3, ..Instance::new(service, host, "127.0.0.1:8000") }
}

#[tokio::test]
async fn an_endpoint_is_kept_registered_until_it_is_taken_back() {
    let world = World::new();
    let all = vec![model("models:a"), model("models:b")];
    let kept = Registration::spawn(world.identity(Role::Host), &world.places(), all).unwrap();
    let mut state = kept.state();
    let registered = state.wait_for(|state| *state == RegistrationState::Registered);
    tokio::time::timeout(PATIENCE, registered).await.unwrap().unwrap();
    let client = world.client("default").await;
    eventually(&client, |snapshot| snapshot.endpoints("model").len() == 2).await;
    let found = client.snapshot().endpoints("model")[0].instance.clone();
    assert_eq!((found.weight, &*found.metadata["prompt"]), (3, "You are {name}."));
    kept.deregister().await;
    eventually(&client, |snapshot| snapshot.endpoints("model").is_empty()).await;
}

#[tokio::test]
async fn what_is_registered_in_another_namespace_is_not_seen() {
    let world = World::new();
    let staged = model("models").in_namespace(Namespace::new("staging").unwrap());
    let once = Instance { check_healthy: false, ..staged };
    register_once(&world.identity(Role::Host), &world.places(), vec![once]).await.unwrap();
    let client = world.client("staging").await;
    eventually(&client, |snapshot| snapshot.endpoints("model").len() == 1).await;
    let elsewhere = world.client("default").await;
    assert!(elsewhere.wait_ready(PATIENCE).await.unwrap().is_empty());
}

#[tokio::test]
async fn orders_and_settings_reach_clients() {
    let world = World::new();
    let once = Instance { check_healthy: false, ..model("models") };
    let id = once.id.clone();
    register_once(&world.identity(Role::Host), &world.places(), vec![once]).await.unwrap();
    let client = world.client("default").await;
    let operator = world.operator().await;
    let patch = InstancePatch { weight: Edit::Set(9), ..InstancePatch::new(id.clone()) };
    assert_eq!(operator.set_instance(patch).await.unwrap().weight, Some(9));
    eventually(&client, |snapshot| {
        snapshot.endpoints("model").iter().any(|endpoint| endpoint.instance.weight == 9)
    })
    .await;
    let patch =
        ServicePatch { timeout_ms: Edit::Set(2000), ..ServicePatch::new("model".parse().unwrap()) };
    operator.set_service(patch).await.unwrap();
    let timeout = |snapshot: &jackfield_client::Snapshot| {
        snapshot.settings("model").and_then(|settings| settings.timeout_ms)
    };
    eventually(&client, |snapshot| timeout(snapshot) == Some(2000)).await;
    let listed = operator.list(ListQuery { all: true, ..ListQuery::default() }).await.unwrap();
    assert_eq!((listed.instances.len(), listed.services.len()), (1, 1));
    assert_eq!(operator.deregister(vec![id]).await.unwrap(), 1);
    eventually(&client, |snapshot| snapshot.is_empty()).await;
    world.registry.shutdown(Duration::ZERO).await;
}
