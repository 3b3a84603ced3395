//! What the programs of the peers share, so that nothing but the peer differs: the command line,
//! the messages, the loop that calls, and the clocks.
//!
//! Each program is `serve VARIANT`, which prints `listening ADDRESS` and ends with its stdin, or
//! `load …`, which prints one line of JSON.

mod clock;
mod keys;
mod load;
mod program;

pub use keys::Keys;
pub use load::Measured;
pub use program::{Server, main};

use std::future::Future;

use anyhow::Result;
use bytes::Bytes;

/// A client of one connection, or of one for each call in flight where the protocol has no other
/// way.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Calls `greet(name)` and gives the length of the answer.
    fn greet(&self, name: &str) -> impl Future<Output = Result<usize>> + Send;

    /// Sends bytes to get them back, and gives their number.
    fn echo(&self, bytes: &Bytes) -> impl Future<Output = Result<usize>> + Send;
}

/// What every server answers to `greet`.
pub fn greeting(name: &str) -> String {
    format!("Hello, {name}!")
}
