//! The limit: a QUIC stream for each call, whose bytes come back.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use peer_load::{Keys, Peer, Server, greeting};
use quinn::{Connection, Endpoint};
use tokio::task::JoinSet;

fn main() -> Result<()> {
    peer_load::main(serve, connect)
}

async fn serve(_variant: String, keys: Keys) -> Result<Server> {
    let endpoint = Endpoint::server(keys.quic_server()?, ([127, 0, 0, 1], 0).into())?;
    let address = endpoint.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Some(incoming) = endpoint.accept().await {
            connections.spawn(async move {
                if let Ok(connection) = incoming.await {
                    streams(connection).await;
                }
            });
        }
    });
    Ok(Server { address, tasks })
}

async fn streams(connection: Connection) {
    let mut streams = JoinSet::new();
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        streams.spawn(async move {
            let bytes = receive.read_to_end(LARGEST).await?;
            send.write_chunk(bytes.into()).await?;
            send.finish()?;
            anyhow::Ok(())
        });
        while streams.try_join_next().is_some() {}
    }
}

async fn connect(_variant: String, address: SocketAddr, keys: Keys) -> Result<Raw> {
    let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into())?;
    Ok(Raw(endpoint.connect_with(keys.quic_client()?, address, Keys::SERVER)?.await?))
}

#[derive(Clone)]
struct Raw(Connection);

impl Raw {
    async fn send(&self, bytes: Bytes) -> Result<usize> {
        let (mut send, mut receive) = self.0.open_bi().await?;
        send.write_chunk(bytes).await?;
        send.finish()?;
        Ok(receive.read_to_end(LARGEST).await?.len())
    }
}

impl Peer for Raw {
    /// As many bytes as the greeting has, both ways.
    async fn greet(&self, name: &str) -> Result<usize> {
        self.send(greeting(name).into()).await
    }

    async fn echo(&self, bytes: &Bytes) -> Result<usize> {
        self.send(bytes.clone()).await
    }
}

const LARGEST: usize = 4 << 20;
