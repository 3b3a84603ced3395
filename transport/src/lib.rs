//! QUIC and TLS for every role of Jackfield.
//!
//! A [`Server`] accepts connections of one [`Protocol`] and hands each bidirectional stream, an
//! [`Exchange`], to a [`Serve`]. A [`Dialer`] makes [`Connection`]s and opens exchanges on them.
//! Both sides prove who they are by an [`Identity`]; there is no unauthenticated mode.
//!
//! What is deliberately absent: 0-RTT, session resumption, TLS 1.2, unidirectional streams and
//! datagrams, trust in public certificate authorities, and any knowledge of what frames mean.
//!
//! - [`StateDir`]: the private directory of this user.
//! - [`Identity`], [`PeerId`], [`Role`]: who a process is; the private authority behind it.
//! - [`TransportLimits`]: every bound and timeout, in one place.
//! - [`CloseCode`], [`StreamCode`], [`CloseReason`]: every number that ends a connection or stream.

mod codes;
mod connection;
mod dialer;
mod exchange;
mod identity;
mod limits;
mod link;
mod probe;
mod protocol;
mod server;
mod state;
mod tls;

pub use codes::{CloseCode, CloseReason, StreamCode};
pub use connection::{Connection, OpenError};
pub use dialer::{DialError, Dialer};
pub use exchange::{Cancelled, Exchange, ExchangeError};
pub use identity::{Identity, IdentityError, PeerId, PeerIdError, Role};
pub use limits::TransportLimits;
pub use link::Peer;
pub use protocol::Protocol;
pub use server::{BindError, DrainReport, Serve, Server, ServerConfig};
pub use state::{StateDir, StateDirError};
