//! How a call ended, as a tool's result. Pure.
//!
//! Whatever went wrong is told as a result that is an error, so that the model reads it: whether the
//! method ran, and what may be done now. Structured content stands in good results alone, for
//! clients hold it against the tool's schema.

use jackfield_client::{Answer, CallError};
use jackfield_wire::status::printable;
use jackfield_wire::units::show_size;
use jackfield_wire::{Executed, Status, Target};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::tool::{RESULT, Shape};
use crate::problem::Problem;

/// The result of a call of `target`.
pub(crate) fn of(
    target: &Target,
    shape: Shape,
    ended: Result<Answer, CallError>,
) -> CallToolResult {
    match ended.and_then(|answer| answer.json().map(str::to_owned)) {
        Ok(json) => returned(target, shape, &json),
        Err(error) => failed(target, &error.into()),
    }
}

fn returned(target: &Target, shape: Shape, json: &str) -> CallToolResult {
    if json.len() > MAX_RESULT {
        let detail = too_long(target, json.len());
        return failed(
            target,
            &Problem::new(Status::ResourceExhausted, detail).executed(Executed::Yes),
        );
    }
    if shape == Shape::Nothing {
        return CallToolResult::success(vec![ContentBlock::text(NOTHING)]);
    }
    let value: Value = match serde_json::from_str(json) {
        Ok(value) => value,
        // It was JSON a moment ago, so it is nested deeper than values of a host's are.
        Err(error) => {
            let problem = Problem::new(Status::Internal, format!("{target}: {error}"));
            return failed(target, &problem.executed(Executed::Yes));
        }
    };
    let mut result = CallToolResult::success(vec![ContentBlock::text(json)]);
    result.structured_content = match shape {
        Shape::Object if value.is_object() => Some(value),
        // Whoever has no fitting value must not claim to have one.
        Shape::Object => None,
        _ => Some(json!({ RESULT: value })),
    };
    result
}

/// A failure: words for the model, then the same as JSON for programs.
pub(crate) fn failed(target: &Target, problem: &Problem) -> CallToolResult {
    let own = problem.error.as_deref().map(RawValue::get);
    let what = match (problem.status, own) {
        (Status::Application, Some(json)) if json.len() > MAX_ERROR => {
            format!("{target} returned its own error, which is too long to show")
        }
        (Status::Application, Some(json)) => format!("{target} returned its own error: {json}"),
        _ => problem.detail.clone(),
    };
    let said = format!("{what}\nstatus: {}; {}", problem.status, next(problem));
    let data = json!({
        "status": problem.status,
        "executed": problem.executed,
        "retry_after_ms": problem.retry_after.map(|wait| wait.as_millis() as u64),
        "error": problem.error.as_deref().filter(|json| json.get().len() <= MAX_ERROR),
    });
    CallToolResult::error(vec![
        ContentBlock::text(printable(&said)),
        ContentBlock::text(data.to_string()),
    ])
}

/// What may be done now. It hangs on nothing but whether the method ran, but where the arguments
/// are at fault or the method has had its say.
fn next(problem: &Problem) -> &'static str {
    match (problem.status, problem.executed) {
        (Status::Application, _) => "the method ran, and this is its answer",
        (Status::InvalidArgument, _) => "not executed; correct the arguments by the tool's schema",
        (Status::NotFound, _) => "not executed; list the tools again, this one may be gone",
        (_, Executed::No) => "not executed; it may be called again",
        (_, Executed::Yes) => {
            "it was executed; call it again only if running it twice does no harm"
        }
        (_, Executed::Unknown) => {
            "nobody knows whether it was executed; look for its effects before calling it again"
        }
    }
}

fn too_long(target: &Target, length: usize) -> String {
    let (length, most) = (show_size(length as u64), show_size(MAX_RESULT as u64));
    format!(
        "{target} returned {length}, and an agent is given {most} at most; ask it for less, or call \
         it over HTTP: POST /call/{}/METHOD",
        target.service
    )
}

/// Said of a method without a result.
const NOTHING: &str = "The method returned; it has no result.";

/// Bytes of a result, of which each is held four times on its way: beyond what any model reads.
const MAX_RESULT: usize = 1 << 20;

/// Bytes of a method's own error.
const MAX_ERROR: usize = 2 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        "calc.div".parse().unwrap()
    }

    fn text(result: &CallToolResult, index: usize) -> &str {
        &result.content[index].as_text().unwrap().text
    }

    #[test]
    fn a_result_is_text_and_an_object() {
        let result = returned(&target(), Shape::Wrapped, "0.5");
        assert_eq!((text(&result, 0), result.is_error), ("0.5", Some(false)));
        assert_eq!(result.structured_content, Some(json!({ "result": 0.5 })));
        let object = returned(&target(), Shape::Object, r#"{"x":1}"#);
        assert_eq!(object.structured_content, Some(json!({ "x": 1 })));
        let nothing = returned(&target(), Shape::Nothing, "null");
        assert_eq!(nothing.structured_content, None);
        assert!(text(&nothing, 0).contains("no result"));
    }

    #[test]
    fn a_result_that_no_model_reads_says_that_the_method_ran() {
        let result =
            returned(&target(), Shape::Wrapped, &format!("\"{}\"", "a".repeat(MAX_RESULT)));
        assert_eq!(result.is_error, Some(true));
        assert!(text(&result, 0).contains("1 MiB") && text(&result, 0).contains("was executed"));
    }

    #[test]
    fn a_failure_says_whether_it_ran_and_what_to_do() {
        for (status, executed, hint) in [
            (Status::InvalidArgument, Executed::No, "correct the arguments"),
            (Status::Unavailable, Executed::No, "may be called again"),
            (Status::Trapped, Executed::Yes, "running it twice"),
            (Status::DeadlineExceeded, Executed::Unknown, "look for its effects"),
        ] {
            let problem = Problem::new(status, "so it is").executed(executed);
            let result = failed(&target(), &problem);
            assert_eq!((result.is_error, &result.structured_content), (Some(true), &None));
            assert!(text(&result, 0).starts_with("so it is\n"), "{result:?}");
            assert!(text(&result, 0).contains(hint), "{result:?}");
            let data: Value = serde_json::from_str(text(&result, 1)).unwrap();
            assert_eq!(data["executed"], serde_json::to_value(executed).unwrap());
            assert_eq!(data["status"], status.name());
        }
    }

    #[test]
    fn a_methods_own_error_carries_its_value_if_it_is_of_a_size() {
        let mut problem = Problem::new(Status::Application, "").executed(Executed::Yes);
        problem.error = Some(RawValue::from_string(r#"{"code":7}"#.into()).unwrap());
        let result = failed(&target(), &problem);
        assert!(text(&result, 0).contains(r#"its own error: {"code":7}"#));
        assert!(text(&result, 1).contains(r#""error":{"code":7}"#));
        let long = format!("\"{}\"", "a".repeat(MAX_ERROR));
        problem.error = Some(RawValue::from_string(long).unwrap());
        assert!(text(&failed(&target(), &problem), 1).contains(r#""error":null"#));
    }

    #[test]
    fn bytes_of_a_host_never_reach_a_terminal_through_it() {
        let problem = Problem::new(Status::Trapped, "\u{1b}[2J").executed(Executed::Yes);
        assert!(!text(&failed(&target(), &problem), 0).contains('\u{1b}'));
    }
}
