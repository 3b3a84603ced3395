//! `test`: calls a plugin in this process and holds the answers against what its author expects.
//!
//! There is no network and no registry; limits, manifest and instances are those of a host.

mod cases;
mod compare;

use std::time::{Duration, Instant};

use jackfield_host::{LocalAnswer, LocalHost};
use jackfield_wire::Status;
use jackfield_wire::status::printable;
use serde_json::{Value, json};

use crate::args::{Common, TestArgs};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::terminal::{Style, Terminal};
use crate::{duration, host, json, setup};
use cases::{Case, Expected};

/// Runs every case.
pub(crate) fn run(args: TestArgs, common: &Common, terminal: Terminal) -> Outcome {
    let cases = cases::read(&args.cases)?;
    setup::server_runtime()?.block_on(Box::pin(check(&args, cases, common, terminal)))
}

async fn check(args: &TestArgs, cases: Vec<Case>, common: &Common, terminal: Terminal) -> Outcome {
    let plugin = load(args, common).await?;
    let service = plugin.info().service;
    for case in &cases {
        if let Some(other) = case.service.as_ref().filter(|other| **other != service.as_str()) {
            let what = format!("{case} is of the service {other:?}; this plugin is {service}");
            return Err(Problem::usage(what).next("leave \"service\" out, or name that plugin"));
        }
    }
    let mut report = Report { passed: 0, cases: Vec::new() };
    for case in &cases {
        let start = Instant::now();
        let deadline = case.timeout.or(args.timeout);
        let answer = plugin.call(&case.method, case.arguments(), deadline).await;
        let (took, problems) = (start.elapsed(), judge(&case.expected, &answer));
        if !args.json {
            terminal.out(lines(case, took, &problems, &terminal))?;
        }
        report.add(case, took, problems);
    }
    report.finish(args, &terminal)
}

async fn load(args: &TestArgs, common: &Common) -> Outcome<LocalHost> {
    let file = args.plugin.display();
    if let Err(error) = std::fs::metadata(&args.plugin) {
        return Err(Problem::new(Exit::NotFound, format!("cannot read {file}: {error}"))
            .next("build it first: jackfield build"));
    }
    let state = setup::state(common)?;
    let loaded = LocalHost::load(&args.plugin, &common.host, host::compiler(), &state).await;
    loaded.map_err(|rejection| {
        let reason = rejection.to_string();
        Problem::new(Exit::Rejected, format!("{file}: {}", reason.trim_end()))
    })
}

/// What is wrong with the answer, one line each.
fn judge(expected: &Expected, answer: &LocalAnswer) -> Vec<String> {
    let value = |json: &[u8]| serde_json::from_slice::<Value>(json).unwrap_or(Value::Null);
    match (expected, answer) {
        (Expected::Success, LocalAnswer::Value(_)) => Vec::new(),
        (Expected::Value(expected), LocalAnswer::Value(got)) => {
            compare::differences(expected, &got.as_deref().map_or(Value::Null, value))
        }
        (Expected::Error(expected), LocalAnswer::Application(got)) => {
            compare::differences(expected, &value(got))
        }
        (Expected::Status(expected), got) if *expected == status(got) => Vec::new(),
        (expected, got) => vec![format!("expected {expected}, got {}", told(got))],
    }
}

fn status(answer: &LocalAnswer) -> Status {
    match answer {
        LocalAnswer::Value(_) => Status::Ok,
        LocalAnswer::Application(_) => Status::Application,
        LocalAnswer::Failed(failure) => failure.status,
    }
}

fn told(answer: &LocalAnswer) -> String {
    let text = |json: &[u8]| compare::shortened(&String::from_utf8_lossy(json));
    match answer {
        LocalAnswer::Value(None) => "no value".into(),
        LocalAnswer::Value(Some(json)) => format!("the value {}", text(json)),
        LocalAnswer::Application(json) => format!("its own error {}", text(json)),
        LocalAnswer::Failed(failure) => {
            format!("the status {}: {}", failure.status, failure.message)
        }
    }
}

fn lines(case: &Case, took: Duration, problems: &[String], terminal: &Terminal) -> String {
    let word = match problems.is_empty() {
        true => terminal.paint(Style::Good, "ok  "),
        false => terminal.paint(Style::Bad, "FAIL"),
    };
    let mut text = format!("{word}  {}  {}", printable(&case.to_string()), duration::show(took));
    for problem in problems {
        text.push_str(&format!("\n      {}", printable(problem).replace('\n', "\n      ")));
    }
    text
}

struct Report {
    passed: usize,
    cases: Vec<Value>,
}

impl Report {
    fn add(&mut self, case: &Case, took: Duration, problems: Vec<String>) {
        self.passed += usize::from(problems.is_empty());
        self.cases.push(json!({
            "name": case.to_string(),
            "method": case.method,
            "passed": problems.is_empty(),
            "milliseconds": took.as_secs_f64() * 1000.0,
            "problems": problems,
        }));
    }

    fn finish(self, args: &TestArgs, terminal: &Terminal) -> Outcome {
        let failed = self.cases.len() - self.passed;
        if args.json {
            let report = json!({
                "plugin": args.plugin.display().to_string(),
                "passed": self.passed, "failed": failed, "cases": self.cases,
            });
            terminal.out(json::show(&report.to_string(), terminal))?;
        } else {
            terminal.out(format!("{} passed, {failed} failed", self.passed))?;
        }
        match failed {
            0 => Ok(()),
            _ => Err(Problem::silent(Exit::Failed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_wire::Failure;

    fn value(json: &str) -> LocalAnswer {
        LocalAnswer::Value(Some(json.into()))
    }

    #[test]
    fn an_answer_of_another_kind_is_told_in_full() {
        let trapped = LocalAnswer::Failed(Failure::not_executed(Status::Trapped, "unreachable"));
        let expected = Expected::Value(json!(3));
        assert_eq!(
            judge(&expected, &trapped),
            ["expected the value 3, got the status trapped: unreachable"]
        );
        assert!(judge(&Expected::Status(Status::Trapped), &trapped).is_empty());
        let own = LocalAnswer::Application(b"\"no\"".to_vec());
        assert_eq!(judge(&expected, &own), ["expected the value 3, got its own error \"no\""]);
        assert!(judge(&Expected::Status(Status::Application), &own).is_empty());
        assert_eq!(judge(&Expected::Success, &own), ["expected success, got its own error \"no\""]);
    }

    #[test]
    fn values_and_errors_are_compared_as_json() {
        assert!(judge(&Expected::Value(json!(3)), &value("3.0")).is_empty());
        assert_eq!(judge(&Expected::Value(json!(3)), &value("4")).len(), 1);
        assert!(judge(&Expected::Value(Value::Null), &LocalAnswer::Value(None)).is_empty());
        let own = LocalAnswer::Application(b"{\"code\": 1}".to_vec());
        assert!(judge(&Expected::Error(json!({"code": 1})), &own).is_empty());
        assert_eq!(judge(&Expected::Error(json!({"code": 2})), &own).len(), 1);
    }
}
