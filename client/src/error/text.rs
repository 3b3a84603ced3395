//! The words of errors: what, where, and what to do next. One readable paragraph each.

use std::fmt::Write;

use jackfield_wire::status::printable;
use jackfield_wire::ty::nearest;
use jackfield_wire::{Executed, ServiceName, Status};

use super::{
    Attempt, Exhaustion, LimitExceeded, MaxRetriesExceeded, NoAvailableInstance, NoInstance,
    NoRegistry, RequestTimeout, ServiceError,
};

pub(super) fn no_instance(error: &NoAvailableInstance) -> String {
    let service = &error.service;
    let mut text = match &error.reason {
        NoInstance::NoRegistry(none) => format!("cannot find {service}: {none}"),
        NoInstance::UnknownService { known } => unknown_service(service, known),
        NoInstance::AllDisabled { count: 1 } => {
            format!("the only instance of {service} is disabled")
        }
        NoInstance::AllDisabled { count } => {
            format!("all {count} instances of {service} are disabled")
        }
        NoInstance::NoneMatches { count: 1, wanted } => {
            format!("the only instance of {service} has not {wanted}; see jackfield ls --json")
        }
        NoInstance::NoneMatches { count, wanted } => format!(
            "none of the {count} instances of {service} has {wanted}; see jackfield ls --json"
        ),
        NoInstance::Unreachable => {
            return last(&format!("no instance of {service} can be reached"), &error.attempts);
        }
        NoInstance::Direct => format!(
            "cannot find {service}: this client goes directly to one host; give it a registry"
        ),
    };
    history(&mut text, &error.attempts);
    text
}

fn unknown_service(service: &ServiceName, known: &[ServiceName]) -> String {
    if known.is_empty() {
        return format!(
            "no host serves {service}, nor anything else; start one: jackfield host DIR"
        );
    }
    let mut text = format!("no host serves {service}; ");
    if let Some(nearest) = nearest(service.as_str(), known.iter().map(ServiceName::as_str)) {
        _ = write!(text, "did you mean {nearest}? ");
    }
    let shown: Vec<&str> = known.iter().take(MAX_NAMES).map(ServiceName::as_str).collect();
    _ = write!(text, "there is {}", shown.join(", "));
    if known.len() > MAX_NAMES {
        _ = write!(text, " and {} more", known.len() - MAX_NAMES);
    }
    text
}

pub(super) fn no_registry(error: &NoRegistry) -> String {
    let mut text = format!("no registry answered within {:.1?}", error.waited);
    for tried in &error.tried {
        _ = write!(text, "; {}: {}", tried.registry, tried.message);
    }
    text.push_str("; start one: jackfield registry");
    text
}

pub(super) fn timeout(error: &RequestTimeout) -> String {
    let RequestTimeout { target, deadline, phase, executed, attempts } = error;
    let mut text =
        format!("{target} did not end within its deadline of {deadline:.1?}: it passed ");
    _ = write!(text, "while {phase}");
    if let Some(last) = attempts.last() {
        _ = write!(text, " ({}; {executed})", place(last));
    }
    if let Some((_, earlier)) = attempts.split_last() {
        history(&mut text, earlier);
    }
    text
}

pub(super) fn service(error: &ServiceError) -> String {
    let ServiceError { target, status, executed, message, value, attempts, .. } = error;
    if !error.is_answered {
        return last(&format!("{target} got no usable answer ({executed})"), attempts);
    }
    let mut text = format!("{target}: {status}");
    match value {
        Some(json) => _ = write!(text, ": {}", clip(json)),
        None if !message.is_empty() => _ = write!(text, ": {message}"),
        None => {}
    }
    if *executed == Executed::Unknown {
        _ = write!(text, " ({executed})");
    }
    if let Some((_, earlier)) = attempts.split_last() {
        history(&mut text, earlier);
    }
    text
}

pub(super) fn retries(error: &MaxRetriesExceeded) -> String {
    let mut text = format!("{} failed {} times", error.target, error.attempts.len());
    match error.reason {
        Exhaustion::Attempts => {}
        Exhaustion::Deadline => text.push_str(", and its deadline is too near for another attempt"),
        Exhaustion::Budget => text.push_str(", and the budget of retries is used up"),
    }
    history(&mut text, &error.attempts);
    text
}

pub(super) fn limit(error: &LimitExceeded) -> String {
    let LimitExceeded { target, executed, message, retry_after, attempts } = error;
    let mut text = format!("{target}: {}", Status::ResourceExhausted);
    if !message.is_empty() {
        _ = write!(text, ": {message}");
    }
    if let Some(wait) = retry_after {
        _ = write!(text, "; try again in {wait:.1?}");
    }
    if *executed == Executed::Unknown {
        _ = write!(text, " ({executed})");
    }
    if let Some((_, earlier)) = attempts.split_last() {
        history(&mut text, earlier);
    }
    text
}

fn last(what: &str, attempts: &[Attempt]) -> String {
    let Some((last, earlier)) = attempts.split_last() else { return what.into() };
    let mut text = format!("{what}: {}: {}", place(last), last.message);
    history(&mut text, earlier);
    text
}

fn place(attempt: &Attempt) -> String {
    match &attempt.host {
        Some(host) => format!("{host} at {}", attempt.address),
        None => attempt.address.clone(),
    }
}

fn history(text: &mut String, attempts: &[Attempt]) {
    for (n, attempt) in attempts.iter().enumerate() {
        _ = write!(text, "; attempt {}: {attempt}", n + 1);
    }
}

/// The first part of `json` as printable text.
pub(super) fn clip(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(&json[..json.len().min(MAX_SHOWN)]);
    let cut = if json.len() > MAX_SHOWN { "…" } else { "" };
    printable(&text) + cut
}

/// Bytes of a value that an error shows: about a screen's width times four.
const MAX_SHOWN: usize = 320;

/// Services that an error names: more would bury the rest of the sentence.
const MAX_NAMES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<ServiceName> {
        names.iter().map(|name| ServiceName::new(*name).unwrap()).collect()
    }

    #[test]
    fn a_mistyped_service_gets_the_nearest_name_and_the_list() {
        let text = unknown_service(&names(&["clac"])[0], &names(&["calc", "greeter"]));
        assert_eq!(text, "no host serves clac; did you mean calc? there is calc, greeter");
    }

    #[test]
    fn a_name_that_is_near_to_nothing_gets_only_the_list() {
        let text = unknown_service(&names(&["weather"])[0], &names(&["calc", "text"]));
        assert_eq!(text, "no host serves weather; there is calc, text");
    }

    #[test]
    fn an_empty_network_says_what_to_start() {
        let text = unknown_service(&names(&["calc"])[0], &[]);
        assert!(text.contains("jackfield host DIR"), "{text}");
    }

    #[test]
    fn a_long_value_is_clipped_and_printable() {
        let text = clip(&[b'\x1b'; 1000]);
        assert!(text.starts_with("\\u{1b}") && text.ends_with('…'), "{text}");
    }
}
