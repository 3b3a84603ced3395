//! What guests can import: a linker with what everyone gets, and one with a plugin's grants on top.
//!
//! The interfaces that every standard library imports are always there, and empty without a grant.
//! Others are there only when they are granted, so that a plugin that wants one is refused when it
//! is loaded and not when it first needs it.

use wasmtime::Engine;
use wasmtime::component::Linker;
use wasmtime_wasi_config::WasiConfig;

use super::{Guest, keyvalue, logging, network, own};
use crate::manifest::Grants;

/// A linker with what every plugin gets.
pub(crate) fn base(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    network::add_to_linker(&mut linker)?;
    logging::add_to_linker(&mut linker)?;
    own::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// `base` and the interfaces of `grants`.
pub(crate) fn granted(base: &Linker<Guest>, grants: &Grants) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = base.clone();
    if grants.http.is_some() {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    }
    if grants.config.is_some() {
        wasmtime_wasi_config::add_to_linker(&mut linker, |guest: &mut Guest| {
            WasiConfig::new(guest.capabilities().config())
        })?;
    }
    if grants.keyvalue.is_some() {
        keyvalue::add_to_linker(&mut linker)?;
    }
    if grants.services.is_some() {
        own::add_services_to_linker(&mut linker)?;
    }
    Ok(linker)
}
