//! The registry over real sockets on loopback, through its public interface only.

mod harness;
mod leases;
mod limits;
mod malformed;
mod start;
mod watching;
