//! The client library of Jackfield: calls methods of services by name, wherever they are.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = jackfield_client::Client::builder().registry("127.0.0.1:9999").build().await?;
//! let sum: f64 = client.call("calc.add", (1.0, 2.0)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How a call finds its host
//!
//! One task of the client watches a registry and keeps an immutable [`Snapshot`] of what is there.
//! A call reads it, filters, lets a [`Picker`] choose, and opens one stream on a kept connection: it
//! never asks the registry. While the registry is away, calls go on by the last good set.
//!
//! # When a call is repeated
//!
//! Only when it is certain that the method did not run, or when the caller says that running it
//! twice does no harm ([`Request::idempotent`]); within the deadline, elsewhere first, a few times
//! ([`CallOptions::max_retries`]), and within a budget of all calls ([`RetryBudget`]).
//!
//! # Other protocols
//!
//! [`Client::execute`] runs any closure against an instance of a service, with the same balancing.
//!
//! # Values
//!
//! Arguments and results are serde types, by the JSON mapping: a record is a struct, a variant an
//! enum (`#[serde(rename_all = "kebab-case")]` gives WIT's names), `result` a `Result`, `option` an
//! `Option`. `NaN` and infinities, 64-bit integers of any size and nested options arrive as they
//! were. A `list<u8>` travels fastest as serde's bytes (`serde_bytes`); a `Vec<u8>` is written as an
//! array of numbers, and read from either form.
//!
//! What is deliberately absent: a round trip to the registry on the way of a call, a cache of
//! results, a global client.

mod answer;
mod asker;
mod attempt;
mod balancer;
pub mod blocking;
mod budget;
mod builder;
mod call;
mod candidates;
mod chance;
mod client;
mod context;
mod course;
mod deadline;
mod direct;
mod discovery;
mod disk;
mod ejection;
mod ejector;
mod error;
mod execute;
mod filter;
#[cfg(test)]
mod fixture;
mod hosts;
mod operator;
mod options;
// A benchmark is a crate of its own, and sees nothing else of this one.
#[doc(hidden)]
pub mod parts;
mod picker;
mod place;
mod pool;
mod probing;
mod quantile;
mod register;
mod request;
mod retry;
mod snapshot;
mod spec;
mod stats;
mod telemetry;
mod values;
mod view;

pub use answer::Answer;
pub use asker::RegistryError;
pub use budget::RetryBudget;
pub use builder::{BuildError, ClientBuilder, DEFAULT_REGISTRY};
pub use client::Client;
pub use context::Context;
pub use discovery::RegistryLink;
pub use ejection::EjectionPolicy;
pub use error::{
    Attempt, CallError, DecodeError, EncodeError, Exhaustion, LimitExceeded, MaxRetriesExceeded,
    NoAvailableInstance, NoInstance, NoRegistry, Phase, RegistryFailure, RequestTimeout,
    ServiceError,
};
pub use execute::Fault;
pub use hosts::HostAnswer;
pub use operator::Operator;
pub use options::{CallOptions, Hedge};
pub use picker::{
    Choices, ConsistentHash, Draw, LeastLoaded, PeakEwma, Picker, PickerChoice, PickerKind, Random,
    RoundRobin, UnknownPicker, WeightedRandom, WeightedRoundRobin,
};
pub use place::{Looking, Place, PlaceError, Resolve, ResolveError};
pub use register::{Registration, RegistrationError, RegistrationState, register_once};
pub use request::Request;
pub use snapshot::{Endpoint, Origin, Snapshot};
