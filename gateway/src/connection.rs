//! One connection: HTTP/1.1 or HTTP/2, whichever its first bytes say.
//!
//! It ends when the client closes it, when nothing was asked for a while, when an answer is not
//! read, when the gateway ends, or when a request's head is too slow. Its requests end with it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::GatewayLimits;
use crate::reply::PIECE;
use crate::routes::Desk;

/// What all connections of a gateway share.
pub(crate) struct Connections {
    pub(crate) desk: Arc<Desk>,
    pub(crate) limits: GatewayLimits,
    pub(crate) tasks: TaskTracker,
    /// Finish what there is.
    pub(crate) drain: CancellationToken,
    /// End now.
    pub(crate) kill: CancellationToken,
}

/// What one connection has under way.
#[derive(Default)]
struct Traffic {
    /// Requests that are being answered.
    open: usize,
    /// What the client has not read: since when, and a number that tells them apart.
    unread: BTreeSet<(Instant, u64)>,
    answers: u64,
}

type Watched = watch::Sender<Traffic>;

impl Connections {
    /// Serves one connection to its end.
    pub(crate) async fn serve(&self, stream: TcpStream, peer: IpAddr) {
        let _counted = self.desk.telemetry.connection();
        // Without it small answers wait for acknowledgements; it only fails on a dead connection.
        _ = stream.set_nodelay(true);
        let traffic = Arc::new(Watched::default());
        let service = service_fn(|request| {
            let (desk, busy) = (self.desk.clone(), Busy::new(&traffic));
            async move {
                let reply = desk.answer(peer, request).await;
                Ok::<_, Infallible>(reply.map(|body| body.told(busy)))
            }
        });
        let builder = self.builder();
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => return said(ended, peer),
            () = stale(&traffic, self.limits.idle) => {
                return tracing::debug!(%peer, "did not read an answer");
            }
            () = idle(&traffic, self.limits.idle) => {}
            () = self.drain.cancelled() => {}
            () = self.kill.cancelled() => return,
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection.as_mut() => said(ended, peer),
            () = idle(&traffic, GOODBYE) => tracing::debug!(%peer, "did not leave when told to"),
            () = self.kill.cancelled() => {}
        }
    }

    fn builder(&self) -> Builder<Tracked> {
        let mut builder = Builder::new(Tracked(self.tasks.clone()));
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(MAX_HEAD);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_send_buf_size(PIECE)
            .max_header_list_size(MAX_HEAD as u32)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        builder
    }
}

/// How a connection ended says something only about its client.
fn said(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>, peer: IpAddr) {
    if let Err(error) = ended {
        tracing::debug!(%peer, error, "a connection ended early");
    }
}

/// Until no request has been open for `time`.
async fn idle(traffic: &Watched, time: Duration) {
    let mut traffic = traffic.subscribe();
    loop {
        if traffic.wait_for(|now| now.open == 0).await.is_err() {
            return; // The sender is borrowed above: it outlives this.
        }
        tokio::select! {
            _ = traffic.changed() => {}
            () = tokio::time::sleep(time) => return,
        }
    }
}

/// Until an answer has waited for `time` to be read. Whoever asks for more meanwhile and reads none
/// would otherwise keep the room of all of them.
async fn stale(traffic: &Watched, time: Duration) {
    let mut traffic = traffic.subscribe();
    loop {
        let oldest = traffic.borrow_and_update().unread.first().map(|(since, _)| *since);
        let waited = async {
            match oldest {
                Some(since) => sleep_until(since + time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = traffic.changed() => {}
            () = waited => return,
        }
    }
}

/// One open request.
pub(crate) struct Busy(Arc<Watched>);

impl Busy {
    fn new(traffic: &Arc<Watched>) -> Self {
        traffic.send_modify(|now| now.open += 1);
        Self(traffic.clone())
    }

    /// The client has got something, which it has to read now.
    pub(crate) fn unread(&self) -> Unread {
        let (mut number, since) = (0, Instant::now());
        self.0.send_modify(|now| {
            number = now.answers;
            now.answers += 1;
            now.unread.insert((since, number));
        });
        Unread { traffic: self.0.clone(), key: (since, number) }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|now| now.open -= 1);
    }
}

/// Something that has not been sent whole.
pub(crate) struct Unread {
    traffic: Arc<Watched>,
    key: (Instant, u64),
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.traffic.send_modify(|now| _ = now.unread.remove(&self.key));
    }
}

/// Has hyper's tasks owned by the gateway.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// Bytes of a request's head: more than any that is meant well.
const MAX_HEAD: usize = 64 << 10;

/// Requests at once on one connection of HTTP/2, as browsers assume it.
const MAX_STREAMS: u32 = 128;

/// How often an HTTP/2 client has to show that it is there; without, one whose machine went away
/// would keep its calls.
const PING: Duration = Duration::from_secs(20);

/// For a client to close a connection that it was told to leave.
const GOODBYE: Duration = Duration::from_secs(1);
