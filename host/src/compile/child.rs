//! The child's side of a compilation: limits itself, reads, compiles, says how it went, ends.
//!
//! It trusts its parent and nothing in the bytes. Ends at once when its parent does: then nobody
//! holds the other end of its standard input any more.

use std::io::{BufRead, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use wasmtime::component::Component;

use super::{cpu, store};
use crate::engine::{self, CodeSettings};

/// What to do, as one line of JSON in front of the bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// How the parent's engine compiles.
    pub(super) code: CodeSettings,
    /// Where to leave the code; nowhere when there is no place.
    pub(super) cache: Option<PathBuf>,
    /// Bytes that follow.
    pub(super) length: usize,
    /// CPU time of all threads.
    pub(super) cpu_seconds: u64,
    /// Bytes of address space.
    pub(super) memory: u64,
    /// Bytes of compiled code.
    pub(super) code_bytes: u64,
}

/// How it went, as one line of JSON on standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// It compiled.
    Compiled {
        /// And is in the cache.
        stored: bool,
    },
    /// Wasmtime does not take it.
    Refused(String),
    /// Its code is longer than it may be.
    TooMuchCode(u64),
    /// The memory did not suffice.
    OutOfMemory,
}

/// Compiles the component on standard input for a host, whose child process this is; see
/// [`Compiler::Child`](super::Compiler::Child).
///
/// Sets limits on this process and ends it when standard input does, so the caller must do nothing
/// else before or after.
pub fn compile_child() -> ExitCode {
    match compile() {
        Ok(verdict) => match serde_json::to_writer(std::io::stdout(), &verdict) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            // Nobody reads it when the parent has gone.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn compile() -> Result<Verdict, Box<dyn std::error::Error>> {
    let mut line = String::new();
    std::io::stdin().lock().take(MAX_TASK).read_line(&mut line)?;
    let task: Task = serde_json::from_str(&line)
        .map_err(|error| format!("hosts start this command, not people: {error}"))?;
    limit(&task)?;
    let mut bytes = Vec::with_capacity(task.length);
    std::io::stdin().lock().take(u64::try_from(task.length)?).read_to_end(&mut bytes)?;
    if bytes.len() < task.length {
        return Err("the host went away".into());
    }
    std::thread::Builder::new().name("jackfield-watch".into()).spawn(end_with_parent)?;
    let cache = task.cache.as_deref().and_then(|place| store::unbounded(place).ok());
    let engine = engine::compiling(task.code, cache.clone())?;
    let component = match Component::from_binary(&engine, &bytes) {
        Ok(component) => component,
        Err(error) => return Ok(refusal(&format!("{error:#}"))),
    };
    let image = component.image_range();
    let length = u64::try_from(image.end.addr() - image.start.addr())?;
    if length > task.code_bytes {
        return Ok(Verdict::TooMuchCode(length));
    }
    let stored = cache.is_some_and(|cache| cache.cache_misses() > 0);
    Ok(Verdict::Compiled { stored })
}

/// Reads on: nothing comes but the end.
fn end_with_parent() {
    // An error is an end, too.
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    std::process::exit(1);
}

fn limit(task: &Task) -> std::io::Result<()> {
    cpu::lower_priority_of_process();
    let most = |limit: u64, hard: u64| Rlimit { current: Some(limit), maximum: Some(hard) };
    // The signal at the lower one tells the parent what it was; the second cannot be ignored.
    setrlimit(Resource::Cpu, most(task.cpu_seconds, task.cpu_seconds + 1))?;
    setrlimit(Resource::As, most(task.memory, task.memory))?;
    setrlimit(Resource::Fsize, most(task.code_bytes, task.code_bytes))?;
    // A core file of gigabytes would fill the disk.
    setrlimit(Resource::Core, most(0, 0))?;
    Ok(())
}

fn refusal(error: &str) -> Verdict {
    if NO_MEMORY.iter().any(|words| error.contains(words)) {
        return Verdict::OutOfMemory;
    }
    Verdict::Refused(error.to_owned())
}

/// What a failed `mmap` or allocation says of itself.
const NO_MEMORY: [&str; 3] = ["Cannot allocate memory", "out of memory", "os error 12"];

/// Bytes of a task's line: a path and some numbers.
const MAX_TASK: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_memory_is_told_apart_from_a_broken_component() {
        assert!(matches!(refusal("mmap: Cannot allocate memory"), Verdict::OutOfMemory));
        assert!(
            matches!(refusal("unexpected end"), Verdict::Refused(text) if text == "unexpected end")
        );
    }
}
