//! A host as its callers and its operators see it: real components, real QUIC, a real folder.

mod builtin;
mod calls;
mod concurrent;
mod copies;
mod folder;
mod grants;
mod instances;
mod limits;
mod misbehaviour;
mod quarantine;
mod registry;
mod replacing;
mod rig;
mod services;
mod shutdown;
mod stats;
