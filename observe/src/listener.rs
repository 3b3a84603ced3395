//! `GET /metrics`, `/healthz` and `/readyz` over HTTP/1.1: one request for each connection.
//!
//! It asks nobody who they are: whoever reaches the address reads the numbers. Nothing can be changed
//! by it. A connection ends after its answer, or after ten seconds.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::observation::Scraper;

type Reply = Response<Full<Bytes>>;

/// Serves until `stop`; what is being answered then is cut off.
pub(crate) async fn serve(listener: TcpListener, scraper: Arc<Scraper>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(place) = places.clone().try_acquire_owned() else {
                    tracing::debug!(%peer, "too many connections at once");
                    continue;
                };
                let scraper = scraper.clone();
                connections.spawn(async move {
                    connection(stream, peer, &scraper).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, scraper: &Scraper) {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request, scraper).await));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(TIME, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection ended early"),
        Err(_) => tracing::debug!(%peer, "took longer than {TIME:?}"),
    }
}

async fn answer(request: &Request<Incoming>, scraper: &Scraper) -> Reply {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let text = format!("{} is not for reading: use GET\n", request.method());
        let mut reply = with(StatusCode::METHOD_NOT_ALLOWED, PLAIN, text);
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return reply;
    }
    match request.uri().path() {
        "/metrics" => with(StatusCode::OK, PROMETHEUS, scraper.scrape().await),
        "/healthz" => with(StatusCode::OK, PLAIN, "ok\n"),
        "/readyz" => match scraper.subjects().ready() {
            Ok(()) => with(StatusCode::OK, PLAIN, "ready\n"),
            Err(why) => with(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("not ready: {why}\n")),
        },
        _ => with(
            StatusCode::NOT_FOUND,
            PLAIN,
            "there is GET /metrics, GET /healthz and GET /readyz\n",
        ),
    }
}

fn with(code: StatusCode, content: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = code;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
    reply
}

const PLAIN: &str = "text/plain; charset=utf-8";
/// The text format that every Prometheus reads.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Connections at once: a few scrapers and probes, each for an answer.
const CONNECTIONS: usize = 32;
/// From the connection to the end of the answer.
const TIME: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// Without a pause, a process without file handles would do nothing but try.
const BREATH: Duration = Duration::from_millis(50);
