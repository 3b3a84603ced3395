//! What travels between clients, hosts and the registry of Jackfield.
//!
//! This crate is pure: it has no socket, clock, task or random source. It turns bytes into typed
//! messages within stated limits, and typed messages into bytes; who sends them is
//! `jackfield-transport`'s affair.
//!
//! - [`frame`]: length-prefixed frames, the unit of every stream.
//! - [`call`]: the head of a call and of its answer.
//! - [`status`]: the closed set of outcomes, and whether the method was executed.
//! - [`registry`]: what hosts and clients say to the registry.
//! - [`metric`]: metrics as data.
//! - [`name`]: checked names of services, methods and instances.
//! - [`ty`]: component types as data, with WIT text and JSON Schema.
//! - [`reflect`]: what a host says of its services.
//! - [`trace`]: W3C trace context.
//! - [`units`]: sizes and durations as people write them.

pub mod call;
pub mod frame;
pub mod metric;
pub mod name;
pub mod reflect;
pub mod registry;
pub mod status;
pub mod trace;
pub mod ty;
pub mod units;

pub use call::{AnswerHead, CallHead, Generation, Load};
pub use frame::{Frame, FrameDecoder, FrameError, FrameKind, FrameLimits};
pub use name::{InstanceId, NameError, Namespace, ServiceKey, ServiceName, Target};
pub use status::{Executed, Failure, Status};
pub use trace::TraceContext;
pub use ty::Type;

/// Encodes one CBOR message.
///
/// Encoding into memory cannot fail for the messages of this crate: none has a fallible part.
pub fn to_cbor<T: minicbor::Encode<()>>(message: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL);
    minicbor::encode(message, &mut out).expect("encoding into memory has no error case");
    out
}

/// Bytes that hold the head of most calls and answers.
const USUAL: usize = 96;

/// Decodes one CBOR message; fields that this version does not know are skipped.
///
/// # Errors
/// When the bytes are not well-formed CBOR, hold invalid UTF-8, or lack a required field.
pub fn from_cbor<'a, T: minicbor::Decode<'a, ()>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    Ok(minicbor::decode(bytes)?)
}

/// Bytes that are not the message they were taken for. The stream that brought them is refused.
#[derive(Debug, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct DecodeError(#[from] minicbor::decode::Error);
