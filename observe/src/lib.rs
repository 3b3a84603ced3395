//! What operators see of a process of Jackfield: metrics, traces, health and readiness, and the word
//! to the service manager.
//!
//! [`Observation::start`] comes first in a process: what reports through the `metrics` facade looks
//! its recorder up when it is made. Then the parts that the process runs are named by
//! [`Observation::watch`]; they know nothing of this crate.
//!
//! It never holds up what it observes: a scrape is made beside the threads that serve, one at a
//! time, and whoever scrapes slowly is cut off.

mod both;
mod listener;
mod observation;
mod otlp;
mod process;
mod prometheus;
mod subjects;
mod systemd;

pub use observation::{Observation, ObserveConfig, ObserveError};
pub use otlp::{OtlpError, SpanFilter, SpanLayer, sampling, span_layer};
pub use subjects::Subject;
