//! What went wrong, as a problem document (RFC 9457), and the one table from statuses to codes.
//!
//! `type` is one of the closed set of statuses; the gateway tells at that path what it means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use jackfield_client::CallError;
use jackfield_wire::status::printable;
use jackfield_wire::{Executed, Status};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::reply::{self, Reply};

/// A request that was not answered as its sender wanted.
#[derive(Debug)]
pub(crate) struct Problem {
    code: StatusCode,
    pub(crate) status: Status,
    pub(crate) executed: Executed,
    /// For people.
    pub(crate) detail: String,
    attempts: Vec<Value>,
    pub(crate) retry_after: Option<Duration>,
    /// JSON of the method's own error.
    pub(crate) error: Option<Box<RawValue>>,
}

impl Problem {
    /// Refused by the gateway itself: no method ran.
    pub(crate) fn new(status: Status, detail: impl AsRef<str>) -> Self {
        Self {
            code: code(status),
            status,
            executed: Executed::No,
            detail: printable(detail.as_ref()),
            attempts: Vec::new(),
            retry_after: None,
            error: None,
        }
    }

    /// The same with a code of HTTP that says more than the status does.
    pub(crate) fn code(self, code: StatusCode) -> Self {
        Self { code, ..self }
    }

    /// The same of a method that ran, or may have.
    pub(crate) fn executed(self, executed: Executed) -> Self {
        Self { executed, ..self }
    }

    /// When to try again.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        // What `CallError` is as data has its text with all causes, and its attempts.
        let mut data = serde_json::to_value(&error).unwrap_or_default();
        let detail = data["message"].as_str().map_or_else(|| error.to_string(), str::to_owned);
        let attempts = match data["attempts"].take() {
            Value::Array(attempts) => attempts,
            _ => Vec::new(),
        };
        let mut problem = Self::new(error.status(), detail);
        problem.executed = error.executed();
        problem.attempts = attempts;
        match error {
            CallError::LimitExceeded(limit) => problem.retry_after = limit.retry_after,
            CallError::ServiceError(failed) => problem.error = failed.value.and_then(json_of),
            _ => {}
        }
        problem
    }
}

/// A host's JSON, unless it is none.
fn json_of(value: Bytes) -> Option<Box<RawValue>> {
    serde_json::from_slice(&value).ok()
}

/// The members of the document: those of RFC 9457, then ours.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: String,
    jackfield_status: Status,
    executed: Executed,
    attempts: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RawValue>,
}

impl Problem {
    /// The answer that says so.
    pub(crate) fn reply(self) -> Reply {
        let instance = occurrence();
        tracing::debug!(instance, status = %self.status, code = %self.code, "{}", self.detail);
        let document = Document {
            r#type: path(self.status),
            title: title(self.status),
            status: self.code.as_u16(),
            detail: &self.detail,
            instance,
            jackfield_status: self.status,
            executed: self.executed,
            attempts: &self.attempts,
            retry_after_ms: self.retry_after.map(|wait| wait.as_millis() as u64),
            error: self.error.as_deref(),
        };
        let mut reply = reply::json(self.code, &document);
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(STATUS, HeaderValue::from_static(self.status.name()));
        headers.insert(EXECUTED, HeaderValue::from_static(executed_name(self.executed)));
        headers.insert(ATTEMPTS, HeaderValue::from(self.attempts.len()));
        if let Some(wait) = self.retry_after {
            // Whole seconds, and never "at once" when the host wants a pause.
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000) as u64));
        }
        reply
    }
}

/// A name for this one occurrence, which the log has too.
fn occurrence() -> String {
    let random = fastrand::u128(..);
    // Version 4, variant 1 of RFC 9562.
    let random = random & !(0xf << 76) | 4 << 76;
    let random = random & !(3 << 62) | 2 << 62;
    let hex = format!("{random:032x}");
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    format!("urn:uuid:{a}-{b}-{c}-{d}-{e}")
}

/// The code of HTTP for a status.
pub(crate) fn code(status: Status) -> StatusCode {
    match status {
        Status::Ok => StatusCode::OK,
        Status::InvalidArgument => StatusCode::BAD_REQUEST,
        Status::PermissionDenied => StatusCode::FORBIDDEN,
        Status::NotFound => StatusCode::NOT_FOUND,
        Status::Application => StatusCode::UNPROCESSABLE_ENTITY,
        Status::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Status::Cancelled | Status::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        // The gateway's certificate, not the caller's credentials: a caller can do nothing.
        Status::Unauthenticated | Status::Trapped => StatusCode::BAD_GATEWAY,
        Status::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Status::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// What a status says, in a few words that are the same each time.
pub(crate) fn title(status: Status) -> &'static str {
    match status {
        Status::Ok => "The method returned",
        Status::Application => "The method returned its own error",
        Status::InvalidArgument => "The request or an argument is not as it must be",
        Status::NotFound => "No such service, method or page",
        Status::Unauthenticated => "A host does not know who the gateway is",
        Status::PermissionDenied => "This may not be done from here",
        Status::ResourceExhausted => "A limit was reached; later or elsewhere it may work",
        Status::Unavailable => "Nobody can answer now",
        Status::DeadlineExceeded => "The deadline passed",
        Status::Cancelled => "The call was given up",
        Status::Trapped => "The plugin trapped",
        Status::Internal => "A fault of Jackfield itself",
    }
}

/// Every status that a problem can have.
pub(crate) const PROBLEMS: [Status; 11] = [
    Status::InvalidArgument,
    Status::PermissionDenied,
    Status::NotFound,
    Status::Application,
    Status::ResourceExhausted,
    Status::Internal,
    Status::Cancelled,
    Status::Unauthenticated,
    Status::Trapped,
    Status::Unavailable,
    Status::DeadlineExceeded,
];

fn path(status: Status) -> String {
    format!("/problems/{status}")
}

/// `GET /problems/{name}`: where the `type` of a problem leads.
pub(crate) fn explain(name: &str) -> Result<Reply, Problem> {
    let Some(status) = PROBLEMS.into_iter().find(|status| status.name() == name) else {
        let names: Vec<_> = PROBLEMS.iter().map(|status| status.name()).collect();
        let detail = format!("there is no problem {name}; there is {}", names.join(", "));
        return Err(Problem::new(Status::NotFound, detail));
    };
    let page = json!({
        "type": path(status),
        "title": title(status),
        "status": code(status).as_u16(),
        "jackfield_status": status,
    });
    Ok(reply::json(StatusCode::OK, &page))
}

fn executed_name(executed: Executed) -> &'static str {
    match executed {
        Executed::No => "no",
        Executed::Yes => "yes",
        Executed::Unknown => "unknown",
    }
}

/// How the call ended, of each answer to a call.
pub(crate) const STATUS: HeaderName = HeaderName::from_static("jackfield-status");
/// Whether the method ran, of a call that failed.
pub(crate) const EXECUTED: HeaderName = HeaderName::from_static("jackfield-executed");
/// How often it was tried.
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("jackfield-attempts");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_the_code_of_every_status() {
        let text = include_str!("../../docs/gateway.md");
        for status in PROBLEMS {
            let row = format!("| `{status}` | {} |", code(status).as_u16());
            assert!(text.contains(&row), "docs/gateway.md lacks {row}");
        }
    }

    #[test]
    fn each_occurrence_has_a_uuid_of_its_own() {
        let (one, other) = (occurrence(), occurrence());
        assert_ne!(one, other);
        assert_eq!(one.len(), "urn:uuid:".len() + 36);
        assert_eq!(&one[23..24], "4", "{one}");
    }

    #[test]
    fn names_of_execution_are_those_of_the_data() {
        for executed in [Executed::No, Executed::Yes, Executed::Unknown] {
            assert_eq!(serde_json::to_value(executed).unwrap(), executed_name(executed));
        }
    }
}
