//! `/mcp`: streamable HTTP. Every request has passed what all requests pass ([`crate::admission`]).

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Incoming;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::server::Server;
use super::sessions::Sessions;
use super::toolbox::Toolbox;
use crate::problem::Problem;
use crate::reply::{self, Reply};
use crate::routes::Desk;
use crate::{admission, arguments};

/// The agents of a gateway.
pub(crate) struct McpHttp {
    service: StreamableHttpService<Server, Sessions>,
    toolbox: Arc<Toolbox>,
    /// Streams of those that wait for news.
    streams: Arc<Semaphore>,
    /// Ends sessions.
    end: CancellationToken,
}

impl McpHttp {
    pub(crate) fn new(toolbox: Arc<Toolbox>, max_body: usize) -> Self {
        let end = CancellationToken::new();
        // Hosts and origins are held against the gateway's lists before.
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_max_request_body_bytes(max_body)
            .with_cancellation_token(end.clone());
        let tools = toolbox.clone();
        let service = StreamableHttpService::new(
            move || Ok(Server::new(tools.clone())),
            Arc::new(Sessions::new()),
            config,
        );
        Self { service, toolbox, streams: Arc::new(Semaphore::new(STREAMS)), end }
    }

    /// Answers one request of `peer`.
    pub(crate) async fn answer(
        &self,
        desk: &Desk,
        peer: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Reply, Problem> {
        if request.method() == Method::GET {
            admission::paced(desk, peer)?;
            let place = admission::place(&self.streams, too_many)?;
            let response = self.service.handle(request).await;
            let reply = reply::stream(response, self.toolbox.drain.clone());
            return Ok(reply.map(|body| body.hold(place)));
        }
        let room = Room {
            taken: Arc::new(Mutex::new(Some(admission::room(desk, peer)?))),
            streams: self.streams.clone(),
        };
        let (mut head, body) = request.into_parts();
        let body = arguments::receive(&head.headers, body, &desk.limits).await?;
        head.extensions.insert(room.clone());
        let response = self.service.handle(Request::from_parts(head, Full::new(body))).await;
        // Calls that are under way are finished when the gateway drains.
        Ok(reply::stream(response, self.end.clone()).map(|body| body.hold(room)))
    }

    /// Agents are told nothing any more; their calls go on.
    pub(crate) fn drain(&self) {
        self.toolbox.drain.cancel();
    }

    /// Ends what agents have begun.
    pub(crate) fn end(&self) {
        self.drain();
        self.end.cancel();
    }

    /// Until nobody announces anything to an agent any more.
    pub(crate) async fn ended(&self) {
        self.toolbox.tasks.close();
        self.toolbox.tasks.wait().await;
    }
}

/// The room that a request takes among those that are worked on.
#[derive(Clone)]
pub(crate) struct Room {
    /// Held to take it, never across an await.
    taken: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    streams: Arc<Semaphore>,
}

impl Room {
    /// Gives it back for a place among the streams.
    ///
    /// # Errors
    /// When there are too many streams, in words.
    pub(crate) fn become_stream(&self) -> Result<OwnedSemaphorePermit, String> {
        let place = self.streams.clone().try_acquire_owned().map_err(|_| too_many())?;
        drop(self.taken.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(place)
    }
}

fn too_many() -> String {
    format!("{STREAMS} agents wait for news of this gateway already")
}

/// Streams at once: as many as there are sessions.
const STREAMS: usize = 256;
