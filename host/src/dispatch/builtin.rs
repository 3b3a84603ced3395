//! The service `jackfield`, which every host answers itself: what it serves, and how that fares.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jackfield_wire::ServiceName;
use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::{Failure, Status};
use serde::Serialize;

use super::End;
use super::lookup::{self, not_found};
use super::request::Request;
use crate::catalog::Snapshot;
use crate::lane::Lane;
use crate::limits::HostLimits;

/// Answers a call of `method`.
///
/// - `services()` gives a `ServiceInfo` for each service.
/// - `describe(service: string)` gives one.
/// - `ping()` gives nothing.
///
/// `rollback(service: string)` changes something, and `stats(service: option<string>)` tells of more
/// than the catalog: they are `Dispatch`'s own.
///
/// It takes no permit, of which a busy host would have none. What may take megabytes and
/// milliseconds is made beside the serving threads, a few answers at a time.
pub(super) async fn answer(
    lane: &Lane,
    snapshot: Arc<Snapshot>,
    method: &str,
    request: &Request,
    limits: &HostLimits,
) -> Result<End, Failure> {
    let longest = limits.plugin.result;
    if !matches!(method, "services" | "describe") {
        return made(&snapshot, method, request, longest);
    }
    let (method, request) = (method.to_owned(), request.clone());
    let make = move || made(&snapshot, &method, &request, longest);
    beside(lane, make, limits.queue_time).await
}

/// Makes an answer beside the serving threads, when its turn comes within `patience`.
pub(super) async fn beside(
    lane: &Lane,
    make: impl FnOnce() -> Result<End, Failure> + Send + 'static,
    patience: Duration,
) -> Result<End, Failure> {
    match tokio::time::timeout(patience, lane.convert(make)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(lost)) => Err(Failure::not_executed(Status::Internal, lost.to_string())),
        Err(_) => {
            let text = format!(
                "this host tells others what it serves, and had no time for this call in \
                 {patience:?}; try again later"
            );
            Err(Failure::not_executed(Status::ResourceExhausted, text))
        }
    }
}

/// No answer has more than `limit` bytes of JSON.
fn made(
    snapshot: &Snapshot,
    method: &str,
    request: &Request,
    limit: usize,
) -> Result<End, Failure> {
    match method {
        "ping" => {
            no_arguments("ping", request)?;
            Ok(End::Value(None))
        }
        "services" => {
            no_arguments("services", request)?;
            list(snapshot.plugins().map(|plugin| snapshot.info(plugin)), limit)
        }
        "describe" => {
            let service = service_argument("describe", request)?;
            let plugin = lookup::plugin(snapshot, service.as_str())?;
            json(&snapshot.info(plugin), limit)
        }
        other => {
            let text = lookup::nothing_called("method", other, METHODS.to_vec());
            Err(not_found(format!("{BUILTIN_SERVICE}: {text}")))
        }
    }
}

pub(super) fn json<T: Serialize>(value: &T, limit: usize) -> Result<End, Failure> {
    let json = serde_json::to_vec(value).map_err(|error| unwritten(&error))?;
    check_length(json.len(), limit)?;
    Ok(End::Value(Some(json)))
}

/// A list that is written as its elements are made: all of them at once may take gigabytes.
fn list<T: Serialize>(all: impl Iterator<Item = T>, limit: usize) -> Result<End, Failure> {
    let mut json = vec![b'['];
    for (index, one) in all.enumerate() {
        if index > 0 {
            json.push(b',');
        }
        serde_json::to_writer(&mut json, &one).map_err(|error| unwritten(&error))?;
        check_length(json.len() + 1, limit)?;
    }
    json.push(b']');
    Ok(End::Value(Some(json)))
}

fn check_length(length: usize, limit: usize) -> Result<(), Failure> {
    if length <= limit {
        return Ok(());
    }
    let text = format!(
        "the answer has {length} bytes or more, the limit is {limit}: ask for one service at a \
         time, by {BUILTIN_SERVICE}.describe or as the argument of {BUILTIN_SERVICE}.stats"
    );
    Err(Failure::not_executed(Status::ResourceExhausted, text))
}

fn unwritten(error: &serde_json::Error) -> Failure {
    Failure::not_executed(Status::Internal, error.to_string())
}

fn no_arguments(method: &str, request: &Request) -> Result<(), Failure> {
    if arguments(request)?.is_empty() {
        return Ok(());
    }
    Err(invalid(format!("{BUILTIN_SERVICE}.{method} takes no arguments")))
}

pub(super) fn service_argument(method: &str, request: &Request) -> Result<ServiceName, Failure> {
    let text = format!("{BUILTIN_SERVICE}.{method} takes one argument, service: string");
    service_or_none(request, &text)?.ok_or_else(|| invalid(text))
}

/// The service that is meant; `None` when all are.
pub(super) fn optional_service(
    method: &str,
    request: &Request,
) -> Result<Option<ServiceName>, Failure> {
    let text = format!("{BUILTIN_SERVICE}.{method} takes one argument, service: option<string>");
    service_or_none(request, &text)
}

fn service_or_none(request: &Request, usage: &str) -> Result<Option<ServiceName>, Failure> {
    let wrong = || invalid(usage.to_owned());
    let mut all = arguments(request)?;
    let service = all.remove("service").or_else(|| all.remove("0"));
    if !all.is_empty() {
        return Err(wrong());
    }
    let Some(service) = service.filter(|value| !value.is_null()) else { return Ok(None) };
    let name = service.as_str().ok_or_else(wrong)?;
    let name = ServiceName::new(name);
    name.map(Some).map_err(|error| invalid(format!("at $.service: {error}")))
}

/// All arguments; positional ones by their place.
fn arguments(request: &Request) -> Result<BTreeMap<String, serde_json::Value>, Failure> {
    let mut all = BTreeMap::new();
    if let Some(json) = request.positional() {
        let values: Vec<serde_json::Value> = parse(json, "positional arguments")?;
        all.extend(values.into_iter().enumerate().map(|(n, value)| (n.to_string(), value)));
    }
    if let Some(json) = request.named() {
        let named: BTreeMap<String, serde_json::Value> = parse(json, "named arguments")?;
        all.extend(named);
    }
    Ok(all)
}

fn parse<'a, T: serde::Deserialize<'a>>(json: &'a [u8], what: &str) -> Result<T, Failure> {
    if json.len() > MAX_ARGUMENTS {
        return Err(invalid(format!("{what}: {} bytes, at most {MAX_ARGUMENTS}", json.len())));
    }
    serde_json::from_slice(json).map_err(|error| invalid(format!("{what}: {error}")))
}

fn invalid(text: String) -> Failure {
    Failure::not_executed(Status::InvalidArgument, text)
}

/// The name of a service fits; these calls take no permit, so none may be made expensive.
const MAX_ARGUMENTS: usize = 4 << 10;

const METHODS: [&str; 5] = ["describe", "ping", "rollback", "services", "stats"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_the_json_of_its_elements() {
        for all in [vec![], vec!["a"], vec!["a", "b"]] {
            let Ok(End::Value(Some(json))) = list(all.iter(), 9) else { panic!("{all:?}") };
            assert_eq!(json, serde_json::to_vec(&all).unwrap());
        }
    }

    #[test]
    fn no_more_of_a_list_is_made_than_an_answer_holds() {
        let mut made = 0;
        let all = (0..1000).map(|_| {
            made += 1;
            "x".repeat(100)
        });
        let failure = list(all, 1000).map(drop).unwrap_err();
        assert_eq!(failure.status, Status::ResourceExhausted);
        assert!(failure.message.contains("jackfield.describe"), "{}", failure.message);
        assert_eq!(made, 10);
    }
}
