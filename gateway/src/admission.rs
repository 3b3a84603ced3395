//! What every request passes before it is worked on: is it meant for this gateway, does it come
//! from a page that may, and is there room.
//!
//! A browser lets any page send requests to this machine. Three things keep pages out: the name in
//! `Host` (a page that had its own name lead to this machine gives itself away by it), the
//! `Origin` (which every browser adds to what a page of another origin sends), and the type of
//! bodies ([`crate::arguments`]).

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, ORIGIN, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use hyper::body::Incoming;
use jackfield_wire::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;
use crate::reply::{self, Reply};
use crate::routes::Desk;

/// Where a request that may be answered comes from.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// A page of an origin that was allowed: its browser wants to be told so.
    Page(HeaderValue),
    /// A page of the gateway's own origin, or no page at all.
    Other,
}

/// Who asks, as far as a browser tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A page of the gateway's own.
    OwnPage,
    /// A page, or a link on one, of another origin.
    Elsewhere,
    /// A program that is no browser, or says nothing of it.
    Unsaid,
}

/// Who asks. `Sec-Fetch-Site` is there also where a browser sends no `Origin`, as with images; it is not
/// sent over plain HTTP to other machines.
pub(crate) fn asker(uri: &Uri, headers: &HeaderMap) -> Asker {
    if let Some(site) = headers.get("sec-fetch-site") {
        return if site == "same-origin" { Asker::OwnPage } else { Asker::Elsewhere };
    }
    let Some(origin) = headers.get(ORIGIN) else { return Asker::Unsaid };
    match authority(uri, headers) {
        Ok(host) if is_of(&host, origin) => Asker::OwnPage,
        _ => Asker::Elsewhere,
    }
}

/// Whether a page of `origin` is one of `host`.
fn is_of(host: &Authority, origin: &HeaderValue) -> bool {
    let at = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    at.is_some_and(|(_, at)| at.eq_ignore_ascii_case(host.as_str()))
}

/// Refuses what is not meant for this gateway, or comes from a page that was not allowed.
pub(crate) fn check(desk: &Desk, uri: &Uri, headers: &HeaderMap) -> Result<Admitted, Problem> {
    let host = authority(uri, headers)?;
    if !is_ours(host.host(), &desk.names) {
        let name = host.host();
        return Err(refused(format!(
            "{name} is not a name of this gateway; use its address, or allow the name by \
             --allow-host {name}"
        ))
        .code(StatusCode::MISDIRECTED_REQUEST));
    }
    let Some(value) = headers.get(ORIGIN) else { return Ok(Admitted::Other) };
    if is_of(&host, value) {
        return Ok(Admitted::Other);
    }
    let origin = value.to_str().unwrap_or_default().to_ascii_lowercase();
    if desk.origins.iter().any(|allowed| allowed.as_str() == origin) {
        return Ok(Admitted::Page(value.clone()));
    }
    Err(refused(format!(
        "pages of {origin} may not use this gateway; allow them by --allow-origin {origin}"
    )))
}

/// The answer to a browser that asks what a page may send.
pub(crate) fn preflight(admitted: &Admitted, request: &Request<Incoming>) -> Option<Reply> {
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        && matches!(admitted, Admitted::Page(_));
    asks.then(|| {
        let mut reply = reply::with(StatusCode::NO_CONTENT, "", "");
        let headers = reply.headers_mut();
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, POST, DELETE"),
        );
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(MAY_SEND));
        reply
    })
}

/// What every answer carries, whatever it says.
pub(crate) fn finish(mut reply: Reply, admitted: &Admitted) -> Reply {
    let headers = reply.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Admitted::Page(origin) = admitted {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(MAY_READ));
        headers.insert(VARY, HeaderValue::from_static("origin"));
    }
    reply
}

/// Whom the request is for: `:authority` of HTTP/2, `Host` of HTTP/1.
fn authority(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
    if let Some(authority) = uri.authority() {
        return Ok(authority.clone());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none());
    host.and_then(|host| Authority::try_from(host.as_bytes()).ok()).ok_or_else(|| {
        Problem::new(Status::InvalidArgument, "a request has one Host, which names the gateway")
    })
}

/// Addresses cannot be made to lead elsewhere, and `localhost` is answered by browsers themselves.
fn is_ours(host: &str, names: &[String]) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Room for one more request.
///
/// # Errors
/// When there is too much, of one address or of all: at once, with when to come again.
pub(crate) fn room(desk: &Desk, peer: IpAddr) -> Result<OwnedSemaphorePermit, Problem> {
    paced(desk, peer)?;
    place(&desk.in_flight, || {
        format!("the gateway works on {} requests already", desk.limits.in_flight)
    })
}

/// Whether `peer` may ask once more.
///
/// # Errors
/// When it asks more often than the rate allows: with when to come again.
pub(crate) fn paced(desk: &Desk, peer: IpAddr) -> Result<(), Problem> {
    let Some(rate) = &desk.rate else { return Ok(()) };
    let taken = rate.lock().unwrap_or_else(PoisonError::into_inner).take(peer, Instant::now());
    taken.map_err(|wait| {
        let most = desk.limits.rate.map_or(0, Into::into);
        exhausted(format!("one address may make {most} requests a second")).retry_after(wait)
    })
}

/// One of a bounded number of places.
///
/// # Errors
/// When there is none, with `why`.
pub(crate) fn place(
    places: &Arc<Semaphore>,
    why: impl FnOnce() -> String,
) -> Result<OwnedSemaphorePermit, Problem> {
    let taken = places.clone().try_acquire_owned();
    taken.map_err(|_| exhausted(why()).retry_after(Duration::from_secs(1)))
}

fn refused(detail: impl AsRef<str>) -> Problem {
    Problem::new(Status::PermissionDenied, detail)
}

fn exhausted(detail: impl AsRef<str>) -> Problem {
    Problem::new(Status::ResourceExhausted, detail)
}

/// Headers that pages may send.
const MAY_SEND: &str = "content-type, jackfield-timeout, jackfield-key, jackfield-idempotent, \
                        traceparent, last-event-id, mcp-session-id, mcp-protocol-version, \
                        mcp-method, mcp-name";

/// Headers that pages may read.
const MAY_READ: &str = "jackfield-status, jackfield-executed, jackfield-attempts, \
                        jackfield-generation, jackfield-host, retry-after, mcp-session-id";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{GENERATION, HOST};
    use crate::problem::{ATTEMPTS, EXECUTED, STATUS};
    use crate::wishes::{IDEMPOTENT, KEY, TIMEOUT, TRACE};

    #[test]
    fn addresses_and_localhost_are_ours_and_other_names_only_when_allowed() {
        for host in ["127.0.0.1", "[::1]", "localhost", "LocalHost", "10.0.0.5"] {
            assert!(is_ours(host, &[]), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
            assert!(!is_ours(host, &[]), "{host}");
        }
        assert!(is_ours("API.example", &["api.example".into()]));
    }

    #[test]
    fn a_page_of_the_gateways_own_is_told_from_others() {
        let uri = Uri::from_static("/console/orders");
        let asker = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.append(header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            super::asker(&uri, &headers)
        };
        let (own, other) = (("origin", "http://127.0.0.1:8080"), ("origin", "http://127.0.0.1:1"));
        assert_eq!(asker(&[]), Asker::Unsaid);
        assert_eq!(asker(&[own]), Asker::OwnPage);
        assert_eq!(asker(&[other]), Asker::Elsewhere);
        assert_eq!(asker(&[("origin", "null")]), Asker::Elsewhere);
        assert_eq!(asker(&[("sec-fetch-site", "same-origin")]), Asker::OwnPage);
        for site in ["same-site", "cross-site", "none", "nonsense"] {
            assert_eq!(asker(&[own, ("sec-fetch-site", site)]), Asker::Elsewhere, "{site}");
        }
    }

    #[test]
    fn a_request_without_one_host_is_refused() {
        let uri = Uri::from_static("/services");
        let mut headers = HeaderMap::new();
        assert!(authority(&uri, &headers).is_err());
        headers.append(header::HOST, HeaderValue::from_static("[::1]:80"));
        assert_eq!(authority(&uri, &headers).unwrap().host(), "[::1]");
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(authority(&uri, &headers).is_err());
    }

    #[test]
    fn pages_may_use_every_header_that_there_is() {
        for name in [TIMEOUT, KEY, IDEMPOTENT, TRACE] {
            assert!(MAY_SEND.split(", ").any(|one| one == name), "{name}");
        }
        for name in [STATUS, EXECUTED, ATTEMPTS, GENERATION, HOST] {
            assert!(MAY_READ.split(", ").any(|one| one == name), "{name}");
        }
    }
}
