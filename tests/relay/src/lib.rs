//! A bad network between clients and one server on loopback: a UDP relay that loses, delays,
//! duplicates and reorders datagrams, and cuts either direction, as a seed decides.
//!
//! ```
//! use jackfield_relay::{Direction, Relay, Weather};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! # let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
//! let relay = Relay::spawn(42, server.local_addr()?).await?;
//! relay.set(Weather::losing(0.05)); // Both directions.
//! relay.set_one(Direction::ToClients, Weather::PARTITION); // The server talks into the void.
//! relay.set(Weather::default()); // All is well again.
//! // Clients go to relay.address().
//! # Ok(())
//! # }
//! ```
//!
//! Each client has a socket of its own towards the server, as behind a router, so that the server
//! tells them apart. A killed server is silent here: no ICMP crosses the relay, as from another
//! machine behind a firewall. Datagrams of one byte, by which the transport asks whether a port is
//! open, are swallowed for the same reason; no QUIC datagram is as short.
//!
//! The fate of the n-th datagram of a direction depends on the seed and the weather alone; which
//! datagram is the n-th depends on the ends, so that a run with concurrent calls is not repeated
//! bit by bit. Its tasks end with the [`Relay`].

mod late;
mod relay;
mod weather;

pub use relay::{Counts, Direction, Relay};
pub use weather::{OVERTAKEN, Weather};
