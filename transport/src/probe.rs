//! Finding out quickly that nobody listens at an address, or that a peer does not answer.
//!
//! QUIC learns of a dead peer only by its silence. The kernel knows more: a datagram to a closed
//! port is answered by ICMP, on loopback and by most machines at once, but it tells only a socket
//! that is connected to that address, which the shared socket of a dialer is not. So a second one
//! is opened for a moment. Clients ask so of every server, servers only of clients on the same
//! machine, because a client's address may be translated on the way. No answer means nothing; a
//! forged one must guess the probe's port, and is believed only while the peer is silent.
//!
//! A peer that is stopped or cut off gives no such sign. It is called silent when it owes an
//! acknowledgement for [`SILENCE`]: long before the idle timeout, which must outlast a loaded
//! machine's pauses because it ends the connection. Silence ends nothing; it only sends the next
//! calls elsewhere while there is an elsewhere.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Weak,
    time::{Duration, SystemTime},
};

use quinn::ConnectionStats;
use tokio::{
    net::UdpSocket,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{CloseCode, link::Link};

/// Resolves when the peer's machine says that nobody listens at `address`, otherwise never.
pub(crate) async fn nobody_listens(address: SocketAddr) {
    match ask(address).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        _ => std::future::pending().await,
    }
}

async fn ask(address: SocketAddr) -> io::Result<()> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    socket.send(&NOT_QUIC).await?;
    socket.recv(&mut [0]).await?;
    Ok(())
}

/// Closes a connection whose peer's process has died, or whose peer's certificate has run out.
/// Looks `every` so often; ends with the connection.
///
/// A healthy or idle connection is never probed, only one on which something was sent and nothing
/// has come back since the last look: peers acknowledge within 25 ms.
pub(crate) async fn watch(
    connection: quinn::Connection,
    link: Weak<Link>,
    every: Duration,
    expires: Option<SystemTime>,
) {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Traffic::of(&connection.stats());
    let mut owed = Owed::new(last);
    loop {
        tokio::select! {
            _ = connection.closed() => {
                if let Some(link) = link.upgrade() {
                    link.mark_closed();
                }
                return;
            }
            _ = tick.tick() => {}
        }
        if expires.is_some_and(|at| at <= SystemTime::now()) {
            return connection.close(CloseCode::CertificateExpired.varint(), &[]);
        }
        let now = Traffic::of(&connection.stats());
        if let Some(link) = link.upgrade() {
            link.mark_silent(owed.look(now, Instant::now()) >= SILENCE);
        }
        if now.unanswered_since(last) && is_dead(&connection, now).await {
            tracing::debug!(address = %connection.remote_address(), "peer is gone");
            if let Some(link) = link.upgrade() {
                link.mark_gone();
            }
            return connection.close(CloseCode::PeerGone.varint(), &[]);
        }
        last = now;
    }
}

/// Whether the port is closed and the peer has been silent meanwhile.
async fn is_dead(connection: &quinn::Connection, before: Traffic) -> bool {
    let refused = timeout(ANSWER, nobody_listens(connection.remote_address())).await.is_ok();
    refused && Traffic::of(&connection.stats()).received == before.received
}

/// Datagrams of a connection so far.
#[derive(Clone, Copy)]
struct Traffic {
    sent: u64,
    received: u64,
}

impl Traffic {
    fn of(stats: &ConnectionStats) -> Self {
        Self { sent: stats.udp_tx.datagrams, received: stats.udp_rx.datagrams }
    }

    fn unanswered_since(self, last: Self) -> bool {
        self.sent > last.sent && self.received == last.received
    }
}

/// For how long a peer has owed an acknowledgement. Pure.
struct Owed {
    /// When something last arrived, as far as was looked.
    answered: Traffic,
    since: Option<Instant>,
}

impl Owed {
    fn new(now: Traffic) -> Self {
        Self { answered: now, since: None }
    }

    /// Zero when nothing is owed.
    fn look(&mut self, traffic: Traffic, now: Instant) -> Duration {
        if traffic.received != self.answered.received {
            *self = Self::new(traffic);
        } else if traffic.sent > self.answered.sent {
            let since = *self.since.get_or_insert(now);
            if traffic.sent - self.answered.sent >= REPEATED {
                return now - since;
            }
        }
        Duration::ZERO
    }
}

/// One byte without QUIC's fixed bit: every QUIC stack drops it unread.
const NOT_QUIC: [u8; 1] = [0];
/// How long a machine has to say that a port is closed.
const ANSWER: Duration = Duration::from_millis(100);
/// Twenty times what a peer may take to acknowledge, and beyond the pauses of a busy machine that
/// are worth waiting for.
const SILENCE: Duration = Duration::from_millis(500);
/// Datagrams without an answer that are more than acknowledgements of what came before, which
/// nobody answers: QUIC repeats what is owed after about 30, 90, 210 and 450 ms.
const REPEATED: u64 = 4;
/// A client waits for the answer to a call: it is worth a look ten times a second.
pub(crate) const CLIENT_TICK: Duration = Duration::from_millis(100);
/// A server has many connections, and loses only the wait for a keep-alive.
pub(crate) const SERVER_TICK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_is_sent_again_and_again_without_an_answer_is_silence() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let traffic = |sent, received| Traffic { sent, received };
        let mut owed = Owed::new(traffic(5, 5));
        assert_eq!(owed.look(traffic(5, 5), at(9_000)), Duration::ZERO);
        // The last acknowledgement of an idle connection.
        assert_eq!(owed.look(traffic(6, 5), at(9_100)), Duration::ZERO);
        assert_eq!(owed.look(traffic(6, 5), at(20_000)), Duration::ZERO);
        assert_eq!(owed.look(traffic(7, 6), at(20_100)), Duration::ZERO);
        assert_eq!(owed.look(traffic(9, 6), at(20_200)), Duration::ZERO);
        assert_eq!(owed.look(traffic(12, 6), at(20_600)), Duration::from_millis(400));
        assert!(owed.look(traffic(12, 6), at(20_800)) >= SILENCE);
        assert_eq!(owed.look(traffic(13, 7), at(20_900)), Duration::ZERO);
    }
}
