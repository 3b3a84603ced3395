//! A process that is observed: what it starts for that, and the end of it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::both::Both;
use crate::otlp::{self, Exports, OtlpError};
use crate::subjects::{Subject, Subjects};
use crate::{listener, process, prometheus, systemd};

/// How a process is observed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObserveConfig {
    /// What the process is: `host`, `registry`, `gateway` or `dev`. A label, and part of the name
    /// that traces show.
    pub role: &'static str,
    /// Where to listen for `GET /metrics`, `/healthz` and `/readyz`; port 0 picks one. Default
    /// nowhere: then nothing is counted for it either.
    pub metrics: Option<SocketAddr>,
}

impl ObserveConfig {
    /// Nothing observed yet.
    pub fn new(role: &'static str) -> Self {
        Self { role, metrics: None }
    }
}

/// What observes a process. Dropped, it ends at once.
pub struct Observation {
    subjects: Subjects,
    local: Option<SocketAddr>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    exports: Exports,
}

/// A process that cannot be observed as it was asked to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// Another process listens there.
    #[error("{0}, where metrics are to be read, is in use by another process")]
    InUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for those who read metrics")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Variables of OpenTelemetry that cannot be followed.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// Two in one process would each count half.
    #[error("this process has a recorder for metrics already")]
    Twice,
}

impl Observation {
    /// Starts what was asked for. It listens when this returns; what reports metrics has to be made
    /// after it. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// See [`ObserveError`].
    pub async fn start(config: ObserveConfig) -> Result<Self, ObserveError> {
        let (subjects, stop, mut tasks) =
            (Subjects::default(), CancellationToken::new(), JoinSet::new());
        otlp::check()?;
        let listener = match config.metrics {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let local = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let (exports, recorder) = Exports::start(config.role)?;
        let handle = record(listener.is_some(), recorder)?;
        let scraper = Arc::new(Scraper::new(subjects.clone(), handle));
        if listener.is_some() || exports.has_metrics() {
            process::describe(config.role);
            tasks.spawn(keep_up(scraper.clone(), stop.clone()));
        }
        if let Some(listener) = listener {
            tasks.spawn(listener::serve(listener, scraper, stop.clone()));
        }
        if let Some(every) = systemd::watchdog_time() {
            tasks.spawn(systemd::watchdog(every, stop.clone()));
        }
        Ok(Self { subjects, local, stop, tasks, exports })
    }

    /// Where metrics are read, if they are.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Observes a part of the process from now on.
    pub fn watch(&self, subject: impl Subject) {
        self.subjects.add(Arc::new(subject));
    }

    /// Tells the service manager that the process does its work.
    pub fn say_ready(&self, status: &str) {
        systemd::ready(status);
    }

    /// Tells the service manager that the process takes its leave, and samples its parts while they
    /// are there. Probes and scrapers are still answered.
    pub fn say_stopping(&self) {
        systemd::stopping();
        if self.exports.has_metrics() {
            self.subjects.sample();
        }
    }

    /// Sends what is to be exported and was not, for a few seconds at most, and ends it.
    pub async fn finish(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        let Self { subjects, exports, .. } = self;
        let finished = tokio::task::spawn_blocking(move || {
            if exports.has_metrics() {
                subjects.sample();
            }
            exports.finish();
        });
        // It fails when a part panicked, which its log says.
        let _ = finished.await;
    }
}

/// Installs what is to record; gives what renders it for Prometheus.
fn record(
    is_scraped: bool,
    otlp: Option<otlp::OtlpRecorder>,
) -> Result<Option<PrometheusHandle>, ObserveError> {
    let scraped = is_scraped.then(prometheus::recorder);
    let (recorder, handle) = scraped.map_or((None, None), |(r, handle)| (Some(r), Some(handle)));
    match (recorder, otlp) {
        (None, None) => return Ok(None),
        (Some(one), None) => metrics::set_global_recorder(one).map_err(drop),
        (None, Some(one)) => metrics::set_global_recorder(one).map_err(drop),
        (Some(one), Some(other)) => metrics::set_global_recorder(Both(one, other)).map_err(drop),
    }
    .map_err(|()| ObserveError::Twice)?;
    Ok(handle)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ObserveError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ObserveError::InUse(address),
        _ => ObserveError::Listen { address, source },
    })
}

/// Makes the text that scrapers get.
pub(crate) struct Scraper {
    subjects: Subjects,
    handle: Option<PrometheusHandle>,
    /// Held by the one who scrapes: the others wait, and do not take a thread each.
    turn: tokio::sync::Mutex<()>,
}

impl Scraper {
    fn new(subjects: Subjects, handle: Option<PrometheusHandle>) -> Self {
        Self { subjects, handle, turn: tokio::sync::Mutex::default() }
    }

    pub(crate) fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// The numbers as they are now.
    pub(crate) async fn scrape(&self) -> String {
        let _turn = self.turn.lock().await;
        let (subjects, handle) = (self.subjects.clone(), self.handle.clone());
        let made = tokio::task::spawn_blocking(move || {
            process::sample();
            subjects.sample();
            handle.map(|handle| handle.render()).unwrap_or_default()
        });
        // It fails when a part panicked, which its log says.
        made.await.unwrap_or_default()
    }
}

/// Takes in what was recorded, though nobody scrapes: until then it is held value by value.
async fn keep_up(scraper: Arc<Scraper>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        let _turn = scraper.turn.lock().await;
        let (subjects, handle) = (scraper.subjects.clone(), scraper.handle.clone());
        let kept = tokio::task::spawn_blocking(move || {
            process::sample();
            subjects.sample();
            if let Some(handle) = handle {
                handle.run_upkeep();
            }
        });
        // As above.
        let _ = kept.await;
    }
}

/// At a hundred thousand calls in a second, values for it take some ten megabytes meanwhile.
const UPKEEP: Duration = Duration::from_secs(5);
