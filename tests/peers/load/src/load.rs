//! The loop: so many calls in flight, for so long, and what they cost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::Peer;
use crate::clock::processor_time;

/// What is called, and how much.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) in_flight: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// Bytes to echo; without it, `greet`.
    pub(crate) echo: Option<usize>,
    /// The process id of the server.
    pub(crate) server: String,
}

/// What it came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// In a second.
    pub calls: f64,
    /// Latency in microseconds.
    pub p50_us: f64,
    /// Latency in microseconds.
    pub p99_us: f64,
    /// Processor time of this process for a call, in microseconds.
    pub client_us: f64,
    /// Of the server's.
    pub server_us: f64,
}

/// Calls; any failure ends the run, because a peer that fails has no figures.
pub(crate) async fn run(peer: impl Peer, load: &Load) -> Result<Measured> {
    calls(&peer, load, load.warm_up).await.context("while warming up")?;
    let before = (processor_time("self")?, processor_time(&load.server)?, Instant::now());
    let latencies = calls(&peer, load, load.duration).await?;
    let took = before.2.elapsed();
    let made = latencies.len() as f64;
    let each = |now: Duration, then| (now - then).as_secs_f64() * 1e6 / made;
    let at = |percent| latencies.value_at_percentile(percent) as f64 / 1e3;
    Ok(Measured {
        calls: made / took.as_secs_f64(),
        p50_us: at(50.0),
        p99_us: at(99.0),
        client_us: each(processor_time("self")?, before.0),
        server_us: each(processor_time(&load.server)?, before.1),
    })
}

async fn calls(peer: &impl Peer, load: &Load, time: Duration) -> Result<Histogram<u64>> {
    let end = Instant::now() + time;
    let mut callers = JoinSet::new();
    for _ in 0..load.in_flight {
        let (peer, echo) = (peer.clone(), load.echo);
        callers.spawn(async move {
            let mut latencies = histogram()?;
            let message = Message::new(echo);
            loop {
                let begin = Instant::now();
                if begin >= end {
                    return anyhow::Ok(latencies);
                }
                message.call(&peer).await?;
                latencies.saturating_record(begin.elapsed().as_nanos() as u64);
            }
        });
    }
    let mut all = histogram()?;
    while let Some(ended) = callers.join_next().await {
        all.add(ended??)?;
    }
    ensure!(!all.is_empty(), "no call was made");
    Ok(all)
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// The same for every peer, and checked in every answer.
enum Message {
    Name(String),
    Bytes(Bytes),
}

impl Message {
    fn new(echo: Option<usize>) -> Self {
        match echo {
            Some(size) => Self::Bytes((0..size).map(|byte| byte as u8).collect()),
            None => Self::Name("n".repeat(NAME)),
        }
    }

    async fn call(&self, peer: &impl Peer) -> Result<()> {
        let (answered, expected) = match self {
            Self::Name(name) => (peer.greet(name).await?, crate::greeting(name).len()),
            Self::Bytes(bytes) => (peer.echo(bytes).await?, bytes.len()),
        };
        ensure!(answered == expected, "{answered} bytes were answered instead of {expected}");
        Ok(())
    }
}

/// Bytes of a name whose greeting has 128.
const NAME: usize = 120;
