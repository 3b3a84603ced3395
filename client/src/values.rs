//! Between serde types and the JSON that travels.
//!
//! serde has no word for some things that the JSON mapping has: floats that are no numbers, bytes
//! as base64, large integers as strings, `ok` and `err`, options of options. Arguments are written
//! by the mapping from the start. Results are read by serde_json, which is fastest; only what does
//! not fit that way is read once more by the mapping.

mod read;
mod write;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::EncodeError;

/// Arguments as they travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    None,
    Positional(Bytes),
    Named(Bytes),
}

/// Arguments from a serde type: by position, by name or none, as its JSON begins.
pub(crate) fn arguments<A: Serialize + ?Sized>(args: &A) -> Result<Arguments, EncodeError> {
    let json = Bytes::from(write::to_json(args)?);
    let found = match json.first() {
        Some(b'[') => return Ok(Arguments::Positional(json)),
        Some(b'{') => return Ok(Arguments::Named(json)),
        Some(b'n') => return Ok(Arguments::None),
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    };
    Err(EncodeError::Shape { found })
}

/// A result as the caller's type.
pub(crate) fn from_json<R: DeserializeOwned>(json: &[u8]) -> Result<R, serde_json::Error> {
    serde_json::from_slice(json).or_else(|plain| {
        let value = serde_json::from_slice(json)?;
        // The first error tells the line and the column.
        R::deserialize(read::Mapped(value)).map_err(|_| plain)
    })
}

#[cfg(test)]
mod tests;
