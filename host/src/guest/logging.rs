//! `wasi:logging`: a guest's own lines, each with its level and a context, into the log that its
//! standard output goes to, under the same limit.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker};

use super::Guest;

/// The levels of `wasi:logging`.
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
    #[component(name = "critical")]
    Critical,
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::TRACE,
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error | Level::Critical => Self::ERROR,
        }
    }
}

/// Links the interface under both names that tools give it.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    for name in NAMES {
        linker.instance(name)?.func_wrap(
            "log",
            |store: StoreContextMut<'_, Guest>,
             (level, context, message): (Level, String, String)| {
                store.data().output().log(level.into(), &context, &message);
                Ok(())
            },
        )?;
    }
    Ok(())
}

const NAMES: [&str; 2] = ["wasi:logging/logging@0.1.0-draft", "wasi:logging/logging"];
