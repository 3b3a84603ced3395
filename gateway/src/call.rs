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
    Ok(respond(checked(answer).await?))
}

/// What a host sends as JSON is passed on only if it is.
async fn checked(answer: Answer) -> Result<Answer, Problem> {
    let length = answer.value.as_ref().map_or(0, Bytes::len);
    let check = move || answer.json().map(|_| ()).map(|()| answer);
    if length <= SHORT {
        return Ok(check()?);
    }
    let checked = tokio::task::spawn_blocking(check).await;
    Ok(checked.map_err(|error| Problem::new(Status::Internal, error.to_string()))??)
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

fn respond(answer: Answer) -> Reply {
    let value = answer.value.unwrap_or(Bytes::from_static(b"null"));
    let mut reply = reply::with(StatusCode::OK, reply::JSON, value);
    let headers = reply.headers_mut();
    headers.insert(STATUS, HeaderValue::from_static(Status::Ok.name()));
    headers.insert(ATTEMPTS, HeaderValue::from(answer.attempts.len() + 1));
    let generation = answer.generation.map(|generation| generation.to_string());
    for (name, value) in [(GENERATION, generation), (HOST, Some(answer.host))] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    reply
}

/// Bytes of an answer that are read where everybody is served: half a millisecond. A thread for
/// longer ones costs less than that.
const SHORT: usize = 128 << 10;

/// Which version of the plugin answered.
pub(crate) const GENERATION: HeaderName = HeaderName::from_static("jackfield-generation");
/// The host that answered, by the name in its certificate.
pub(crate) const HOST: HeaderName = HeaderName::from_static("jackfield-host");
