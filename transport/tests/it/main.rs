//! Behaviour of the transport, through its public API and over real sockets.

mod exchanges;
mod harness;
