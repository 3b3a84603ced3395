//! `jackfield:plugin/services`: calls of other services, each held against what its plugin was granted
//! and against the call that it is made for. Ends with that call, which drops the future.

use std::time::Duration;

use jackfield_wire::status::{Executed, Status};
use jackfield_wire::{Failure, Target};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

use super::super::Guest;
use crate::services::{
    Outgoing, OutgoingArguments, OutgoingCall, OutgoingFailure, OutgoingOptions,
};

/// Links the calls of other services.
pub(in super::super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut services = linker.instance("jackfield:plugin/services@0.1.0")?;
    services.func_wrap_async(
        "call",
        |store: StoreContextMut<'_, Guest>, (target, arguments): (String, String)| {
            Box::new(call(store.data(), target, arguments, GuestOptions::default()))
        },
    )?;
    services.func_wrap_async(
        "call-with",
        |store: StoreContextMut<'_, Guest>,
         (target, arguments, options): (String, String, GuestOptions)| {
            Box::new(call(store.data(), target, arguments, options))
        },
    )
}

/// Makes one call. The guest is asked for it at once and not held while it is under way.
fn call(
    guest: &Guest,
    target: String,
    arguments: String,
    options: GuestOptions,
) -> impl Future<Output = wasmtime::Result<(Result<String, GuestFailure>,)>> + Send + use<> {
    let begun = begin(guest, &target, arguments, options);
    let most = guest.longest_answer();
    async move {
        let ended = match begun {
            Ok(outgoing) => outgoing.await,
            Err(failure) => Err(failure.into()),
        };
        Ok((ended.and_then(|json| text(&target, json, most)).map_err(GuestFailure::from),))
    }
}

/// Holds a call against what its plugin may do, and begins it.
fn begin(
    guest: &Guest,
    target: &str,
    arguments: String,
    options: GuestOptions,
) -> Result<Outgoing, Failure> {
    let refused = |status, text: &str| Failure::not_executed(status, text);
    let target: Target =
        target.parse().map_err(|error| refused(Status::InvalidArgument, &format!("{error}")))?;
    let services = guest.capabilities().services();
    if !services.include(&target.service) {
        let text = services.lines_that_grant(&target.service, &guest.output().service());
        return Err(refused(Status::PermissionDenied, &text));
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
        options: options.into(),
    })
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

#[derive(Clone, Debug, Default, ComponentType, Lift)]
#[component(record)]
struct GuestOptions {
    deadline: Option<u64>,
    idempotent: bool,
    key: Option<String>,
}

impl From<GuestOptions> for OutgoingOptions {
    fn from(options: GuestOptions) -> Self {
        let GuestOptions { deadline, idempotent, key } = options;
        Self { deadline: deadline.map(Duration::from_millis), is_idempotent: idempotent, key }
    }
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
