//! Why a file of the folder does not serve, in words that say what to do about it.

use jackfield_wire::name::{BUILTIN_SERVICE, NameError};
use jackfield_wire::reflect::RefusedFunction;

use super::binary::{Kind, MAX_NESTING};
use super::imports::MissingImports;
use crate::guest::GrantError;
use crate::manifest::SettingsError;

/// Why a file does not serve. Whatever it is, the version before it goes on serving.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The file's name gives no service name.
    #[error("the file's name cannot name a service: {0}; rename the file")]
    Name(NameError),
    /// The name belongs to the host itself.
    #[error("every host answers `{BUILTIN_SERVICE}` itself; rename the file")]
    Reserved,
    /// The manifest beside it cannot be read.
    #[error("its manifest {file} cannot be read: {reason}")]
    ManifestFile {
        /// Its name.
        file: String,
        /// Why.
        reason: String,
    },
    /// The manifest beside it does not hold, or asks for more than the host allows.
    #[error("its manifest does not hold: {0}")]
    Manifest(SettingsError),
    /// What its manifest grants cannot be given.
    #[error("a grant of its manifest cannot be given: {0}")]
    Grant(GrantError),
    /// Nothing in it.
    #[error("the file is empty; copy the component again")]
    Empty,
    /// Not wasm at all.
    #[error("not a wasm file: it does not begin with `\\0asm`; put WebAssembly components here")]
    NotWasm,
    /// A module where a component is wanted.
    #[error(
        "a core module, not a component; build for wasm32-wasip2, or wrap it with `wasm-tools \
         component new`"
    )]
    CoreModule,
    /// Native code.
    #[error("precompiled native code, which is never loaded from a folder; put the .wasm here")]
    Precompiled,
    /// Wasmtime does not take it.
    #[error("not a valid component: {0}; if it was cut while it was copied, copy it again")]
    Invalid(String),
    /// Components in components without end.
    #[error("nests components deeper than {MAX_NESTING} levels, the limit; compose it flatter")]
    Nested,
    /// It needs what the engine has turned off.
    #[error("uses a proposal that this host leaves off; build the plugin without it: {0}")]
    Feature(String),
    /// It needs a part of component-model async that the engine has turned off.
    #[error(
        "uses a part of component-model async that this host leaves off; it takes what WASI 0.3 \
         needs: async functions, streams and futures ({0})"
    )]
    Async(String),
    /// Imports that nothing satisfies.
    #[error("{0}")]
    Imports(MissingImports),
    /// Imports that are there with other types.
    #[error("its imports do not fit this host: {0}; build it against WASI 0.2")]
    Link(String),
    /// No function that a call could name.
    #[error("{}", nothing_to_call(.0))]
    NothingToCall(Vec<RefusedFunction>),
    /// More functions than a host lists.
    #[error("exports {count} functions, the limit is {limit}; split the plugin")]
    TooManyFunctions {
        /// How many it exports.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A symbolic link, a FIFO, a device, a directory.
    #[error("not a regular file ({0}); put a copy of the component here")]
    NotRegular(&'static str),
    /// Longer than the limit.
    #[error("the file has {size} bytes, the limit is {limit} bytes; strip it (wasm-tools strip)")]
    TooLarge {
        /// Its length in bytes.
        size: u64,
        /// The longest that is read.
        limit: u64,
    },
    /// More plugins than the limit.
    #[error(
        "the folder has more than {limit} plugins, which is the limit; move some to another host"
    )]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The file could not be read.
    #[error("cannot be read: {0}; check its permissions")]
    Unreadable(String),
    /// Another user's file.
    #[error(
        "the file belongs to user {owner}, who is neither this host's user, nor root, nor the \
         folder's owner; copy it as one of these"
    )]
    Stranger {
        /// The number of the user.
        owner: u32,
    },
    /// Another file has its service already.
    #[error(
        "{file} serves `{service}` already{}; take one of the two away, or name another service \
         in the manifest",
        twin(service, wanted)
    )]
    Taken {
        /// The other file.
        file: String,
        /// Its service.
        service: String,
        /// The service of this one.
        wanted: String,
    },
    /// Callers of the version that serves could not go on.
    #[error(
        "it breaks callers of the version that serves: {broken}; {advice}, or put \
         `accept-breaking-change = true` into its manifest"
    )]
    Breaking {
        /// Each method that is gone or has changed.
        broken: String,
        /// Which version would be the right one.
        advice: String,
    },
    /// It does not get as far as serving a call.
    #[error("its start-up fails: {0}")]
    Start(String),
    /// Its own test says no.
    #[error("its self-test fails: {0}")]
    SelfTest(String),
    /// Compiling it passed a limit.
    #[error(
        "compiling it took more than {0}, which is the limit; make it smaller (build with \
         optimisation, wasm-opt -Os) or split it"
    )]
    CompileLimit(String),
    /// The process that compiled it broke on it.
    #[error("the compiler broke on it ({0}); build it with other tools, and report this")]
    CompilerCrashed(String),
    /// The process that compiled it was killed by somebody else.
    #[error(
        "the process that compiled it was killed from outside ({0}: by the system for want of \
         memory, or by somebody); it is compiled again up to four times, after 5, 10, 20 and 40 \
         seconds, and after that when its file changes"
    )]
    CompilerKilled(&'static str),
    /// There is no process to compile it.
    #[error("it could not be compiled now: {0}; it is tried again in a few seconds")]
    CompilerUnavailable(String),
    /// The loader itself broke on it.
    #[error("loading it failed inside the host: {0}; this is a bug worth reporting")]
    Internal(String),
}

impl Rejection {
    /// Refuses what the first bytes already show.
    pub(super) fn of_kind(kind: Kind) -> Result<(), Self> {
        match kind {
            Kind::Component => Ok(()),
            Kind::CoreModule => Err(Self::CoreModule),
            Kind::Precompiled => Err(Self::Precompiled),
            Kind::Empty => Err(Self::Empty),
            Kind::Other => Err(Self::NotWasm),
        }
    }

    /// Sorts what wasmtime says of a component that it does not take.
    pub(crate) fn of_compile_error(error: &str) -> Self {
        if error.contains("async") {
            Self::Async(error.to_owned())
        } else if NOT_ENABLED.iter().any(|words| error.contains(words)) {
            Self::Feature(error.to_owned())
        } else {
            Self::Invalid(error.to_owned())
        }
    }
}

/// What wasmtime says of a valid use of a feature that is turned off.
const NOT_ENABLED: [&str; 4] = ["not enabled", "must be enabled", "requires the", "without the"];

fn twin(service: &str, wanted: &str) -> String {
    match service == wanted {
        true => String::new(),
        false => format!(", from which `{wanted}` differs in case alone"),
    }
}

fn nothing_to_call(refused: &[RefusedFunction]) -> String {
    match refused {
        [] => "exports no function; export one from the plugin's world".to_owned(),
        [first, ..] => format!(
            "none of its {} exported functions can be called: {}: {}",
            refused.len(),
            first.name,
            first.reason
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine, limits::HostLimits};
    use wasmtime::component::Component;

    #[test]
    fn a_feature_that_is_off_is_told_apart_from_a_broken_file() {
        let engine = engine::checking(&HostLimits::default(), crate::engine::Concurrency::Off)
            .expect("the settings hold");
        let rejection = |wat: &str| {
            let bytes = wat::parse_str(wat).expect("it is valid text");
            let Err(error) = Component::new(&engine, bytes) else { panic!("{wat} is taken") };
            Rejection::of_compile_error(&format!("{error:#}"))
        };
        for wat in [
            "(component (core module (memory i64 1)))",
            "(component (core module (memory 1 1 shared)))",
            "(component (core module (type (struct (field i32)))))",
            "(component (core module (tag)))",
            "(component (core module (func (param i64 i64) (result i64 i64)
                local.get 0 local.get 1 i64.mul_wide_s)))",
            "(component (core module (memory 1 (pagesize 1))))",
        ] {
            let rejection = rejection(wat);
            assert!(matches!(rejection, Rejection::Feature(_)), "{wat}: {rejection}");
        }
        let broken = rejection("(component (core module (func i32.add)))");
        assert!(matches!(broken, Rejection::Invalid(_)), "{broken}");
    }
}
