//! Child processes that never outlive their guard.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A server process. Killed when dropped.
pub struct Process {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, its stderr going to `log`, and waits for its `listening on` line.
    pub(crate) fn spawn(mut command: Command, log: &Path) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log)?)
            .spawn()?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let (found, address) = mpsc::channel();
        // Reads to the end, so that the child never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(address) = listening_address(&line) {
                    // Nobody waits for a second address.
                    let _ = found.send(address);
                }
            }
        });
        match address.recv_timeout(START_UP) {
            Ok(address) => Ok(Self { child, address, log: log.into() }),
            Err(_) => {
                child.kill()?;
                let status = child.wait()?;
                bail!("no `listening on` line ({status}); its log:\n{}", fs::read_to_string(log)?)
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most bytes of memory that it has held since it started, or since
    /// [`Self::forget_peak_memory`]. Linux only.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
        Ok(kib.parse::<u64>()? << 10)
    }

    /// Starts [`Self::peak_memory`] afresh. Linux only.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn forget_peak_memory(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.id()), "5")?)
    }

    /// Kills it as a crash would: no goodbye.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sends `signal`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.context("a child has a process id")?, signal)?)
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wait(mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that ran to its end.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said on the side.
    pub stderr: String,
}

impl Finished {
    /// Runs `command`, killing it when it takes longer than any command may.
    pub(crate) fn of(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let stdout = collect(child.stdout.take().context("stdout is piped")?);
        let stderr = collect(child.stderr.take().context("stderr is piped")?);
        let (stdout, stderr) = (stdout.recv_timeout(RUN), stderr.recv_timeout(RUN));
        if stdout.is_err() || stderr.is_err() {
            child.kill()?;
            bail!("{command:?} did not end within {RUN:?}");
        }
        let code = child.wait()?.code();
        Ok(Self { code, stdout: stdout?, stderr: stderr? })
    }

    /// What it printed, if it ended well.
    ///
    /// # Errors
    /// When it did not: with its code and all it said.
    pub fn ok(self) -> Result<String> {
        match self.code {
            Some(0) => Ok(self.stdout),
            _ => bail!("exit {:?}: {}{}", self.code, self.stdout, self.stderr),
        }
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (done, text) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read is what there is to show.
        let _ = pipe.read_to_end(&mut bytes);
        let _ = done.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    text
}

fn listening_address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split_whitespace().next()?.trim_end_matches([',', '.', ';']).parse().ok()
}

/// A cold start compiles the folder's plugins; on a loaded machine that takes a while.
const START_UP: Duration = Duration::from_secs(120);

/// No client command may take longer: each has a deadline of its own far below.
const RUN: Duration = Duration::from_secs(120);
