//! The body of a call: JSON, within its limit and its time.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use jackfield_client::Request;
use jackfield_wire::Status;
use jackfield_wire::units::{show_duration, show_size};

use crate::config::GatewayLimits;
use crate::problem::Problem;

/// What a method is called with. The host reads it by the method's types.
#[derive(Debug, PartialEq)]
pub(crate) enum Arguments {
    None,
    Positional(Bytes),
    Named(Bytes),
}

impl Arguments {
    /// Receives them.
    ///
    /// # Errors
    /// When the body is too long, too slow, or no JSON array or object.
    pub(crate) async fn receive(
        headers: &HeaderMap,
        body: Incoming,
        limits: &GatewayLimits,
    ) -> Result<Self, Problem> {
        Self::read(headers, receive(headers, body, limits).await?)
    }

    fn read(headers: &HeaderMap, bytes: Bytes) -> Result<Self, Problem> {
        let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) else {
            return Ok(Self::None);
        };
        check_type(headers)?;
        match first {
            b'[' => Ok(Self::Positional(bytes)),
            b'{' => Ok(Self::Named(bytes)),
            _ => Err(invalid(
                "the body is a JSON array, with arguments by position, or a JSON object, with \
                 arguments by name; for a single argument write [VALUE]",
            )),
        }
    }

    /// The request with them.
    pub(crate) fn apply(self, request: Request) -> Request {
        match self {
            Self::None => request,
            Self::Positional(array) => request.positional_json(array),
            Self::Named(object) => request.named_json(object),
        }
    }
}

/// Receives a body, within its limit and its time.
pub(crate) async fn receive(
    headers: &HeaderMap,
    body: Incoming,
    limits: &GatewayLimits,
) -> Result<Bytes, Problem> {
    if announced(headers).is_some_and(|length| length > limits.body as u64) {
        return Err(too_long(limits.body));
    }
    let received = Limited::new(body, limits.body).collect();
    match tokio::time::timeout(limits.receive, received).await {
        Err(_) => Err(too_slow(limits.receive)),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long(limits.body)),
        Ok(Err(error)) => Err(invalid(format!("the body broke off: {error}"))),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

/// Also what keeps pages of other origins out: without asking first, a browser sends no JSON.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" {
        return Ok(());
    }
    let given = if given.is_empty() { "nothing" } else { given };
    Err(invalid(format!(
        "the body's Content-Type must be application/json, not {given} (curl: --json or -H \
         'Content-Type: application/json')"
    ))
    .code(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_long(limit: usize) -> Problem {
    let limit = show_size(limit as u64);
    invalid(format!("the body is longer than {limit}, this gateway's limit"))
        .code(StatusCode::PAYLOAD_TOO_LARGE)
}

fn too_slow(limit: Duration) -> Problem {
    let limit = show_duration(limit);
    invalid(format!("the body did not arrive within {limit}, this gateway's limit"))
        .code(StatusCode::REQUEST_TIMEOUT)
}

fn invalid(detail: impl AsRef<str>) -> Problem {
    Problem::new(Status::InvalidArgument, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &'static str) -> Result<Arguments, Problem> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        Arguments::read(&headers, Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn an_array_is_by_position_and_an_object_by_name() {
        let json = "application/json; charset=utf-8";
        assert_eq!(read(json, " [1]").unwrap(), Arguments::Positional(Bytes::from(" [1]")));
        assert_eq!(read("Application/JSON", "{}").unwrap(), Arguments::Named(Bytes::from("{}")));
        assert_eq!(read("", " \n").unwrap(), Arguments::None);
        for body in ["1", "null", "\"a\"", "\u{feff}[]", "a=b"] {
            let problem = format!("{:?}", read(json, body).unwrap_err());
            assert!(problem.contains("[VALUE]"), "{body}: {problem}");
        }
    }

    #[test]
    fn what_a_form_of_another_page_can_send_is_refused() {
        let simple = ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"];
        for content_type in simple {
            let problem = format!("{:?}", read(content_type, "[1]").unwrap_err());
            assert!(problem.contains("415"), "{content_type}: {problem}");
        }
    }
}
