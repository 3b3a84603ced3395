//! The sockets and tasks around [`Weather`].

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::late::{Datagram, Late};
use crate::weather::{Fate, Weather};

/// A bad network in front of one server; see [the crate](crate).
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    net: Arc<Net>,
    /// Aborted on drop.
    _tasks: JoinSet<()>,
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From clients to the server.
    ToServer,
    /// From the server to its clients.
    ToClients,
}

/// What became of the datagrams of one direction so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Arrived at the relay.
    pub seen: u64,
    /// Of these, lost.
    pub lost: u64,
    /// Of these, sent twice.
    pub duplicated: u64,
    /// Of these, held back so that others overtake them.
    pub overtaken: u64,
}

impl Relay {
    /// A perfect network in front of `server`, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub async fn spawn(seed: u64, server: SocketAddr) -> io::Result<Self> {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let address = front.local_addr()?;
        let net = Arc::new(Net {
            server: Mutex::new(server),
            lanes: [Lane::new(seed), Lane::new(!seed)],
        });
        let mut tasks = JoinSet::new();
        let (late, delivery) = Late::new();
        tasks.spawn(delivery);
        tasks.spawn(Front { socket: front, net: net.clone(), late }.run());
        Ok(Self { address, net, _tasks: tasks })
    }

    /// Where clients go instead of to the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes both directions from now on; what is under way arrives as it would have.
    pub fn set(&self, weather: Weather) {
        self.set_one(Direction::ToServer, weather);
        self.set_one(Direction::ToClients, weather);
    }

    /// Changes one direction.
    pub fn set_one(&self, direction: Direction, weather: Weather) {
        *locked(&self.net.lane(direction).weather) = weather;
    }

    /// Sends what comes from clients to another server from now on.
    pub fn redirect(&self, server: SocketAddr) {
        *locked(&self.net.server) = server;
    }

    /// What became of the datagrams of one direction.
    pub fn counts(&self, direction: Direction) -> Counts {
        *locked(&self.net.lane(direction).counts)
    }
}

/// What the tasks share.
#[derive(Debug)]
struct Net {
    /// These locks are held for a copy, never across an await.
    server: Mutex<SocketAddr>,
    lanes: [Lane; 2],
}

#[derive(Debug)]
struct Lane {
    seed: u64,
    number: AtomicU64,
    weather: Mutex<Weather>,
    counts: Mutex<Counts>,
}

impl Net {
    fn lane(&self, direction: Direction) -> &Lane {
        &self.lanes[direction as usize]
    }

    /// Passes a datagram on, or not.
    async fn carry(&self, direction: Direction, datagram: Datagram, late: &Late) {
        let Fate::Arrives { after, again, .. } = self.lane(direction).fate() else { return };
        if let Some(again) = again {
            let Datagram { bytes, from, to } = &datagram;
            let copy = Datagram { bytes: bytes.clone(), from: from.clone(), to: *to };
            late.send(again, copy);
        }
        if after.is_zero() {
            datagram.send().await;
        } else {
            late.send(after, datagram);
        }
    }
}

impl Lane {
    fn new(seed: u64) -> Self {
        let number = AtomicU64::new(0);
        Self { seed, number, weather: Mutex::default(), counts: Mutex::default() }
    }

    fn fate(&self) -> Fate {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let fate = Fate::of(self.seed, number, &locked(&self.weather));
        let mut counts = locked(&self.counts);
        counts.seen += 1;
        match fate {
            Fate::Lost => counts.lost += 1,
            Fate::Arrives { again, overtaken, .. } => {
                counts.duplicated += u64::from(again.is_some());
                counts.overtaken += u64::from(overtaken);
            }
        }
        fate
    }
}

/// Takes what clients send.
struct Front {
    socket: Arc<UdpSocket>,
    net: Arc<Net>,
    late: Late,
}

impl Front {
    async fn run(self) {
        let mut backs = HashMap::new();
        let mut tasks = JoinSet::new();
        let mut buffer = vec![0; LONGEST];
        loop {
            // An error on an unconnected socket is of one datagram; the next is another matter.
            let Ok((len, client)) = self.socket.recv_from(&mut buffer).await else { continue };
            if len <= 1 {
                continue;
            }
            let back = match backs.get(&client) {
                Some(back) => Arc::clone(back),
                None => match self.back(client, &mut tasks).await {
                    Ok(back) => Arc::clone(backs.entry(client).or_insert(back)),
                    Err(error) => {
                        tracing::warn!(%client, %error, "no socket for a client of the relay");
                        continue;
                    }
                },
            };
            let to = *locked(&self.net.server);
            let datagram = Datagram { bytes: buffer[..len].into(), from: back, to };
            self.net.carry(Direction::ToServer, datagram, &self.late).await;
        }
    }

    /// A socket towards the server for one client, and the task that brings back the answers.
    async fn back(
        &self,
        client: SocketAddr,
        tasks: &mut JoinSet<()>,
    ) -> io::Result<Arc<UdpSocket>> {
        let back = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let (socket, net, late) = (self.socket.clone(), self.net.clone(), self.late.clone());
        tasks.spawn(bring_back(back.clone(), socket, client, net, late));
        Ok(back)
    }
}

async fn bring_back(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    net: Arc<Net>,
    late: Late,
) {
    let mut buffer = vec![0; LONGEST];
    loop {
        let Ok((len, _)) = back.recv_from(&mut buffer).await else { continue };
        let datagram = Datagram { bytes: buffer[..len].into(), from: front.clone(), to: client };
        net.carry(Direction::ToClients, datagram, &late).await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest UDP datagram there is.
const LONGEST: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A server that says everything back, a relay before it and a client behind that.
    struct Line {
        relay: Relay,
        client: UdpSocket,
        tasks: JoinSet<()>,
    }

    impl Line {
        async fn new(seed: u64) -> Self {
            let mut tasks = JoinSet::new();
            let relay = Relay::spawn(seed, echo(&mut tasks, b"").await).await.unwrap();
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            client.connect(relay.address()).await.unwrap();
            Self { relay, client, tasks }
        }

        async fn say(&self, word: &[u8]) {
            self.client.send(word).await.unwrap();
        }

        async fn hear(&self) -> Vec<u8> {
            let mut buffer = [0; 64];
            let heard =
                tokio::time::timeout(Duration::from_secs(20), self.client.recv(&mut buffer));
            let len = heard.await.expect("it never came").unwrap();
            buffer[..len].to_vec()
        }
    }

    async fn echo(tasks: &mut JoinSet<()>, prefix: &'static [u8]) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tasks.spawn(async move {
            let mut buffer = [0; 64];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                socket.send_to(&[prefix, &buffer[..len]].concat(), from).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_perfect_network_carries_everything_in_order() {
        let line = Line::new(1).await;
        for n in 0..100 {
            line.say(&[n, n]).await;
            assert_eq!(line.hear().await, [n, n]);
        }
        let counts = Counts { seen: 100, ..Counts::default() };
        assert_eq!(line.relay.counts(Direction::ToServer), counts);
        assert_eq!(line.relay.counts(Direction::ToClients), counts);
    }

    #[tokio::test]
    async fn each_direction_is_cut_by_itself_and_heals() {
        let line = Line::new(2).await;
        line.relay.set_one(Direction::ToClients, Weather::PARTITION);
        line.say(b"unheard").await;
        while line.relay.counts(Direction::ToClients).lost == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(line.relay.counts(Direction::ToServer).lost, 0);
        line.relay.set_one(Direction::ToClients, Weather::default());
        line.relay.set_one(Direction::ToServer, Weather::PARTITION);
        line.say(b"unsaid").await;
        while line.relay.counts(Direction::ToServer).lost == 0 {
            tokio::task::yield_now().await;
        }
        line.relay.set(Weather::default());
        line.say(b"again").await;
        assert_eq!(line.hear().await, b"again");
    }

    #[tokio::test]
    async fn duplicates_come_twice_and_delays_keep_them_all() {
        let line = Line::new(3).await;
        let (delay, duplicate) = (Duration::from_millis(2), 1.0);
        let weather = Weather { duplicate, delay, ..Weather::default() };
        line.relay.set_one(Direction::ToClients, weather);
        line.say(b"twice").await;
        assert_eq!((line.hear().await, line.hear().await), (b"twice".into(), b"twice".into()));
    }

    #[tokio::test]
    async fn a_held_datagram_still_arrives() {
        let line = Line::new(4).await;
        line.relay.set_one(Direction::ToServer, Weather { reorder: 1.0, ..Weather::default() });
        line.say(b"first").await;
        while line.relay.counts(Direction::ToServer).overtaken == 0 {
            tokio::task::yield_now().await;
        }
        line.relay.set(Weather::default());
        line.say(b"second").await;
        let mut heard = [line.hear().await, line.hear().await];
        heard.sort();
        assert_eq!(heard, [b"first".to_vec(), b"second".to_vec()]);
    }

    #[tokio::test]
    async fn another_server_may_take_over_and_clients_are_told_apart() {
        let mut line = Line::new(5).await;
        let other = echo(&mut line.tasks, b"other ").await;
        line.say(b"hi").await;
        assert_eq!(line.hear().await, b"hi");
        line.relay.redirect(other);
        let second = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        second.connect(line.relay.address()).await.unwrap();
        second.send(b"two").await.unwrap();
        line.say(b"one").await;
        assert_eq!(line.hear().await, b"other one");
        let mut buffer = [0; 64];
        let len = second.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..len], b"other two");
    }
}
