//! The file of cases: what to call, and what it is to come to. Specified in `docs/authoring.md`.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use jackfield_wire::Status;
use jackfield_wire::units::parse_duration;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::exit::Exit;
use crate::problem::{Outcome, Problem};

/// One call.
#[derive(Debug)]
pub(super) struct Case {
    name: Option<String>,
    pub(super) service: Option<String>,
    pub(super) method: String,
    args: Option<Box<RawValue>>,
    pub(super) timeout: Option<Duration>,
    pub(super) expected: Expected,
}

/// What it is to come to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expected {
    /// Any value, or none.
    Success,
    /// This value; `null` also for a method without a result.
    Value(Value),
    /// This error of the method's own.
    Error(Value),
    /// This status.
    Status(Status),
}

impl Case {
    /// Its arguments by position and by name.
    pub(super) fn arguments(&self) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let Some(args) = &self.args else { return (None, None) };
        let json = Some(args.get().as_bytes().to_vec());
        if args.get().starts_with('[') { (json, None) } else { (None, json) }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.args) {
            (Some(name), _) => f.write_str(name),
            (None, Some(args)) => {
                write!(f, "{} {}", self.method, super::compare::shortened(args.get()))
            }
            (None, None) => f.write_str(&self.method),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |value: &Value| super::compare::shortened(&value.to_string());
        match self {
            Self::Success => f.write_str("success"),
            Self::Value(value) => write!(f, "the value {}", short(value)),
            Self::Error(value) => write!(f, "its own error {}", short(value)),
            Self::Status(status) => write!(f, "the status {status}"),
        }
    }
}

/// Reads the file.
///
/// # Errors
/// What is wrong with it, and where. A file without a case is wrong: it could not fail.
pub(super) fn read(file: &Path) -> Outcome<Vec<Case>> {
    let shown = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| Problem::new(Exit::NotFound, format!("cannot read {shown}: {error}")))?;
    parse(&text).map_err(|error| {
        Problem::usage(format!("{shown}: {error}")).next(
            "a case is {\"method\": \"add\", \"args\": [1, 2], \"expect\": 3}, and the file an array \
             of them",
        )
    })
}

fn parse(text: &str) -> Result<Vec<Case>, String> {
    let written: Vec<Written> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if written.is_empty() {
        return Err("it has no case".into());
    }
    let numbered = written.into_iter().enumerate();
    numbered
        .map(|(index, case)| case.checked().map_err(|error| format!("case {}: {error}", index + 1)))
        .collect()
}

/// A case as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    name: Option<String>,
    service: Option<String>,
    method: String,
    args: Option<Box<RawValue>>,
    timeout: Option<String>,
    #[serde(default, deserialize_with = "present")]
    expect: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    expect_error: Option<Value>,
    expect_status: Option<Status>,
}

/// `null` is a value.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl Written {
    fn checked(self) -> Result<Case, String> {
        let expected = match (self.expect, self.expect_error, self.expect_status) {
            (None, None, None) => Expected::Success,
            (Some(value), None, None) => Expected::Value(value),
            (None, Some(value), None) => Expected::Error(value),
            (None, None, Some(status)) => Expected::Status(status),
            _ => return Err("give one of \"expect\", \"expect-error\", \"expect-status\"".into()),
        };
        if self.args.as_ref().is_some_and(|args| !args.get().starts_with(['[', '{'])) {
            return Err("\"args\" is an array, or an object by the parameters' names".into());
        }
        let timeout = self.timeout.as_deref().map(parse_duration).transpose()?;
        let Self { name, service, method, args, .. } = self;
        Ok(Case { name, service, method, args, timeout, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_case_says_what_it_expects() {
        let text = r#"[{"method": "a", "expect": null}, {"method": "b", "args": {"x": 1},
            "expect-error": "no", "timeout": "2s"}, {"method": "c", "args": [1],
            "expect-status": "deadline-exceeded"}, {"name": "fourth", "method": "d"}]"#;
        let cases = parse(text).unwrap();
        let expected: Vec<_> = cases.iter().map(|case| case.expected.clone()).collect();
        let status = Expected::Status(Status::DeadlineExceeded);
        let error = Expected::Error(json!("no"));
        assert_eq!(expected, [Expected::Value(Value::Null), error, status, Expected::Success]);
        assert_eq!(cases[0].arguments(), (None, None));
        assert_eq!(cases[1].arguments(), (None, Some(br#"{"x": 1}"#.to_vec())));
        assert_eq!(cases[1].timeout, Some(Duration::from_secs(2)));
        assert_eq!(cases[2].arguments(), (Some(b"[1]".to_vec()), None));
        assert_eq!(cases[3].to_string(), "fourth");
        assert_eq!(cases[2].to_string(), "c [1]");
    }

    #[test]
    fn a_bad_file_is_told_what_is_wrong_and_where() {
        for (text, said) in [
            ("[]", "no case"),
            ("{}", "line 1"),
            (r#"[{"method": "a"}, {"method": "b", "exepct": 1}]"#, "`exepct`"),
            (r#"[{"args": []}]"#, "missing field `method`"),
            (r#"[{"method": "a"}, {"method": "b", "args": 1}]"#, "case 2: \"args\" is an array"),
            (r#"[{"method": "a", "expect": 1, "expect-error": 2}]"#, "case 1: give one of"),
            (r#"[{"method": "a", "expect-status": "bad"}]"#, "unknown variant `bad`"),
            (r#"[{"method": "a", "timeout": "soon"}]"#, "case 1: "),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
