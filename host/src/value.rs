//! JSON text to component values and back, by the component's own types.
//!
//! The specification is `docs/json-mapping.md`; its vectors are run by the tests here.
//!
//! A [`MethodPlan`] is made from a function's type when a component is loaded, and serves every
//! call of it: [`MethodPlan::prepare`] checks all arguments, before any store exists, so that bad
//! ones are refused as not executed; [`MethodPlan::call`] runs the function and writes its result
//! as JSON. Nothing in here walks a component's types during a call, and nothing panics whatever
//! the caller or the guest hands over.
//!
//! - [`types`]: component types as [`jackfield_wire::Type`], and why some cannot travel.
//! - [`arguments`]: positional and named arguments put together.
//! - [`read`]: JSON to one value.
//! - [`write`]: a value to JSON.
//! - [`typed`]: functions called without one tagged value per byte of a `list<u8>`.

mod arguments;
mod parts;
mod path;
mod plan;
mod read;
mod typed;
mod types;
mod write;

pub(crate) use parts::there_and_back;
pub(crate) use plan::{Answer, CallError, MethodPlan, Prepared};
pub(crate) use types::TypeNames;
pub(crate) use write::WriteError;

#[cfg(test)]
mod tests;
