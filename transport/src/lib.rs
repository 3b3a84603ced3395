//! QUIC and TLS for every role of Jackfield.
//!
//! A [`Server`] accepts connections of one [`Protocol`] and hands each bidirectional stream, an
//! [`Exchange`], to a [`Serve`]. A [`Dialer`] makes [`Connection`]s and opens exchanges on them.
//! Both sides prove who they are by an [`Identity`]; there is no unauthenticated mode.
//!
//! What is deliberately absent: 0-RTT, session resumption, TLS 1.2, unidirectional streams and
//! datagrams, trust in public certificate authorities, and any knowledge of what frames mean.
//!
//! ```
//! use std::sync::Arc;
//! use jackfield_transport::{
//!     Dialer, Exchange, Identity, Peer, Protocol, Role, Serve, Server, ServerConfig, StateDir,
//!     TransportLimits,
//! };
//! use jackfield_wire::FrameKind;
//!
//! struct Greeter;
//!
//! impl Serve for Greeter {
//!     type Session = ();
//!     fn connected(&self, peer: &Peer) {
//!         println!("{} has connected", peer.id);
//!     }
//!     async fn exchange(&self, _: &Arc<()>, mut exchange: Exchange) {
//!         if let Ok(Some(name)) = exchange.recv().await {
//!             let answer = [b"hello, ", &name.payload[..]].concat();
//!             // A caller that went away needs no answer.
//!             let _gone = exchange.send_last(&[(FrameKind::Value, &answer)]).await;
//!         }
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let somewhere = dir.path().join("state");
//! let state = StateDir::resolve(Some(&somewhere))?;
//! let config = ServerConfig {
//!     listen: "127.0.0.1:0".parse()?,
//!     identity: Identity::local(&state, Role::Host, "greeter")?,
//!     protocol: Protocol::Call,
//!     limits: TransportLimits::default(),
//! };
//! let server = Server::spawn(config, Arc::new(Greeter))?;
//!
//! let me = Identity::local(&state, Role::Client, "me")?;
//! let dialer = Dialer::new(&me, Protocol::Call, TransportLimits::default())?;
//! let connection = dialer.dial(server.local_addr(), Role::Host).await?;
//! let mut exchange = connection.open().await?;
//! exchange.send_last(&[(FrameKind::Value, b"world")]).await?;
//! assert_eq!(&exchange.recv().await?.expect("an answer").payload[..], b"hello, world");
//! # Ok(())
//! # }
//! ```
//!
//! - [`StateDir`]: the private directory of this user.
//! - [`Identity`], [`PeerId`], [`Role`]: who a process is; the private authority behind it.
//! - [`Operators`]: whose orders a server obeys.
//! - [`TransportLimits`]: every bound and timeout, in one place.
//! - [`Backoff`]: how long to wait before a peer is dialled again.
//! - [`chain`]: an error with its causes, for a log or another error's text.
//! - [`CloseCode`], [`StreamCode`], [`CloseReason`]: every number that ends a connection or stream.

mod backoff;
mod batches;
mod chain;
mod codes;
mod connection;
mod dialer;
mod exchange;
mod identity;
mod limits;
mod link;
mod operators;
mod probe;
mod protocol;
mod server;
mod socket;
mod state;
mod tasks;
mod tls;

pub use backoff::Backoff;
pub use chain::chain;
pub use codes::{CloseCode, CloseReason, StreamCode};
pub use connection::{Connection, OpenError};
pub use dialer::{DialError, Dialer};
pub use exchange::{Cancelled, Exchange, ExchangeError};
pub use identity::{Identity, IdentityError, PeerId, PeerIdError, Role};
pub use limits::TransportLimits;
pub use link::Peer;
pub use operators::Operators;
pub use protocol::Protocol;
pub use server::{BindError, DrainReport, Serve, Server, ServerConfig};
pub use state::{StateDir, StateDirError};
