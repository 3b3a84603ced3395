//! The web console: pages that show what there is and how it fares, and try methods.
//!
//! Its files are part of the program. What changes is told by server-sent events: the set of services
//! whenever the client's snapshot changes, figures of calls once a second. Hosts are asked for figures
//! only while somebody looks, and once for everybody who does. A viewer is sent what differs from what
//! it was sent before, when it has room: one that is slow skips states and never waits in a queue.
//!
//! It may do what the gateway's other users may: read, and call methods. Orders about instances are
//! taken only where [`ConsoleMode::Orders`] says so, from its own page, and are the registry's to refuse.

mod assets;
mod figures;
mod network;
mod orders;
mod pulse;
mod viewer;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use jackfield_client::Client;
use jackfield_wire::Status;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{self, Asker};
use crate::config::ConsoleMode;
use crate::problem::Problem;
use crate::reply::Reply;
use network::Network;

pub(crate) use assets::{asset, enter};
pub(crate) use orders::order;

/// What all viewers share.
pub(crate) struct Console {
    mode: ConsoleMode,
    client: Client,
    places: Arc<Semaphore>,
    viewers: watch::Sender<usize>,
    /// The newest set of services; nothing until somebody looks.
    network: watch::Sender<Option<Arc<Network>>>,
    /// The newest figures, as they are sent.
    pulse: watch::Sender<Option<Bytes>>,
    tasks: TaskTracker,
    drain: CancellationToken,
    /// Tells the states of this gateway from those of the one before it.
    epoch: u32,
}

impl Console {
    pub(crate) fn new(
        mode: ConsoleMode,
        client: Client,
        tasks: TaskTracker,
        drain: CancellationToken,
    ) -> Arc<Self> {
        let console = Arc::new(Self {
            mode,
            client,
            places: Arc::new(Semaphore::new(MAX_VIEWERS)),
            viewers: watch::Sender::new(0),
            network: watch::Sender::new(None),
            pulse: watch::Sender::new(None),
            tasks,
            drain,
            epoch: fastrand::u32(..),
        });
        if mode != ConsoleMode::Off {
            console.tasks.spawn(console.clone().keep());
        }
        console
    }

    /// Whether there is a console at all.
    ///
    /// # Errors
    /// When there is none, with how to have one.
    pub(crate) fn is_there(&self) -> Result<(), Problem> {
        if self.mode != ConsoleMode::Off {
            return Ok(());
        }
        let detail = "this gateway was started with --console off; without it, there is a console";
        Err(Problem::new(Status::NotFound, detail))
    }

    /// Keeps viewers informed while there are any, until the gateway ends.
    async fn keep(self: Arc<Self>) {
        let mut viewers = self.viewers.subscribe();
        let looking = async {
            // The sender lives in `self`: waiting never fails.
            while viewers.wait_for(|count| *count > 0).await.is_ok() {
                tokio::select! {
                    _ = viewers.wait_for(|count| *count == 0) => {}
                    () = self.tell_network() => {}
                    () = self.tell_pulse() => {}
                }
                self.pulse.send_replace(None);
            }
        };
        self.drain.run_until_cancelled(looking).await;
    }

    /// `GET /console/events`
    ///
    /// # Errors
    /// When another site's page asks, or too many look already.
    pub(crate) fn events(
        self: &Arc<Self>,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Reply, Problem> {
        self.is_there()?;
        if admission::asker(uri, headers) == Asker::Elsewhere {
            let detail = "only the console's own page may listen to it";
            return Err(Problem::new(Status::PermissionDenied, detail));
        }
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{MAX_VIEWERS} consoles are open already: close one");
            Problem::new(Status::ResourceExhausted, detail).retry_after(viewer::RETRY)
        })?;
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        Ok(viewer::open(self.clone(), place, last.map(str::to_owned)))
    }

    /// # Errors
    /// When nobody may order anything here.
    fn takes_orders(&self) -> Result<(), Problem> {
        self.is_there()?;
        if self.mode == ConsoleMode::Orders {
            return Ok(());
        }
        let detail = "this gateway takes no orders: start it with --console orders, or order by \
                      `jackfield instance set`";
        Err(Problem::new(Status::PermissionDenied, detail).code(StatusCode::FORBIDDEN))
    }
}

/// Consoles that are open at once. Each is a connection and a task; a browser opens six at most.
const MAX_VIEWERS: usize = 32;
