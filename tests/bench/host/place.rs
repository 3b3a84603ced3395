//! Where a measurement happens: a folder, a host process over it, clients of it, and what the
//! kernel knows of the process.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use jackfield_client::Client;
use jackfield_transport::{Identity, Role, StateDir};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::child::{Look, Said, Spec};

/// A folder of plugins and a state directory, gone when dropped.
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    pub(crate) fn new() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("jackfield-bench-").tempdir()?;
        fs::create_dir(root.path().join("plugins"))?;
        Ok(Self { root })
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    /// Where the folder's file called `file` is.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder().join(file)
    }

    /// Writes `bytes` beside the folder's files, to be renamed to `file` when its time comes.
    pub(crate) fn prepare(&self, file: &str, bytes: &[u8]) -> Result<Prepared> {
        let partial = self.folder().join(format!(".{file}.partial"));
        fs::write(&partial, bytes)?;
        Ok(Prepared { partial, path: self.path(file) })
    }

    /// Puts `bytes` in as `file` in one step.
    pub(crate) fn put(&self, file: &str, bytes: &[u8]) -> Result<()> {
        self.prepare(file, bytes)?.rename().map(|_| ())
    }

    /// Starts a host over the folder and waits until it has dealt with every file.
    pub(crate) async fn host(&self) -> Result<HostProcess> {
        HostProcess::start(self, None).await
    }

    /// The same, and it lets a client give up as many of its calls as it likes.
    pub(crate) async fn forgiving_host(&self) -> Result<HostProcess> {
        HostProcess::start(self, Some(0)).await
    }

    fn identity(&self) -> Result<Identity> {
        let state = StateDir::resolve(Some(&self.state()))?;
        Ok(Identity::local(&state, Role::Client, "measuring")?)
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }
}

/// A file with a hidden name.
pub(crate) struct Prepared {
    partial: PathBuf,
    path: PathBuf,
}

impl Prepared {
    /// Gives it its name; says when.
    pub(crate) fn rename(self) -> Result<Instant> {
        let now = Instant::now();
        fs::rename(&self.partial, &self.path).context("a rename within the folder")?;
        Ok(now)
    }
}

/// A host as a process of its own. Killed when dropped.
pub(crate) struct HostProcess {
    child: Child,
    stdin: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    identity: Identity,
    log: PathBuf,
    pub(crate) address: SocketAddr,
    /// From its start until every file was dealt with.
    pub(crate) settled_after: Duration,
}

impl HostProcess {
    async fn start(place: &Place, reset_flood: Option<u32>) -> Result<Self> {
        let (folder, state) = (place.folder(), place.state());
        let spec = Spec { folder, state, plugins: PLUGINS, reset_flood };
        let log = place.root.path().join("host.log");
        let identity = place.identity()?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--host", &serde_json::to_string(&spec)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().context("stdin is piped")?;
        let said = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let settled_after = Duration::ZERO;
        let mut host = Self { child, stdin, said, identity, log, address, settled_after };
        loop {
            match host.next().await? {
                Said::Listening { address } => host.address = address,
                Said::Settled { after_us } => {
                    host.settled_after = Duration::from_micros(after_us);
                    return Ok(host);
                }
                _ => {}
            }
        }
    }

    /// What it says next.
    pub(crate) async fn next(&mut self) -> Result<Said> {
        let line = tokio::time::timeout(PATIENCE, self.said.next_line()).await;
        match line.context("the host says nothing")?? {
            Some(line) => Ok(serde_json::from_str(&line)?),
            None => bail!("the host has ended; its log:\n{}", fs::read_to_string(&self.log)?),
        }
    }

    /// Waits until it has rejected `file`; says why.
    pub(crate) async fn rejects(&mut self, file: &str) -> Result<String> {
        loop {
            match self.next().await? {
                Said::Rejected { file: rejected, reason } if rejected == file => return Ok(reason),
                _ => {}
            }
        }
    }

    /// Waits until it has decided about a file of the service: true when it serves.
    pub(crate) async fn decides(&mut self, of: &str) -> Result<bool> {
        loop {
            match self.next().await? {
                Said::Loaded { service } | Said::Replaced { service } if service == of => {
                    return Ok(true);
                }
                Said::Rejected { file, .. }
                    if Path::new(&file).file_stem() == Some(of.as_ref()) =>
                {
                    return Ok(false);
                }
                _ => {}
            }
        }
    }

    /// What it has in hand.
    pub(crate) async fn look(&mut self) -> Result<Look> {
        self.stdin.write_all(b"?\n").await?;
        loop {
            if let Said::Look(look) = self.next().await? {
                return Ok(look);
            }
        }
    }

    /// Waits until no call runs, nothing drains and no store is open; what there is then. After
    /// [`REST`], what there still is.
    pub(crate) async fn rests(&mut self) -> Result<Look> {
        self.rests_with(usize::MAX).await
    }

    /// The same, and until it has no more than so many tasks.
    pub(crate) async fn rests_with(&mut self, tasks: usize) -> Result<Look> {
        let end = Instant::now() + REST;
        loop {
            let look = self.look().await?;
            let busy = look.in_flight as usize + look.draining + look.stores;
            if (busy == 0 && look.tasks <= tasks) || Instant::now() > end {
                return Ok(look);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A library client that goes straight to it.
    pub(crate) async fn client(&self) -> Result<Client> {
        let client = Client::builder().direct(self.address.to_string());
        let client = client.identity(self.identity.clone()).deadline(PATIENCE).build().await?;
        let _: serde_json::Value = client.call("jackfield.ping", ()).await?;
        Ok(client)
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Bytes of memory that it holds; `None` where there is no `/proc`.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.status("VmRSS:")
    }

    /// The most that it has held since [`Self::forget_peak`].
    pub(crate) fn peak(&self) -> Option<u64> {
        self.status("VmHWM:")
    }

    pub(crate) fn forget_peak(&self) {
        if let Some(process) = self.process() {
            // Where the kernel refuses, peaks are of the whole life of the process: too high.
            let _ = fs::write(process.join("clear_refs"), "5");
        }
    }

    /// Open file descriptors.
    pub(crate) fn descriptors(&self) -> Option<u64> {
        Some(fs::read_dir(self.process()?.join("fd")).ok()?.count() as u64)
    }

    /// Bytes of its log.
    pub(crate) fn log_size(&self) -> u64 {
        fs::metadata(&self.log).map(|log| log.len()).unwrap_or_default()
    }

    fn process(&self) -> Option<PathBuf> {
        let process = Path::new("/proc").join(self.child.id()?.to_string());
        process.is_dir().then_some(process)
    }

    fn status(&self, name: &str) -> Option<u64> {
        let status = fs::read_to_string(self.process()?.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    }

    /// Ends it in order, so that what it caches is written.
    pub(crate) async fn end(self) -> Result<()> {
        let Self { mut child, stdin, .. } = self;
        drop(stdin);
        let status = tokio::time::timeout(PATIENCE, child.wait()).await??;
        ensure!(status.success(), "the host ended with {status}");
        Ok(())
    }
}

/// More than any measurement puts into one folder.
const PLUGINS: usize = 4096;

/// What is still there after so long is left behind.
const REST: Duration = Duration::from_secs(15);

/// Only a broken host takes this long to say something: half a minute of compilation, four times.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
