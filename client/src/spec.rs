//! What a caller asked for, complete.

use std::net::SocketAddr;

use bytes::Bytes;
use jackfield_wire::{CallHead, ServiceName, Target, TraceContext, to_cbor};

use crate::context::Context;
use crate::options::CallOptions;

/// One call, before the first attempt. Attempts read it and change nothing.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) target: Target,
    pub(crate) route: Route,
    pub(crate) positional: Option<Bytes>,
    pub(crate) named: Option<Bytes>,
    /// What the calling code inherited.
    pub(crate) context: Context,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) options: CallOptions,
}

impl Spec {
    /// The service whose instances are asked.
    pub(crate) fn sought(&self) -> &ServiceName {
        match &self.route {
            Route::Via(service) => service,
            Route::Target | Route::At(_) => &self.target.service,
        }
    }

    /// Bytes that its head cannot pass, without making it.
    pub(crate) fn longest_head(&self) -> usize {
        let names = self.target.service.as_str().len() + self.target.method.len();
        names + self.options.key.as_ref().map_or(0, String::len) + HEAD_WITHOUT_NAMES
    }

    /// The head of the request, encoded.
    pub(crate) fn head(&self, left_ms: u32) -> Vec<u8> {
        let trace = self.trace.map(|trace| trace.to_string());
        to_cbor(&CallHead {
            service: self.target.service.as_str(),
            method: &self.target.method,
            deadline_ms: Some(left_ms),
            trace: trace.as_deref(),
            key: self.options.key.as_deref(),
            idempotent: self.options.is_idempotent,
            hops: self.context.hop_count(),
        })
    }
}

/// Who may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Any instance of the service that is called.
    Target,
    /// Any instance of another service: for what every host answers itself.
    Via(ServiceName),
    /// Whoever is at this address.
    At(SocketAddr),
}

/// Bytes of a head beside its names: a traceparent of 55, a number, and a few for each field.
const HEAD_WITHOUT_NAMES: usize = 128;
