//! Instances for unit tests.

use std::sync::Arc;

use jackfield_wire::ServiceName;
use jackfield_wire::registry::{Instance, MethodSummary};

use crate::snapshot::Endpoint;

/// A healthy instance of `service` on host `n`.
pub(crate) fn instance(service: &str, n: usize) -> Instance {
    let service = ServiceName::new(service).expect("tests use names");
    let host = format!("host-{n}");
    let methods = vec![MethodSummary { name: "add".into(), wit: "add: func()".into() }];
    Instance { methods, ..Instance::new(service, &host, format!("127.0.0.1:{}", 4000 + n)) }
}

/// An endpoint of `service` on host `n`.
pub(crate) fn endpoint(service: &str, n: usize) -> Endpoint {
    let instance = instance(service, n);
    let address = instance.address.parse().expect("a fixture's address");
    Endpoint::new(Arc::new(instance), Some(address), Arc::default())
}

/// `endpoint` in `zone`.
pub(crate) fn in_zone(endpoint: Endpoint, zone: &str) -> Endpoint {
    with(endpoint, |instance| instance.zone = Some(zone.into()))
}

/// `endpoint` with a change.
pub(crate) fn with(endpoint: Endpoint, change: impl FnOnce(&mut Instance)) -> Endpoint {
    let mut instance = Instance::clone(&endpoint.instance);
    change(&mut instance);
    Endpoint::new(Arc::new(instance), endpoint.address, endpoint.stats)
}
