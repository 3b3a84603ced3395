//! Behaviour of the transport, through its public API and over real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod certificates;
mod crashes;
mod exchanges;
mod harness;
mod identities;
mod lifecycle;
mod relay;
