//! `GET /services…`: what there is and what it takes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jackfield_client::{Endpoint, Snapshot};
use jackfield_wire::reflect::ServiceInfo;
use jackfield_wire::registry::{Instance, MethodSummary};
use jackfield_wire::ty::nearest;
use jackfield_wire::{ServiceName, Status};
use serde::Serialize;
use serde_json::json;

use crate::call::service_name;
use crate::openapi;
use crate::problem::Problem;
use crate::reply::{self, Reply};
use crate::routes::Desk;

/// A service in the list, as the registry knows it.
#[derive(Serialize)]
struct Entry<'s> {
    service: &'s ServiceName,
    versions: BTreeSet<&'s str>,
    /// How many instances may be called.
    available: usize,
    /// Of one instance that may be called, or of any.
    methods: &'s [MethodSummary],
    instances: Vec<&'s Instance>,
}

/// A service with its instances.
#[derive(Serialize)]
struct Described<'s> {
    #[serde(flatten)]
    info: ServiceInfo,
    instances: Vec<&'s Instance>,
}

/// `GET /services`
pub(crate) async fn list(desk: &Desk) -> Result<Reply, Problem> {
    let snapshot = known(desk).await?;
    let entries: Vec<_> = snapshot.services().map(|(name, all)| entry(name, all)).collect();
    Ok(reply::json(StatusCode::OK, &json!({ "services": entries })))
}

fn entry<'s>(service: &'s ServiceName, endpoints: &'s [Endpoint]) -> Entry<'s> {
    let instances = instances(endpoints);
    let available = instances.iter().filter(|instance| instance.is_available());
    let shown = available.clone().next().or(instances.first());
    Entry {
        service,
        versions: instances.iter().filter_map(|instance| instance.version.as_deref()).collect(),
        available: available.count(),
        methods: shown.map_or(&[], |instance| &instance.methods),
        instances,
    }
}

fn instances(endpoints: &[Endpoint]) -> Vec<&Instance> {
    endpoints.iter().map(|endpoint| &*endpoint.instance).collect()
}

/// `GET /services/{service}`: what one of its hosts says now.
pub(crate) async fn describe(desk: &Desk, service: &str) -> Result<Reply, Problem> {
    let service = service_name(service)?;
    let mut info = desk.client.describe(&service).await?;
    info.methods.retain(|method| !method.hidden);
    let snapshot = desk.client.snapshot();
    let instances = instances(snapshot.endpoints(service.as_str()));
    Ok(reply::json(StatusCode::OK, &Described { info, instances }))
}

/// `GET /services/{service}/methods/{method}`
pub(crate) async fn method(desk: &Desk, service: &str, method: &str) -> Result<Reply, Problem> {
    let service = service_name(service)?;
    let info = desk.client.describe(&service).await?;
    let found = info.methods.iter().find(|m| m.name == method || m.qualified == method);
    let found = found.ok_or_else(|| no_method(&info, method))?;
    Ok(reply::json(StatusCode::OK, found))
}

fn no_method(info: &ServiceInfo, wanted: &str) -> Problem {
    let service = &info.service;
    let names = info.methods.iter().filter(|m| !m.hidden).map(|m| &*m.name);
    let hint = match nearest(wanted, names) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("see GET /services/{service}"),
    };
    Problem::new(Status::NotFound, format!("{service} has no method {wanted:?}; {hint}"))
}

/// `GET /openapi.json`
pub(crate) async fn openapi(desk: &Desk) -> Result<Reply, Problem> {
    known(desk).await?;
    let document = openapi::document(&desk.catalog.listing().await);
    Ok(reply::json(StatusCode::OK, &document))
}

/// What the registry has told; waits for the first word at a start.
async fn known(desk: &Desk) -> Result<Arc<Snapshot>, Problem> {
    let known = desk.client.wait_ready(PATIENCE).await;
    known.map_err(|error| Problem::new(Status::Unavailable, error.to_string()))
}

/// For a registry to answer: less than a person waits.
const PATIENCE: Duration = Duration::from_secs(5);
