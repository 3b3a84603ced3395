//! tarpc over TCP, in JSON or bincode.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use bytes::Bytes;
use futures::StreamExt as _;
use peer_load::{Keys, Peer, Server, greeting};
use tarpc::server::{BaseChannel, Channel as _};
use tarpc::{client, context, serde_transport};
use tokio::task::JoinSet;
use tokio_serde::formats::{Bincode, Json};

#[tarpc::service]
trait Greeter {
    async fn greet(name: String) -> String;
}

#[derive(Clone)]
struct Native;

impl Greeter for Native {
    async fn greet(self, _: context::Context, name: String) -> String {
        greeting(&name)
    }
}

fn main() -> Result<()> {
    peer_load::main(serve, connect)
}

/// The two formats differ in their types, so their loops differ as well.
macro_rules! serving {
    ($format:expr) => {{
        let mut listener = serde_transport::tcp::listen(("127.0.0.1", 0), $format).await?;
        let address = listener.local_addr();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Some(Ok(transport)) = listener.next().await {
                connections.spawn(async move {
                    let mut calls = JoinSet::new();
                    let channel = BaseChannel::with_defaults(transport);
                    let mut answers = Box::pin(channel.execute(Native.serve()));
                    while let Some(answer) = answers.next().await {
                        calls.spawn(answer);
                        while calls.try_join_next().is_some() {}
                    }
                });
            }
        });
        Ok(Server { address, tasks })
    }};
}

async fn serve(variant: String, _keys: Keys) -> Result<Server> {
    match &*variant {
        "json" => serving!(Json::default),
        "bincode" => serving!(Bincode::default),
        _ => bail!("no format {variant}"),
    }
}

async fn connect(variant: String, address: SocketAddr, _keys: Keys) -> Result<Tarpc> {
    let config = client::Config::default();
    let client = match &*variant {
        "json" => {
            let transport = serde_transport::tcp::connect(address, Json::default).await?;
            GreeterClient::new(config, transport).spawn()
        }
        "bincode" => {
            let transport = serde_transport::tcp::connect(address, Bincode::default).await?;
            GreeterClient::new(config, transport).spawn()
        }
        _ => bail!("no format {variant}"),
    };
    Ok(Tarpc(client))
}

#[derive(Clone)]
struct Tarpc(GreeterClient);

impl Peer for Tarpc {
    async fn greet(&self, name: &str) -> Result<usize> {
        Ok(self.0.greet(context::current(), name.to_owned()).await?.len())
    }

    async fn echo(&self, _bytes: &Bytes) -> Result<usize> {
        bail!("this peer is not asked")
    }
}
