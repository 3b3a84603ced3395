//! The accept loop: admits or refuses, and owns the tasks of all connections.
//!
//! It never does a handshake itself, and never ends before the server does.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use quinn::{Endpoint, Incoming};
use tokio::{sync::watch, task::JoinSet};

use super::{DrainReport, Phase, Serve, session::Session, threads::Threads};
use crate::{TransportLimits, tls::Trust};

pub(super) struct Acceptor<S> {
    endpoint: Endpoint,
    threads: Threads,
    serve: Arc<S>,
    limits: TransportLimits,
    trust: Arc<Trust>,
    phases: watch::Receiver<Phase>,
    connections: JoinSet<DrainReport>,
    handshakes: Arc<AtomicUsize>,
    report: DrainReport,
}

impl<S: Serve> Acceptor<S> {
    pub(super) fn new(
        (endpoint, threads): (Endpoint, Threads),
        serve: Arc<S>,
        limits: TransportLimits,
        trust: Arc<Trust>,
        phases: watch::Receiver<Phase>,
    ) -> Self {
        Self {
            endpoint,
            threads,
            serve,
            limits,
            trust,
            phases,
            connections: JoinSet::new(),
            handshakes: Arc::default(),
            report: DrainReport::default(),
        }
    }

    pub(super) async fn run(mut self) -> DrainReport {
        loop {
            let closing = matches!(*self.phases.borrow_and_update(), Phase::Closing(_));
            if closing && self.connections.is_empty() {
                return self.report;
            }
            tokio::select! {
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.admit(incoming),
                    None => return self.socket_lost().await,
                },
                Some(ended) = self.connections.join_next() => self.ended(ended),
                changed = self.phases.changed() => if changed.is_err() {
                    return self.report;
                },
            }
        }
    }

    fn admit(&mut self, incoming: Incoming) {
        let serving = *self.phases.borrow() == Phase::Serving;
        let handshakes = self.handshakes.load(Ordering::Relaxed);
        if !serving || self.connections.len() >= self.limits.connections {
            tracing::debug!(peer = %incoming.remote_address(), serving, "connection refused");
            return incoming.refuse();
        }
        if handshakes >= self.limits.handshakes {
            return incoming.refuse();
        }
        if handshakes >= self.limits.retry_above && !incoming.remote_address_validated() {
            // Without a validated address a retry is always possible; see `Incoming::may_retry`.
            if let Err(error) = incoming.retry() {
                error.into_incoming().refuse();
            }
            return;
        }
        let session = Session {
            serve: self.serve.clone(),
            limits: self.limits.clone(),
            trust: self.trust.clone(),
            phases: self.phases.clone(),
            handshake: Handshaking::begin(&self.handshakes),
        };
        self.threads.spawn(&mut self.connections, session.run(incoming));
    }

    fn ended(&mut self, ended: Result<DrainReport, tokio::task::JoinError>) {
        match ended {
            Ok(report) => self.report.add(report),
            Err(error) => tracing::error!(%error, "connection task failed"),
        }
    }

    /// The operating system took the socket away: what is connected ends by itself.
    async fn socket_lost(mut self) -> DrainReport {
        tracing::error!("the socket failed: no connection can be accepted until a restart");
        while let Some(ended) = self.connections.join_next().await {
            self.ended(ended);
        }
        self.report
    }
}

/// Counts a handshake while it lasts.
pub(super) struct Handshaking(Arc<AtomicUsize>);

impl Handshaking {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Handshaking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
