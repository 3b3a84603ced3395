//! The registry over real sockets on loopback, through its public interface only.

#![expect(clippy::unwrap_used, reason = "a test ends with what it did not expect")]

mod durable;
mod fronts;
mod full_disk;
mod harness;
mod leases;
mod limits;
mod malformed;
mod operators;
mod partition;
mod returning;
mod silence;
mod start;
mod watching;

#[path = "../stage/etcd.rs"]
mod etcd;
