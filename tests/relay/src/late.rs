//! Datagrams that are still on their way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// One datagram and how it leaves.
pub(crate) struct Datagram {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) from: Arc<UdpSocket>,
    pub(crate) to: SocketAddr,
}

impl Datagram {
    pub(crate) async fn send(&self) {
        // A port that was closed meanwhile loses it, as a network would.
        let _lost = self.from.send_to(&self.bytes, self.to).await;
    }
}

/// Hands datagrams over to the task that sends them later.
#[derive(Clone)]
pub(crate) struct Late(mpsc::Sender<(Instant, Datagram)>);

impl Late {
    /// The handle, and the task to run: it ends with the last handle.
    pub(crate) fn new() -> (Self, impl Future<Output = ()>) {
        let (sender, receiver) = mpsc::channel(ON_THE_WAY);
        (Self(sender), deliver(receiver))
    }

    /// Sends it after this time; a network that is full loses it.
    pub(crate) fn send(&self, after: Duration, datagram: Datagram) {
        let _full = self.0.try_send((Instant::now() + after, datagram));
    }
}

async fn deliver(mut coming: mpsc::Receiver<(Instant, Datagram)>) {
    let mut waiting = BinaryHeap::new();
    let mut number = 0_u64;
    loop {
        let next = waiting.peek().map(|Reverse(Due { at, .. })| *at);
        tokio::select! {
            biased;
            () = due(next) => {
                if let Some(Reverse(Due { datagram, .. })) = waiting.pop() {
                    datagram.send().await;
                }
            }
            came = coming.recv() => match came {
                Some((at, datagram)) => {
                    number += 1;
                    waiting.push(Reverse(Due { at, number, datagram }));
                }
                None => return,
            },
        }
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Ordered by its time, then by its arrival.
struct Due {
    at: Instant,
    number: u64,
    datagram: Datagram,
}

impl Due {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Datagrams under way at once, 1,500 bytes each or so: what a gigabit link holds in a second.
const ON_THE_WAY: usize = 65_536;
