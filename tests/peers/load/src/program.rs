//! The command line of a peer's program.

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;

use crate::load::Load;
use crate::{Keys, Peer, load};

/// A server that listens: its address, and the tasks that serve until they are dropped.
#[derive(Debug)]
pub struct Server {
    /// Where clients find it.
    pub address: SocketAddr,
    /// What serves.
    pub tasks: JoinSet<()>,
}

/// Does what the command line says.
///
/// # Errors
/// Wrong words; whatever the peer fails at.
pub fn main<P: Peer>(
    serve: impl AsyncFnOnce(String, Keys) -> Result<Server>,
    connect: impl AsyncFnOnce(String, SocketAddr, Keys) -> Result<P>,
) -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    block_on(async {
        match words[..] {
            ["serve", variant, keys] => {
                let server = serve(variant.to_owned(), Keys::new(Path::new(keys))).await?;
                println!("listening {}", server.address);
                std::io::stdout().flush()?;
                until_stdin_ends().await
            }
            ["load", variant, keys, address, server, in_flight, warm_up, seconds, echo] => {
                let load = Load {
                    in_flight: in_flight.parse().context("calls in flight")?,
                    warm_up: Duration::from_secs_f64(warm_up.parse().context("warm-up")?),
                    duration: Duration::from_secs_f64(seconds.parse().context("seconds")?),
                    echo: Some(echo.parse().context("bytes")?).filter(|bytes| *bytes > 0),
                    server: server.to_owned(),
                };
                let keys = Keys::new(Path::new(keys));
                let peer = connect(variant.to_owned(), address.parse()?, keys).await?;
                let measured = load::run(peer, &load).await?;
                println!("{}", serde_json::to_string(&measured)?);
                Ok(())
            }
            _ => bail!("a program of tests/peers, which starts it: see its README"),
        }
    })
}

/// A runtime as `#[tokio::main]` makes it.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

/// So that no server outlives the run that it serves.
async fn until_stdin_ends() -> Result<()> {
    let wait = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(wait).await??;
    Ok(())
}
