//! Between serde types and the JSON that travels.

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
    let json = Bytes::from(serde_json::to_vec(args)?);
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
    serde_json::from_slice(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_shape_of_the_type_decides_how_arguments_travel() {
        let positional = Arguments::Positional("[1,\"a\"]".into());
        assert_eq!(arguments(&(1, "a")).unwrap(), positional);
        assert_eq!(arguments(&vec![1]).unwrap(), Arguments::Positional("[1]".into()));
        let named = BTreeMap::from([("a", 1)]);
        assert_eq!(arguments(&named).unwrap(), Arguments::Named("{\"a\":1}".into()));
        assert_eq!(arguments(&()).unwrap(), Arguments::None);
    }

    #[test]
    fn one_bare_value_is_refused_with_how_to_write_it() {
        for error in [arguments(&1), arguments("a"), arguments(&true)].map(Result::unwrap_err) {
            assert!(error.to_string().contains("(value,)"), "{error}");
        }
    }
}
