//! The plugin host of Jackfield: a folder of wasm components, served over QUIC.
//!
//! Drop a component into the folder and its exported functions become methods; replace the file
//! and calls in flight finish on the old version; take it away and the service drains.
//!
//! - [`Host`]: starts, serves, shuts down.
//! - [`HostMonitor`]: whether it is ready, and how it fares.
//! - [`check`]: what a host would say of one file, without a host.
//! - [`LocalHost`]: one plugin, called without a network.
//! - [`documented`]: a component with the text of its WIT.
//! - [`compile_child`]: what a program does that hosts start as their compiler.
//!
//! Inside: `engine` (wasmtime's settings and the epoch), `compile` (bytes → code, within bounds),
//! `guest` (what one call's store holds), `manifest` (what authors and operators say of plugins),
//! `plugin` (code → something callable), `value` (JSON ↔ component values), `catalog` (what serves
//! now), `reload` (folder → catalog), `dispatch` (stream → call → answer), `breaker` (keeps calls
//! from a plugin that traps), `keeper` (instances between calls), `kept` (versions and rollbacks
//! between starts), `services` (calls of plugins to others), `lane` (what takes long, away from the
//! threads that serve), `tally` (what becomes of calls), `registration` (catalog → registry).

mod breaker;
mod catalog;
mod check;
mod compile;
mod config;
mod dispatch;
mod drain;
mod engine;
mod event;
mod guest;
mod host;
mod keeper;
mod kept;
mod lane;
mod limits;
mod local;
mod manifest;
mod monitor;
// A benchmark is a crate of its own, and sees nothing else of this one.
#[doc(hidden)]
pub mod parts;
mod plugin;
mod registration;
mod reload;
mod services;
mod stats;
mod tally;
mod telemetry;
mod value;

pub use catalog::RejectedFile;
pub use check::{CheckReport, Checked, Trial, check};
pub use compile::{Compiler, compile_child};
pub use config::HostConfig;
pub use engine::EngineError;
pub use event::HostEvent;
pub use guest::GrantError;
pub use host::{Host, SpawnError};
pub use limits::{HostLimits, LimitError, PluginLimits};
pub use local::{LocalAnswer, LocalHost};
pub use manifest::{
    Access, DirGrant, EnvValue, Given, Grants, HostFile, HostName, HttpHost, Instances,
    LimitOverrides, Manifest, NetworkHost, Place, PluginDefaults, PluginSettings, Problem,
    SettingsError,
};
pub use monitor::{HostMonitor, NotReady};
pub use plugin::{MissingImport, MissingImports, Rejection, documented};
pub use registration::{InstanceMetadata, MetadataError};
pub use reload::goes_on;
pub use services::{
    Outgoing, OutgoingAnswer, OutgoingArguments, OutgoingCall, OutgoingFailure, OutgoingOptions,
    Services,
};
pub use stats::{HostStats, ServiceStats, VersionStats};
