//! Checked names: services and their namespaces, the targets of calls, instances.

mod namespace;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

pub use namespace::{Namespace, ServiceKey};

/// The name of a service: 1 to 64 ASCII letters, digits, `-` and `_`.
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// Checks a name.
    ///
    /// # Errors
    /// When `name` is empty, too long, or has a character outside the set.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > MAX_NAME {
            return Err(NameError::TooLong { len: name.len() });
        }
        match name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
            Some(character) => Err(NameError::Character { character }),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as text that several own.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

/// The service that every host answers itself, with what it serves. No plugin may take its name.
pub const BUILTIN_SERVICE: &str = "jackfield";

/// A name that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No character at all.
    #[error("a name cannot be empty")]
    Empty,
    /// More than 64 bytes.
    #[error("a name has at most {MAX_NAME} bytes, this one {len}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A character outside the set.
    #[error("{character:?} cannot be in a name; letters, digits, `-` and `_` can")]
    Character {
        /// The first such character.
        character: char,
    },
}

impl AsRef<str> for ServiceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl Serialize for ServiceName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ServiceName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl<C> Encode<C> for ServiceName {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ServiceName {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        Self::new(d.str()?).map_err(|e| minicbor::decode::Error::message(e).at(at))
    }
}

/// `SERVICE.METHOD`, split at the first dot. The method may be short (`add`) or qualified
/// (`demo:math/calc@0.1.0#add`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The service.
    pub service: ServiceName,
    /// The method, as the caller wrote it.
    pub method: String,
}

/// Text that is not `SERVICE.METHOD`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No dot.
    #[error("{0:?} has no method; write SERVICE.METHOD, as in calc.add")]
    NoMethod(String),
    /// The part before the dot is no service name.
    #[error("in {target:?}: {error}; write SERVICE.METHOD, as in calc.add")]
    Service {
        /// The whole text.
        target: String,
        /// What was wrong.
        error: NameError,
    },
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text.split_once('.') {
            Some((service, method)) if !method.is_empty() => Ok(Self {
                service: ServiceName::new(service)
                    .map_err(|error| TargetError::Service { target: text.into(), error })?,
                method: method.into(),
            }),
            _ => Err(TargetError::NoMethod(text.into())),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.method)
    }
}

/// One service on one host, in one registry: `SERVICE@HOST`, or `NAMESPACE/SERVICE@HOST` outside
/// the default namespace.
///
/// Clones share their text: a registry holds each id in several places.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// The id of `service`, in the default namespace, on the host that calls itself `host`.
    pub fn new(service: &ServiceName, host: &str) -> Self {
        Self(format!("{service}@{host}").into())
    }

    /// The id of a service in any namespace.
    pub fn of(key: &ServiceKey, host: &str) -> Self {
        Self(format!("{key}@{host}").into())
    }

    /// What the id says of its service; `None` for text that no registry gave out.
    pub fn key(&self) -> Option<ServiceKey> {
        self.0.split_once('@').and_then(|(key, _)| key.parse().ok())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::borrow::Borrow<str> for InstanceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for InstanceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for InstanceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

impl<C> Encode<C> for InstanceId {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for InstanceId {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(Self(d.str()?.into()))
    }
}

/// The longest name, in bytes: file names and registry keys stay readable.
const MAX_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_splits_at_the_first_dot() {
        let target: Target = "calc.demo:math/calc@0.1.0#add".parse().unwrap();
        assert_eq!(target.service.as_str(), "calc");
        assert_eq!(target.method, "demo:math/calc@0.1.0#add");
    }

    #[test]
    fn a_target_without_method_says_how_to_write_one() {
        for text in ["calc", "calc.", ""] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.to_string().contains("SERVICE.METHOD"), "{error}");
        }
    }

    #[test]
    fn names_with_other_characters_are_refused() {
        let error = ServiceName::new("a/b").unwrap_err();
        assert_eq!(error, NameError::Character { character: '/' });
        assert_eq!(ServiceName::new(""), Err(NameError::Empty));
        assert_eq!(ServiceName::new("x".repeat(65)), Err(NameError::TooLong { len: 65 }));
    }

    #[test]
    fn an_id_says_which_service_it_is_of() {
        for text in ["calc", "staging/calc"] {
            let key: ServiceKey = text.parse().unwrap();
            assert_eq!(InstanceId::of(&key, "host-1").key(), Some(key));
        }
        assert_eq!(InstanceId("calc".into()).key(), None);
    }

    #[test]
    fn a_bad_name_does_not_decode() {
        let bytes = crate::to_cbor(&"a b");
        assert!(crate::from_cbor::<ServiceName>(&bytes).is_err());
    }
}
