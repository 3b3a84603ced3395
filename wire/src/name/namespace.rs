//! Where a service's name counts: the same name in two namespaces means two services.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{NameError, ServiceName};

/// A room for names of services: made of the same characters as they are. `default` when nobody
/// says otherwise.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Namespace(#[n(0)] ServiceName);

impl Namespace {
    /// Checks a name.
    ///
    /// # Errors
    /// As [`ServiceName::new`].
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        ServiceName::new(name).map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is the one that is meant when none is named.
    pub fn is_default(&self) -> bool {
        self.as_str() == DEFAULT
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self(ServiceName::new(DEFAULT).expect("a constant that is a name"))
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Namespace {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

/// A service in its namespace. Its text is `calc` in the default one, `staging/calc` elsewhere.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode,
)]
pub struct ServiceKey {
    /// Where the name counts.
    #[n(0)]
    pub namespace: Namespace,
    /// The name.
    #[n(1)]
    pub service: ServiceName,
}

impl ServiceKey {
    /// `service` in the default namespace.
    pub fn new(service: ServiceName) -> Self {
        Self { namespace: Namespace::default(), service }
    }

    /// Its text.
    pub fn text(&self) -> Cow<'_, str> {
        match self.namespace.is_default() {
            true => Cow::Borrowed(self.service.as_str()),
            false => Cow::Owned(format!("{}/{}", self.namespace, self.service)),
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl FromStr for ServiceKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (namespace, service) = match text.split_once('/') {
            Some((namespace, service)) => (Namespace::new(namespace)?, service),
            None => (Namespace::default(), text),
        };
        Ok(Self { namespace, service: ServiceName::new(service)? })
    }
}

/// The namespace of those that name none.
const DEFAULT: &str = "default";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_text_are_the_same() {
        for text in ["calc", "staging/calc"] {
            let key: ServiceKey = text.parse().unwrap();
            assert_eq!(key.to_string(), text);
        }
        let long: ServiceKey = "default/calc".parse().unwrap();
        assert_eq!(long.to_string(), "calc");
    }

    #[test]
    fn what_is_no_name_makes_no_key() {
        for text in ["", "/calc", "staging/", "a/b/c", "a b/c"] {
            assert!(text.parse::<ServiceKey>().is_err(), "{text}");
        }
    }
}
