//! The host that is measured: this program once more, with nothing but the host in it.
//!
//! It says on stdout what happens, a JSON object a line, and answers a line on stdin with a look at
//! what it has in hand. It ends when stdin does.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use jackfield_host::{Compiler, Host, HostConfig, HostEvent};
use jackfield_transport::{Identity, Role, StateDir};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc};

/// Which host to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) folder: PathBuf,
    pub(crate) state: PathBuf,
    /// The limit of plugins.
    pub(crate) plugins: usize,
    /// The limit of exchanges that a peer may break off; as it is by default without one.
    pub(crate) reset_flood: Option<u32>,
}

/// What a host says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "kebab-case")]
pub(crate) enum Said {
    /// It can be called.
    Listening { address: SocketAddr },
    /// It has dealt with every file, this long after it began.
    Settled { after_us: u64 },
    /// A service is there that was not.
    Loaded { service: String },
    /// A service has a new version.
    Replaced { service: String },
    /// A file does not serve.
    Rejected { file: String, reason: String },
    /// It was asked.
    Look(Look),
}

/// What a host has in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Look {
    pub(crate) in_flight: u32,
    pub(crate) queued: u32,
    pub(crate) draining: usize,
    pub(crate) stores: usize,
    pub(crate) tasks: usize,
}

/// Is the host that `spec` describes, until stdin ends.
pub(crate) async fn serve(spec: &str) -> Result<()> {
    let began = Instant::now();
    let spec: Spec = serde_json::from_str(spec)?;
    log_to_stderr();
    let state = StateDir::resolve(Some(&spec.state))?;
    let identity = Identity::local(&state, Role::Host, "measured")?;
    let mut config = HostConfig::new(spec.folder, ([127, 0, 0, 1], 0).into(), identity, state);
    config.limits.plugins = spec.plugins;
    if let Some(resets) = spec.reset_flood {
        config.transport.reset_flood = resets;
    }
    config.compiler = compiler();
    let host = Host::spawn(config).await?;
    let mut events = host.events();
    say(&Said::Listening { address: host.local_addr() })?;
    let mut asked = questions();
    let mut settled = false;
    loop {
        tokio::select! {
            () = host.settled(), if !settled => {
                settled = true;
                say(&Said::Settled { after_us: micros(began.elapsed()) })?;
            }
            event = events.recv() => match event {
                Ok(event) => tell(event)?,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            },
            question = asked.recv() => match question {
                Some(()) => say(&Said::Look(look(&host)))?,
                None => break,
            },
        }
    }
    host.shutdown(Duration::ZERO).await;
    Ok(())
}

/// The binary that was built with this one, whose engine is the same.
fn compiler() -> Compiler {
    let program = env!("CARGO_BIN_EXE_jackfield").into();
    Compiler::Child { program, arguments: vec!["compile".into()] }
}

/// As the real one does by default, so that logging costs what it costs.
fn log_to_stderr() {
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO);
    log.with_writer(std::io::stderr).with_ansi(false).init();
}

/// A line on stdin is a question; its end is the end.
fn questions() -> mpsc::Receiver<()> {
    let (send, asked) = mpsc::channel(1);
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.blocking_send(()).is_err() {
                break;
            }
        }
    });
    asked
}

fn look(host: &Host) -> Look {
    let load = host.load();
    Look {
        in_flight: load.in_flight,
        queued: load.queued,
        draining: host.draining(),
        stores: host.stores(),
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
    }
}

fn tell(event: HostEvent) -> Result<()> {
    match event {
        HostEvent::Loaded { service, .. } => say(&Said::Loaded { service: service.to_string() }),
        HostEvent::Replaced { service, .. } => {
            say(&Said::Replaced { service: service.to_string() })
        }
        HostEvent::Rejected { file, reason, .. } => say(&Said::Rejected { file, reason }),
        _ => Ok(()),
    }
}

fn say(said: &Said) -> Result<()> {
    let line = serde_json::to_string(said)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
