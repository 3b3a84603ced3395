//! The registry of Jackfield: hosts say what they serve, everybody learns where it is.
//!
//! [`Registry::spawn`] starts one. Hosts register instances under the lease of their connection and
//! renew it by heartbeats; everyone with a certificate lists and watches. The messages are those of
//! [`jackfield_wire::registry`].
//!
//! Three layers, each ignorant of the next: a pure core (leases, revisions, watches; takes the time
//! and an event, returns what to do), a store that keeps what must last, and QUIC sessions around
//! both. One task makes every change, so that the store sees them in order; lists and watches read
//! beside it and never wait for the store.
//!
//! What waits for the store while it works goes to it in one commit, so that a durable registry is
//! not bound to one change per write of the disk.
//!
//! What is deliberately absent: the registry never calls a plugin, never looks into metadata, and no
//! call passes through it. It connects to an instance only to see whether it is there, after far too
//! many have fallen silent at once.

mod config;
mod core;
// A benchmark is a crate of its own, and sees nothing else of this one.
#[doc(hidden)]
pub mod parts;
mod prober;
mod server;
mod session;
mod status;
mod store;
mod telemetry;
mod writer;

pub use config::{EtcdConfig, RegistryConfig, StoreConfig};
pub use server::{Registry, SpawnError};
pub use status::RegistryStatus;
pub use store::{Repaired, StoreError, repair};
pub use telemetry::{NotReady, RegistryMonitor};
