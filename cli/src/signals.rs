//! SIGINT and SIGTERM: the first asks, the second insists.

use std::future::Future;
use std::process;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;

/// The signals of this process. From the moment that this exists they no longer end it.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes over both signals. Must be called inside a tokio runtime.
    pub(crate) fn listen() -> Outcome<Self> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Problem::internal(format!("cannot listen for signals: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }

    /// Runs `work` unless a signal comes first.
    ///
    /// # Errors
    /// Those of `work`; silently, the signal's code.
    pub(crate) async fn unless<T>(&mut self, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        tokio::select! {
            outcome = work => outcome,
            exit = self.next() => Err(Problem::silent(exit)),
        }
    }

    /// Waits for `stopping`; a signal in the meantime ends the process at once.
    pub(crate) async fn insist<T>(
        &mut self,
        terminal: &Terminal,
        stopping: impl Future<Output = T>,
    ) -> T {
        tokio::select! {
            done = stopping => done,
            exit = self.next() => {
                // The last words; the process ends whether they can be read or not.
                let _ = terminal.err("stopped at once");
                process::exit(exit.code().into());
            }
        }
    }
}

/// How long calls may go on after the first signal. The second one ends them at once.
pub(crate) const GRACE: Duration = Duration::from_secs(20);
