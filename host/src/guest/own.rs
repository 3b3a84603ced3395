//! The interfaces of `wit/`, package `jackfield:plugin`: the call, the log, other services.

use jackfield_wire::status::{Executed, Status};
use jackfield_wire::{Failure, Target};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

use super::{Current, Guest};
use crate::services::{OutgoingArguments, OutgoingCall, OutgoingFailure};

/// The levels of `jackfield:plugin/log`.
#[expect(dead_code, reason = "guests make them, by their numbers")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::TRACE,
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}

/// The statuses of `jackfield:plugin/services`: all but `ok`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
enum GuestStatus {
    #[component(name = "application")]
    Application,
    #[component(name = "invalid-argument")]
    InvalidArgument,
    #[component(name = "not-found")]
    NotFound,
    #[component(name = "unauthenticated")]
    Unauthenticated,
    #[component(name = "permission-denied")]
    PermissionDenied,
    #[component(name = "resource-exhausted")]
    ResourceExhausted,
    #[component(name = "unavailable")]
    Unavailable,
    #[component(name = "deadline-exceeded")]
    DeadlineExceeded,
    #[component(name = "cancelled")]
    Cancelled,
    #[component(name = "trapped")]
    Trapped,
    #[component(name = "internal")]
    Internal,
}

impl From<Status> for GuestStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Application => Self::Application,
            Status::InvalidArgument => Self::InvalidArgument,
            Status::NotFound => Self::NotFound,
            Status::Unauthenticated => Self::Unauthenticated,
            Status::PermissionDenied => Self::PermissionDenied,
            Status::ResourceExhausted => Self::ResourceExhausted,
            Status::Unavailable => Self::Unavailable,
            Status::DeadlineExceeded => Self::DeadlineExceeded,
            Status::Cancelled => Self::Cancelled,
            Status::Trapped => Self::Trapped,
            // A failure is never `ok`.
            Status::Internal | Status::Ok => Self::Internal,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
enum GuestExecuted {
    #[component(name = "no")]
    No,
    #[component(name = "yes")]
    Yes,
    #[component(name = "unknown")]
    Unknown,
}

impl From<Executed> for GuestExecuted {
    fn from(executed: Executed) -> Self {
        match executed {
            Executed::No => Self::No,
            Executed::Yes => Self::Yes,
            Executed::Unknown => Self::Unknown,
        }
    }
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
struct GuestFailure {
    status: GuestStatus,
    executed: GuestExecuted,
    message: String,
    value: Option<String>,
}

impl From<OutgoingFailure> for GuestFailure {
    fn from(failed: OutgoingFailure) -> Self {
        let OutgoingFailure { failure, value } = failed;
        Self {
            status: failure.status.into(),
            executed: failure.executed.into(),
            message: failure.message,
            value: value.and_then(|json| String::from_utf8(json).ok()),
        }
    }
}

/// Links what needs no grant.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut call = linker.instance("jackfield:plugin/call@0.1.0")?;
    call.func_wrap("caller", |store: StoreContextMut<'_, Guest>, (): ()| {
        Ok((store.data().current().map(|call| call.caller.to_string()),))
    })?;
    call.func_wrap("time-left", |store: StoreContextMut<'_, Guest>, (): ()| {
        let left = store.data().current().map(Current::time_left);
        Ok((left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),))
    })?;
    call.func_wrap("trace-parent", |store: StoreContextMut<'_, Guest>, (): ()| {
        let trace = store.data().current().and_then(|call| call.trace);
        Ok((trace.map(|trace| trace.to_string()),))
    })?;
    linker.instance("jackfield:plugin/log@0.1.0")?.func_wrap(
        "write",
        |store: StoreContextMut<'_, Guest>,
         (level, message, fields): (Level, String, Vec<(String, String)>)| {
            let fields = if fields.is_empty() { String::new() } else { json(fields) };
            store.data().output().log(level.into(), &fields, &message);
            Ok(())
        },
    )
}

/// Fields as the log shows them. In their order; of two of one name both.
fn json(fields: Vec<(String, String)>) -> String {
    let quoted = |text: String| serde_json::Value::String(text).to_string();
    let pairs =
        fields.into_iter().map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// Links the calls of other services.
pub(super) fn add_services_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance("jackfield:plugin/services@0.1.0")?.func_wrap_async(
        "call",
        |store: StoreContextMut<'_, Guest>, (target, arguments): (String, String)| {
            let begun = begin(store.data(), &target, arguments);
            let most = store.data().longest_answer();
            Box::new(async move {
                let ended = match begun {
                    Ok(outgoing) => outgoing.await,
                    Err(failure) => Err(failure.into()),
                };
                Ok((ended.and_then(|json| text(&target, json, most)).map_err(GuestFailure::from),))
            })
        },
    )
}

/// Holds a call against what its plugin may do, and begins it.
fn begin(
    guest: &Guest,
    target: &str,
    arguments: String,
) -> Result<crate::services::Outgoing, Failure> {
    let refused = |status, text: &str| Failure::not_executed(status, text);
    let target: Target =
        target.parse().map_err(|error| refused(Status::InvalidArgument, &format!("{error}")))?;
    let services = guest.capabilities().services();
    if !services.include(&target.service) {
        return Err(refused(Status::PermissionDenied, &ungranted(&target)));
    }
    let Some(current) = guest.current() else {
        return Err(refused(Status::PermissionDenied, NO_CALL));
    };
    if current.hops >= MAX_HOPS {
        let text = format!(
            "{target} is not called: {MAX_HOPS} services have called each other already, most \
             often in a circle"
        );
        return Err(refused(Status::ResourceExhausted, &text));
    }
    let arguments = kind(arguments).map_err(|text| refused(Status::InvalidArgument, text))?;
    services.begin(OutgoingCall {
        target,
        arguments,
        time_left: current.time_left(),
        trace: current.trace,
        hops: current.hops + 1,
    })
}

fn ungranted(target: &Target) -> String {
    let service = &target.service;
    format!(
        "the manifest of this plugin does not let it call {service}; to let it, add {service:?} to \
         grants.services",
        service = service.as_str()
    )
}

fn kind(arguments: String) -> Result<OutgoingArguments, &'static str> {
    match arguments.bytes().find(|byte| !byte.is_ascii_whitespace()) {
        None => Ok(OutgoingArguments::None),
        Some(b'[') => Ok(OutgoingArguments::Positional(arguments.into_bytes())),
        Some(b'{') => Ok(OutgoingArguments::Named(arguments.into_bytes())),
        Some(_) => Err("arguments are a JSON array, by position, or a JSON object, by name"),
    }
}

fn text(target: &str, json: Option<Vec<u8>>, most: usize) -> Result<String, OutgoingFailure> {
    let Some(json) = json else { return Ok("null".into()) };
    let failed = |status, text: String| Failure::new(status, Executed::Yes, text);
    if json.len() > most {
        let text = format!(
            "{target} returned {} bytes, over the limit of {most} bytes of this plugin \
             (limits.result)",
            json.len()
        );
        return Err(failed(Status::ResourceExhausted, text).into());
    }
    String::from_utf8(json)
        .map_err(|_| failed(Status::Internal, format!("{target} returned no UTF-8")).into())
}

/// Services that may call each other, one for the other. Each holds a place on its host while it
/// waits: a circle without an end would take all of them until the first deadline.
const MAX_HOPS: u8 = 8;

/// Said where no call runs.
const NO_CALL: &str = "services can be called only while a method runs, and not with the strategy \
                       `concurrent`, where nobody can tell for which call";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_one_piece_of_json_however_they_look() {
        let fields = vec![("user".into(), "a\"b\n".into()), ("user".into(), "c".into())];
        assert_eq!(json(fields), r#"{"user":"a\"b\n","user":"c"}"#);
    }

    #[test]
    fn arguments_are_told_apart_by_their_first_character() {
        assert_eq!(kind(" \n".into()), Ok(OutgoingArguments::None));
        assert_eq!(kind(" [1]".into()), Ok(OutgoingArguments::Positional(b" [1]".to_vec())));
        assert_eq!(kind("{}".into()), Ok(OutgoingArguments::Named(b"{}".to_vec())));
        assert!(kind("1".into()).is_err());
    }

    #[test]
    fn an_answer_is_held_against_the_plugins_limit() {
        assert_eq!(text("a.b", None, 4).unwrap(), "null");
        assert_eq!(text("a.b", Some(b"1234".to_vec()), 4).unwrap(), "1234");
        let failed = text("a.b", Some(b"12345".to_vec()), 4).unwrap_err().failure;
        assert_eq!((failed.status, failed.executed), (Status::ResourceExhausted, Executed::Yes));
        assert!(failed.message.contains("limits.result"), "{failed}");
    }
}
