//! The client's behaviour, through its public API and over real QUIC on loopback.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod balancing;
mod calls;
mod connections;
mod deadlines;
mod discovery;
mod draining;
mod execution;
mod fleet;
mod harness;
mod hosts;
mod identities;
mod nesting;
mod network;
mod operating;
mod outage;
mod registry;
mod retries;
mod telemetry;
