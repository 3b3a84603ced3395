//! Puts a guest's end into words: what it ran into, what it said last, where it was.

use jackfield_wire::{Executed, Failure, Status};
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::guest::LimitReached;
use crate::limits::PluginLimits;

/// What a caller is told of a guest that ended with `error` within `limits`, after it wrote
/// `stderr`.
pub(crate) fn failure(
    error: &wasmtime::Error,
    executed: Executed,
    stderr: &str,
    limits: &PluginLimits,
) -> Failure {
    if error.is::<PoolConcurrencyLimitError>() {
        let text = format!("no room for another instance on this host: {}", error.root_cause());
        return Failure::new(Status::ResourceExhausted, executed, text);
    }
    let text = format!("{}{}{}", reason(error, limits), quoted(stderr), places(error));
    Failure::new(Status::Trapped, executed, text)
}

/// What a guest wrote last, as part of a message; nothing when it wrote nothing.
pub(crate) fn quoted(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it wrote: {stderr}") }
}

fn reason(error: &wasmtime::Error, limits: &PluginLimits) -> String {
    if let Some(limit) = error.downcast_ref::<LimitReached>() {
        return limit.to_string();
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return format!("the guest ended itself with exit({code})");
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "the stack limit was reached: recursion too deep".into(),
        Some(trap) => trap.to_string(),
        None => limit_in_words(&error.root_cause().to_string(), limits),
    }
}

/// What wasmtime has no type for, and says without its number.
fn limit_in_words(said: &str, limits: &PluginLimits) -> String {
    if said == ResourceTableError::Full.to_string() || said.contains(HANDLES_FULL) {
        return format!("the handle limit was reached: {} handles allowed", limits.handles);
    }
    if said.contains(CROSSING_FULL) {
        return format!(
            "the limit of what one crossing between guest and host may take was reached: {} bytes \
             allowed; pass less at a time",
            limits.hostcall_bytes
        );
    }
    said.to_owned()
}

/// Wasmtime's word for as many handles of a guest as there may be.
const HANDLES_FULL: &str = "store handle limit exceeded";

/// Wasmtime's word for values that take more than the host gives them.
const CROSSING_FULL: &str = "fuel allocated for hostcalls has been exhausted";

/// The functions it was in, the innermost first; nothing when the binary has no names.
fn places(error: &wasmtime::Error) -> String {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let mut names: Vec<_> = trace.frames().iter().filter_map(|frame| frame.func_name()).collect();
    names.dedup();
    if names.is_empty() {
        return String::new();
    }
    let shown: Vec<_> = names.into_iter().take(MAX_PLACES).map(shortened).collect();
    format!("; in {}", shown.join(" < "))
}

fn shortened(name: &str) -> String {
    name.chars().take(MAX_PLACE).collect()
}

/// Functions named of a trap.
const MAX_PLACES: usize = 6;

/// Characters of each one's name: a guest chooses them, and mangled ones have no end.
const MAX_PLACE: usize = 80;
