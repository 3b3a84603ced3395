//! What the headers of a request say of its call. Pure.

use std::time::Duration;

use http::HeaderMap;
use jackfield_client::{PickerKind, Request};
use jackfield_wire::units::{parse_duration, show_duration};
use jackfield_wire::{Status, TraceContext};

use crate::problem::Problem;

/// How long the call may take in all.
pub(crate) const TIMEOUT: &str = "jackfield-timeout";
/// What calls that belong together share: they go to one host.
pub(crate) const KEY: &str = "jackfield-key";
/// Whether the method may run twice.
pub(crate) const IDEMPOTENT: &str = "jackfield-idempotent";
/// The trace that the call is part of.
pub(crate) const TRACE: &str = "traceparent";

/// What is asked of a call besides its arguments.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Wishes {
    deadline: Option<Duration>,
    key: Option<String>,
    is_idempotent: bool,
    trace: Option<TraceContext>,
}

impl Wishes {
    /// Reads the headers; `longest` is the longest deadline.
    ///
    /// # Errors
    /// When one of Jackfield's own cannot be heeded. A `traceparent` that is none is passed over,
    /// as its standard wants it.
    pub(crate) fn read(headers: &HeaderMap, longest: Duration) -> Result<Self, Problem> {
        Ok(Self {
            deadline: text(headers, TIMEOUT)?.map(|text| deadline(text, longest)).transpose()?,
            key: text(headers, KEY)?.map(str::to_owned),
            is_idempotent: match text(headers, IDEMPOTENT)? {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => {
                    return Err(refused(
                        IDEMPOTENT,
                        &format!("write true or false, not {other:?}"),
                    ));
                }
            },
            trace: text(headers, TRACE).ok().flatten().and_then(|text| text.parse().ok()),
        })
    }

    /// The request with all that.
    pub(crate) fn apply(self, mut request: Request) -> Request {
        if let Some(deadline) = self.deadline {
            request = request.deadline(deadline);
        }
        if let Some(key) = self.key {
            request = request.key(key).picker(PickerKind::ConsistentHash);
        }
        if let Some(trace) = self.trace {
            request = request.trace(trace);
        }
        if self.is_idempotent { request.idempotent() } else { request }
    }
}

/// The one value of a header.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused(name, "it is given more than once"));
    }
    value.to_str().map(Some).map_err(|_| refused(name, "it is not ASCII text"))
}

fn deadline(text: &str, longest: Duration) -> Result<Duration, Problem> {
    let deadline = parse_duration(text).map_err(|error| refused(TIMEOUT, &error))?;
    if deadline > longest {
        let longest = show_duration(longest);
        return Err(refused(TIMEOUT, &format!("{text} is longer than this gateway's {longest}")));
    }
    Ok(deadline)
}

fn refused(name: &str, why: &str) -> Problem {
    Problem::new(Status::InvalidArgument, format!("header {name}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&'static str, &str)]) -> Result<Wishes, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        Wishes::read(&headers, Duration::from_secs(600))
    }

    #[test]
    fn everything_can_be_said() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let wishes =
            read(&[(TIMEOUT, "1.5s"), (KEY, "ada"), (IDEMPOTENT, "true"), (TRACE, trace)]).unwrap();
        let expected = Wishes {
            deadline: Some(Duration::from_millis(1500)),
            key: Some("ada".into()),
            is_idempotent: true,
            trace: Some(trace.parse().unwrap()),
        };
        assert_eq!(wishes, expected);
        assert_eq!(read(&[]).unwrap(), Wishes::default());
    }

    #[test]
    fn what_cannot_be_heeded_names_the_header() {
        for (name, value) in
            [(TIMEOUT, "5"), (TIMEOUT, "0s"), (TIMEOUT, "11m"), (IDEMPOTENT, "yes")]
        {
            let text = format!("{:?}", read(&[(name, value)]).unwrap_err());
            assert!(text.contains(name), "{value}: {text}");
        }
        assert!(read(&[(KEY, "a"), (KEY, "b")]).is_err());
    }

    #[test]
    fn a_trace_that_is_none_is_passed_over() {
        assert_eq!(read(&[(TRACE, "nonsense")]).unwrap(), Wishes::default());
        assert_eq!(read(&[(TRACE, "a"), (TRACE, "b")]).unwrap(), Wishes::default());
    }
}
