//! JSON over HTTP/1.1: axum serves, hyper's pooled client calls.
//!
//! HTTP/1.1 has one call at a time on a connection, so there are as many kept connections as calls
//! in flight.

use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use peer_load::{Keys, Peer, Server, greeting};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[derive(Serialize, Deserialize)]
struct Name {
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Greeting {
    greeting: String,
}

fn main() -> Result<()> {
    peer_load::main(serve, connect)
}

async fn serve(_variant: String, _keys: Keys) -> Result<Server> {
    let greet = async |Json(Name { name })| Json(Greeting { greeting: greeting(&name) });
    let app = Router::new().route("/greet", post(greet));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        if let Err(error) = axum::serve(
            axum::serve::ListenerExt::tap_io(listener, |stream| {
                // As axum's documentation advises for small answers; a failure costs speed alone.
                let _ = stream.set_nodelay(true);
            }),
            app,
        )
        .await
        {
            eprintln!("axum: {error}");
        }
    });
    Ok(Server { address, tasks })
}

async fn connect(_variant: String, address: SocketAddr, _keys: Keys) -> Result<Json1> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    Ok(Json1 { client, url: format!("http://{address}/greet") })
}

#[derive(Clone)]
struct Json1 {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

impl Peer for Json1 {
    async fn greet(&self, name: &str) -> Result<usize> {
        let body = serde_json::to_vec(&Name { name: name.to_owned() })?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))?;
        let answer = self.client.request(request).await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice::<Greeting>(&body)?.greeting.len())
    }

    async fn echo(&self, _bytes: &Bytes) -> Result<usize> {
        bail!("JSON has no bytes; this peer is not asked")
    }
}
