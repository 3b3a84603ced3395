//! What a revision is about.

#[cfg(test)]
use std::borrow::Cow;

use jackfield_wire::{InstanceId, ServiceKey};

use super::scope::Scope;

/// What changed: an instance, or the settings of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Instance(InstanceId),
    /// Boxed: settings are few, and entries of the log as many as instances.
    Settings(Box<ServiceKey>),
}

impl Subject {
    pub(crate) fn settings(key: ServiceKey) -> Self {
        Self::Settings(Box::new(key))
    }

    /// Its text, as stores keep it: an instance's id, a service's key.
    #[cfg(test)]
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Instance(id) => Cow::Borrowed(id.as_str()),
            Self::Settings(key) => key.text(),
        }
    }

    /// What `text` is of: an id has an `@`, and a key never has.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once('@') {
            Some((key, host)) => Some(Self::Instance(InstanceId::of(&key.parse().ok()?, host))),
            None => Some(Self::settings(text.parse().ok()?)),
        }
    }

    /// Whether `scope` covers it; an instance by its id alone.
    pub(super) fn is_in(&self, scope: &Scope) -> bool {
        match (scope, self) {
            (Scope::All, _) => true,
            (_, Self::Settings(key)) => scope.covers_key(key),
            (_, Self::Instance(id)) => scope.covers_id(id.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_and_its_text_are_the_same() {
        for text in ["calc@a", "staging/calc@a", "calc", "staging/calc"] {
            let subject = Subject::parse(text).unwrap();
            assert_eq!(subject.text(), text);
            assert_eq!(matches!(subject, Subject::Instance(_)), text.contains('@'));
        }
        assert_eq!(Subject::parse("a b"), None);
    }
}
