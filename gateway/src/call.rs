//! `POST /call/{service}/{method}`: one call. Dropping its future, as the server does when the
//! client goes away, cancels the call on its host.

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderName, Request, StatusCode};
use hyper::body::Incoming;
use jackfield_client::Answer;
use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::{ServiceName, Status};

use crate::arguments::Arguments;
use crate::problem::{ATTEMPTS, Problem, STATUS};
use crate::reply::{self, Reply};
use crate::routes::Desk;
use crate::wishes::Wishes;

/// Answers with the method's result, as the host wrote it; `null` when it has none.
pub(crate) async fn call(
    desk: &Desk,
    service: &str,
    method: &str,
    request: Request<Incoming>,
) -> Result<Reply, Problem> {
    let service = service_name(service)?;
    let (head, body) = request.into_parts();
    let wishes = Wishes::read(&head.headers, desk.limits.deadline)?;
    let arguments = Arguments::receive(&head.headers, body, &desk.limits).await?;
    let request = desk
        .client
        .request(&format!("{service}.{method}"))
        .map_err(|error| Problem::new(Status::InvalidArgument, error.to_string()))?;
    let answer = wishes.apply(arguments.apply(request)).send().await?;
    respond(&answer)
}

/// A name that can be a service's.
pub(crate) fn service_name(text: &str) -> Result<ServiceName, Problem> {
    let service = ServiceName::new(text).map_err(|error| {
        Problem::new(Status::InvalidArgument, format!("{text:?} is no service's name: {error}"))
    })?;
    if service.as_str() == BUILTIN_SERVICE {
        // Its methods give orders too, and every host of this user obeys the gateway's.
        let detail = "what hosts answer themselves cannot be called here; for what they say of \
                      their services, GET /services/SERVICE";
        return Err(Problem::new(Status::PermissionDenied, detail));
    }
    Ok(service)
}

fn respond(answer: &Answer) -> Result<Reply, Problem> {
    answer.json()?; // What a host sends as JSON is passed on only if it is.
    let value = answer.value.clone().unwrap_or(Bytes::from_static(b"null"));
    let mut reply = reply::with(StatusCode::OK, reply::JSON, value);
    let headers = reply.headers_mut();
    headers.insert(STATUS, HeaderValue::from_static(Status::Ok.name()));
    headers.insert(ATTEMPTS, HeaderValue::from(answer.attempts.len() + 1));
    let generation = answer.generation.map(|generation| generation.to_string());
    for (name, value) in [(GENERATION, generation), (HOST, Some(answer.host.clone()))] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    Ok(reply)
}

/// Which version of the plugin answered.
pub(crate) const GENERATION: HeaderName = HeaderName::from_static("jackfield-generation");
/// The host that answered, by the name in its certificate.
pub(crate) const HOST: HeaderName = HeaderName::from_static("jackfield-host");
