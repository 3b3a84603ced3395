//! What a host says of its services: the answers of its built-in service `jackfield`.
//!
//! - `jackfield.services()` gives a [`ServiceInfo`] for each service.
//! - `jackfield.describe(service)` gives one.
//! - `jackfield.rollback(service)` returns to the version before, and gives a [`Rollback`].
//! - `jackfield.stats()` gives a [`HostReport`] in numbers; `jackfield.stats(service)` one with that
//!   service alone.
//!
//! These travel as the JSON of ordinary call answers, so any client can read them.

mod report;

use serde::{Deserialize, Serialize};

use crate::call::Generation;
use crate::name::ServiceName;
use crate::ty::Signature;

pub use report::{
    HostReport, LATENCY_BOUNDS, Latency, LatencyBucket, MethodReport, NamelessFile, ServiceReport,
    latency_bucket,
};

/// One service of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceInfo {
    /// Its name.
    pub service: ServiceName,
    /// The plugin's version, where its manifest or interface tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What version of the file serves.
    pub generation: Generation,
    /// Documentation of the plugin, where the binary carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// What can be called, in the component's order.
    pub methods: Vec<MethodInfo>,
    /// Exported functions that cannot be called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedFunction>,
    /// The version of the file, when the one before it was returned to. That serves until
    /// the file changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_from: Option<Generation>,
    /// Why the host has returned to the version before by itself: the file's version trapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_because: Option<String>,
    /// Why the newest file of this service does not serve, when an older one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// Why its calls are refused for a while, when they are: it trapped on most of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<String>,
}

/// What `jackfield.rollback(service)` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The version of the file, which does not serve.
    pub from: Generation,
    /// The version before it, which serves.
    pub to: Generation,
    /// It had been rolled back before: nothing has changed.
    pub already: bool,
}

/// One method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodInfo {
    /// The name to call it by: short when it is unique in the plugin, otherwise qualified.
    pub name: String,
    /// The name that always works: `demo:math/calc@0.1.0#add`; the short one at the root.
    pub qualified: String,
    /// Its types.
    pub signature: Signature,
    /// The signature as WIT text: `add: func(a: f64, b: f64) -> f64`.
    pub wit: String,
    /// JSON Schema of an object with all arguments by name.
    pub params_schema: serde_json::Value,
    /// JSON Schema of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_schema: Option<serde_json::Value>,
    /// Documentation, where the binary carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Made by a tool for its own use: hidden from listings unless asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// An exported function whose types cannot travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFunction {
    /// Its qualified name.
    pub name: String,
    /// Why it cannot be called.
    pub reason: String,
}
