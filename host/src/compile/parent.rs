//! The host's side of a compilation: starts the child, feeds it, waits for its verdict, ends it.
//!
//! A child never outlives the future that waits for it, nor its wall-clock limit, nor the host.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use super::child::{Task, Verdict};
use super::cpu;
use crate::plugin::Rejection;

/// Has a child compile `bytes`. Says whether the code is in the task's cache now.
///
/// # Cancel safety
/// Dropping it kills the child.
///
/// # Errors
/// Why these bytes cannot serve, or why no child could be had.
pub(super) async fn compile(
    program: &Path,
    arguments: &[OsString],
    task: &Task,
    bytes: &[u8],
) -> Result<bool, Rejection> {
    let wall = Duration::from_secs(task.cpu_seconds) * WALL_PER_CPU;
    let child = start(program, arguments)?;
    let ended = tokio::time::timeout(wall, run(child, task, bytes)).await;
    let Ok(ended) = ended else {
        return Err(Rejection::CompileLimit(format!("{wall:?} in all")));
    };
    let ended = ended.map_err(|error| Rejection::CompilerUnavailable(error.to_string()))?;
    ended.judge(task)
}

fn start(program: &Path, arguments: &[OsString]) -> Result<Child, Rejection> {
    Command::new(program)
        .args(arguments)
        // Nothing that the host was told is the business of a compiler.
        .env_clear()
        .env("RAYON_NUM_THREADS", cpu::threads().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            Rejection::CompilerUnavailable(format!("cannot start {}: {error}", program.display()))
        })
}

async fn run(mut child: Child, task: &Task, bytes: &[u8]) -> std::io::Result<Ended> {
    let piped = "all three were asked for";
    let stdin = child.stdin.take().expect(piped);
    let stdout = tail(child.stdout.take().expect(piped));
    let stderr = tail(child.stderr.take().expect(piped));
    // Its standard input stays open until it has ended: the end of that tells it to end itself.
    let (stdin, stdout, stderr, status) =
        tokio::join!(feed(stdin, task, bytes), stdout, stderr, child.wait());
    drop(stdin);
    Ok(Ended { status: status?, stdout, stderr })
}

/// Gives it the task and the bytes. A child that ends before it has read all says why itself.
async fn feed(mut stdin: ChildStdin, task: &Task, bytes: &[u8]) -> Option<ChildStdin> {
    let mut line = serde_json::to_vec(task).ok()?;
    line.push(b'\n');
    stdin.write_all(&line).await.ok()?;
    stdin.write_all(bytes).await.ok()?;
    stdin.flush().await.ok()?;
    Some(stdin)
}

/// The last of what it says; it may say as much as it likes.
async fn tail(mut pipe: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut piece).await {
        kept.extend_from_slice(&piece[..read]);
        let surplus = kept.len().saturating_sub(MAX_TAIL);
        kept.drain(..surplus);
    }
    kept
}

/// How a child ended.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Ended {
    fn judge(&self, task: &Task) -> Result<bool, Rejection> {
        let limit = |what: String| Err(Rejection::CompileLimit(what));
        let memory = || format!("{} MiB of memory", task.memory >> 20);
        if let Some(signal) = self.status.signal() {
            if let Some(name) = from_outside(signal) {
                return Err(Rejection::CompilerKilled(name));
            }
            return match signal {
                _ if signal == Signal::XCPU.as_raw() => {
                    limit(format!("{} s of CPU time", task.cpu_seconds))
                }
                _ if signal == Signal::XFSZ.as_raw() => {
                    limit(format!("{} MiB for its code", task.code_bytes >> 20))
                }
                _ if signal == Signal::ABORT.as_raw() && self.said("memory allocation") => {
                    limit(memory())
                }
                _ => Err(self.crashed(&format!("signal {signal}"))),
            };
        }
        let verdict = serde_json::from_slice(&self.stdout);
        match verdict {
            Ok(Verdict::Compiled { stored }) if self.status.success() => Ok(stored),
            Ok(Verdict::Refused(error)) => Err(Rejection::of_compile_error(&error)),
            Ok(Verdict::OutOfMemory) => limit(memory()),
            Ok(Verdict::TooMuchCode(bytes)) => {
                limit(format!("{} MiB for its code ({} MiB)", task.code_bytes >> 20, bytes >> 20))
            }
            _ if NO_ROOM.iter().any(|words| self.said(words)) => limit(memory()),
            _ => Err(self.crashed(&self.status.to_string())),
        }
    }

    fn said(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.stderr).contains(words)
    }

    fn crashed(&self, how: &str) -> Rejection {
        let said = String::from_utf8_lossy(&self.stderr);
        let said = said.trim();
        Rejection::CompilerCrashed(match said.is_empty() {
            true => how.to_owned(),
            false => format!("{how}: {said}"),
        })
    }
}

/// The name of a signal that no program brings upon itself: somebody sent it, or the kernel did when
/// the machine ran out of memory.
fn from_outside(signal: i32) -> Option<&'static str> {
    let all = [
        (Signal::KILL, "SIGKILL"),
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
        (Signal::QUIT, "SIGQUIT"),
    ];
    all.into_iter().find(|(sent, _)| sent.as_raw() == signal).map(|(_, name)| name)
}

/// A child has a low priority, so on a busy machine its CPU time takes several times as long; one
/// that takes longer than this waits for something that does not come.
const WALL_PER_CPU: u32 = 4;

/// Bytes kept of what a child says last.
const MAX_TAIL: usize = 4 << 10;

/// What the compiler says that found no room: for its data, or for the stack of a thread.
const NO_ROOM: [&str; 2] = ["Cannot allocate memory", "ThreadPoolBuildError"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::CodeSettings;

    fn task(length: usize) -> Task {
        Task {
            code: CodeSettings::default(),
            cache: None,
            length,
            cpu_seconds: 30,
            memory: 2 << 30,
            code_bytes: 1 << 20,
        }
    }

    async fn shell(script: &str) -> Result<bool, Rejection> {
        let arguments = ["-c".into(), script.into()];
        let bytes = vec![0; 1 << 20];
        compile(Path::new("/bin/sh"), &arguments, &task(bytes.len()), &bytes).await
    }

    #[tokio::test]
    async fn each_end_of_a_child_has_its_reason() {
        let done = shell(r#"cat >/dev/null & echo '{"compiled":{"stored":true}}'"#).await;
        assert_eq!(done, Ok(true));
        let done = shell("kill -XCPU $$").await;
        assert_eq!(done, Err(Rejection::CompileLimit("30 s of CPU time".into())));
        for failed in [
            "memory allocation of 7 bytes failed >&2; kill -ABRT $$",
            "ThreadPoolBuildError >&2; exit 101",
        ] {
            let done = shell(&format!("echo {failed}")).await;
            assert_eq!(done, Err(Rejection::CompileLimit("2048 MiB of memory".into())));
        }
        for (kill, name) in [("kill -KILL $$", "SIGKILL"), ("kill $$", "SIGTERM")] {
            assert_eq!(shell(kill).await, Err(Rejection::CompilerKilled(name)));
        }
        let done = shell("echo 'index out of bounds' >&2; exit 101").await;
        let crash = "exit status: 101: index out of bounds".to_owned();
        assert_eq!(done, Err(Rejection::CompilerCrashed(crash)));
        let done = shell(r#"echo '{"refused":"unexpected end"}'"#).await;
        assert_eq!(done, Err(Rejection::Invalid("unexpected end".into())));
        let done = shell("yes | head -c 1000000 >&2; exit 1").await;
        assert!(matches!(done, Err(Rejection::CompilerCrashed(_))), "{done:?}");
    }

    #[tokio::test]
    async fn a_compiler_that_is_not_there_is_named() {
        let error = compile(Path::new("/no/such/program"), &[], &task(0), &[]).await;
        assert!(
            matches!(error, Err(Rejection::CompilerUnavailable(text)) if text.contains("/no/such"))
        );
    }
}
