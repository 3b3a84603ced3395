//! Jackfield's client library; the server is the release binary, which the runner starts.
//!
//! The variant is the service: plugins whose instances are fresh or kept; or `spread:…`, see there.
//! What only Jackfield is asked has words of its own: `idle REGISTRY COUNT` holds so many
//! connections, `first BINARY FOLDER` measures from the start of `jackfield dev` to its first answer,
//! `hold REGISTRY COUNT` and `choose REGISTRY COUNT SECONDS` are about endpoints.

mod endpoints;
mod spread;

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use jackfield_client::Client;
use peer_load::{Keys, Peer, Server};
use serde_bytes::ByteBuf;
use spread::Spread;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    match words[..] {
        ["idle", registry, count] => runtime.block_on(idle(registry, count.parse()?)),
        ["first", binary, folder] => runtime.block_on(first(binary, folder)),
        ["hold", registry, count] => runtime.block_on(endpoints::hold(registry, count.parse()?)),
        ["choose", registry, count, seconds] => {
            let time = Duration::try_from_secs_f64(seconds.parse()?)?;
            runtime.block_on(endpoints::choose(registry, count.parse()?, time))
        }
        ["load", variant, ..] if variant.starts_with(SPREAD) => {
            peer_load::main(serve, async |variant: String, host, _| {
                Spread::connect(variant.trim_start_matches(SPREAD), host).await
            })
        }
        _ => peer_load::main(serve, connect),
    }
}

async fn serve(_variant: String, _keys: Keys) -> Result<Server> {
    anyhow::bail!("the host is the binary")
}

/// The address is the registry's: discovery, choice and retries are part of every call.
async fn connect(service: String, registry: SocketAddr, _keys: Keys) -> Result<Jackfield> {
    let client = Client::builder().registry(registry.to_string()).build().await?;
    client.wait_ready(PATIENCE).await?;
    let greet = format!("{service}.greet");
    Ok(Jackfield { client, greet, echo: format!("{service}-echo.echo-bytes") })
}

#[derive(Clone)]
struct Jackfield {
    client: Client,
    greet: String,
    echo: String,
}

impl Peer for Jackfield {
    async fn greet(&self, name: &str) -> Result<usize> {
        Ok(self.client.call::<_, String>(&self.greet, (name,)).await?.len())
    }

    async fn echo(&self, bytes: &Bytes) -> Result<usize> {
        let bytes = (serde_bytes::Bytes::new(bytes),);
        Ok(self.client.call::<_, ByteBuf>(&self.echo, bytes).await?.len())
    }
}

/// Opens `count` connections to the host, says `holding`, and keeps them until stdin ends.
async fn idle(registry: &str, count: usize) -> Result<()> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let client = connect("fresh".into(), registry.parse()?, Keys::none()).await?;
        client.greet("Ada").await?;
        clients.push(client);
    }
    println!("holding {}", clients.len());
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// Prints the milliseconds from starting `jackfield dev` to the first answer of one of its methods.
async fn first(binary: &str, folder: &str) -> Result<()> {
    let begin = Instant::now();
    let mut dev = Command::new(binary)
        .args(["dev", folder, "-p", "0", "--log", "error"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {binary}"))?;
    let mut lines = BufReader::new(dev.stdout.take().context("stdout is piped")?).lines();
    let address = loop {
        let line = lines.next_line().await?.context("dev ended before it listened")?;
        let address = line.split([' ', ',']).find_map(|word| word.parse::<SocketAddr>().ok());
        if let Some(address) = address {
            break address;
        }
    };
    let client = connect("fresh".into(), address, Keys::none()).await?;
    while client.greet("Ada").await.is_err() {
        ensure!(begin.elapsed() < PATIENCE, "no answer within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("{}", begin.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

/// How a variant begins whose rest says over how many connections and services.
const SPREAD: &str = "spread:";

const PATIENCE: Duration = Duration::from_secs(30);
