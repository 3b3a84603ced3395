//! wRPC over QUIC with a native handler.
//!
//! Functions are called and served by their values, which is what wRPC's generated bindings do.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, bail};
use bytes::Bytes;
use futures::StreamExt as _;
use peer_load::{Keys, Peer, Server, greeting};
use quinn::Endpoint;
use tokio::io::BufReader;
use tokio::task::JoinSet;
use wrpc_transport::{InvokeExt as _, ServeExt as _};

fn main() -> Result<()> {
    peer_load::main(serve, connect)
}

async fn serve(_variant: String, keys: Keys) -> Result<Server> {
    let endpoint = Endpoint::server(keys.quic_server()?, ([127, 0, 0, 1], 0).into())?;
    let address = endpoint.local_addr()?;
    let server = Arc::new(wrpc_quic::Server::new());
    let mut calls = Box::pin(
        server
            .serve_values::<(String, Option<String>), (String,)>("", "greet", Arc::from([]))
            .await?,
    );
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut handlers = JoinSet::new();
        while let Some(Ok(((), (name, _), _, answer))) = calls.next().await {
            handlers.spawn(async move { answer((greeting(&name),)).await });
            while handlers.try_join_next().is_some() {}
        }
    });
    tasks.spawn(async move {
        let mut connections: JoinSet<Result<()>> = JoinSet::new();
        while let Some(incoming) = endpoint.accept().await {
            let server = server.clone();
            connections.spawn(async move {
                let connection = incoming.await?;
                loop {
                    let (send, receive) = connection.accept_bi().await?;
                    server.accept((), send, BufReader::new(receive)).await?;
                }
            });
        }
    });
    Ok(Server { address, tasks })
}

async fn connect(_variant: String, address: SocketAddr, keys: Keys) -> Result<Wrpc> {
    let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into())?;
    let connection = endpoint.connect_with(keys.quic_client()?, address, Keys::SERVER)?.await?;
    Ok(Wrpc(connection.into()))
}

#[derive(Clone)]
struct Wrpc(wrpc_quic::Client);

impl Peer for Wrpc {
    async fn greet(&self, name: &str) -> Result<usize> {
        let none: [[Option<usize>; 0]; 0] = [];
        let (greeting,): (String,) =
            self.0.invoke_values_blocking((), "", "greet", (name, None::<String>), none).await?;
        Ok(greeting.len())
    }

    async fn echo(&self, _bytes: &Bytes) -> Result<usize> {
        bail!("this peer is not asked")
    }
}
