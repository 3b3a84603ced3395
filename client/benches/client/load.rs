//! Calls that are due at a steady rate, whatever becomes of the earlier ones.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use jackfield_client::{Attempt, Client};
use jackfield_wire::Executed;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What calls look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// In a second.
    pub(crate) rate: u32,
    pub(crate) deadline: Duration,
    /// Every second call is idempotent; otherwise none is.
    pub(crate) mixed: bool,
}

/// One call that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) id: u64,
    pub(crate) idempotent: bool,
    pub(crate) due: Instant,
    /// From the moment at which it was due.
    pub(crate) took: Duration,
    /// Of this, what the generator was late by.
    pub(crate) late: Duration,
    /// Who answered.
    pub(crate) at: Option<SocketAddr>,
    pub(crate) failure: Option<(Executed, String)>,
    /// Those that failed.
    pub(crate) attempts: Vec<Attempt>,
}

/// A running load.
pub(crate) struct Load {
    done: mpsc::UnboundedReceiver<Done>,
    tasks: JoinSet<()>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Load {
    pub(crate) fn start(client: &Client, shape: Shape) -> Self {
        let (told, done) = mpsc::unbounded_channel();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(generate(client.clone(), shape, told, stopped));
        Self { done, tasks, stop }
    }

    /// Ends it, and gives every call that was made.
    pub(crate) async fn stop(mut self) -> Vec<Done> {
        self.stop.send_replace(true);
        self.tasks.join_next().await.unwrap().unwrap();
        let mut all = Vec::new();
        while let Some(done) = self.done.recv().await {
            all.push(done);
        }
        all
    }

    /// Runs it for so long.
    pub(crate) async fn run(client: &Client, shape: Shape, time: Duration) -> Vec<Done> {
        let load = Self::start(client, shape);
        tokio::time::sleep(time).await;
        load.stop().await
    }
}

async fn generate(
    client: Client,
    shape: Shape,
    told: mpsc::UnboundedSender<Done>,
    stopped: tokio::sync::watch::Receiver<bool>,
) {
    let mut calls = JoinSet::new();
    let (start, mut made) = (Instant::now(), 0_u32);
    while !*stopped.borrow() {
        let due = start + Duration::from_secs_f64(f64::from(made) / f64::from(shape.rate));
        if due > Instant::now() {
            // Timers are good to a millisecond: a few calls leave together.
            tokio::time::sleep_until(due.into()).await;
        }
        made += 1;
        while calls.try_join_next().is_some() {}
        calls.spawn(call(client.clone(), shape, due, told.clone()));
    }
    calls.join_all().await;
}

async fn call(client: Client, shape: Shape, due: Instant, told: mpsc::UnboundedSender<Done>) {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let idempotent = shape.mixed && id.is_multiple_of(2);
    let late = due.elapsed();
    let request = client.request("bench.run").unwrap().positional_json(format!("[{id}]"));
    let request = request.deadline(shape.deadline);
    let request = if idempotent { request.idempotent() } else { request };
    let (at, failure, attempts) = match request.send().await {
        Ok(answer) => (Some(answer.address), None, answer.attempts),
        Err(error) => {
            let failure = (error.executed(), error.to_string());
            (None, Some(failure), error.attempts().to_vec())
        }
    };
    // The receiver lives until every call has ended.
    _ = told.send(Done { id, idempotent, due, took: due.elapsed(), late, at, failure, attempts });
}

/// Latencies of the calls that went well, in microseconds.
pub(crate) fn latencies<'a>(calls: impl IntoIterator<Item = &'a Done>) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).unwrap();
    for call in calls.into_iter().filter(|call| call.failure.is_none()) {
        histogram.record(u64::try_from(call.took.as_micros()).unwrap().max(1)).unwrap();
    }
    histogram
}

pub(crate) fn failures(calls: &[Done]) -> impl Iterator<Item = &Done> {
    calls.iter().filter(|call| call.failure.is_some())
}

/// Says what kinds of failures there were.
pub(crate) fn explain(calls: &[Done]) {
    for failed in failures(calls).take(3) {
        eprintln!("    {:?}", failed.failure);
    }
}

/// Ids are never used twice in a run of the program; 0 is for warming up.
static NEXT: AtomicU64 = AtomicU64::new(1);
