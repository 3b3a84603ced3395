//! The interfaces of `wit/`, package `jackfield:plugin`: the call and the log, and in a file of their
//! own the calls of other services. Keeps nothing: what a guest asks for is in its store.

mod services;

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker};

use super::{Current, Guest};
pub(super) use services::add_to_linker as add_services_to_linker;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_one_piece_of_json_however_they_look() {
        let fields = vec![("user".into(), "a\"b\n".into()), ("user".into(), "c".into())];
        assert_eq!(json(fields), r#"{"user":"a\"b\n","user":"c"}"#);
    }
}
