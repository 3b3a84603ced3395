//! What operators order: changes of single fields, so that two operators do not undo each other.

use minicbor::{Decode, Encode};

use super::instance::Override;
use super::settings::{RetryFactor, ServiceSettings};
use crate::name::{InstanceId, ServiceKey};

/// What becomes of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Edit<T> {
    /// It stays.
    #[n(0)]
    #[default]
    Keep,
    /// It becomes this.
    #[n(1)]
    Set(#[n(0)] T),
    /// Nothing is said of it any more.
    #[n(2)]
    Unset,
}

impl<T: Clone> Edit<T> {
    fn apply(&self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Set(value) => *field = Some(value.clone()),
            Self::Unset => *field = None,
        }
    }
}

/// What shall hold of an instance from now on, however often it registers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct InstancePatch {
    /// Which one.
    #[n(0)]
    pub id: InstanceId,
    /// Whether it is out of service.
    #[n(1)]
    pub disabled: Option<bool>,
    /// Whether it gets nothing new.
    #[n(2)]
    pub drain: Option<bool>,
    /// Its share of calls.
    #[n(3)]
    #[cbor(default)]
    pub weight: Edit<u32>,
    /// For people.
    #[n(4)]
    #[cbor(default)]
    pub note: Edit<String>,
}

impl InstancePatch {
    /// One that changes nothing.
    pub fn new(id: InstanceId) -> Self {
        Self { id, disabled: None, drain: None, weight: Edit::Keep, note: Edit::Keep }
    }

    /// What holds once this was done on top of `before`.
    pub fn apply(&self, mut before: Override) -> Override {
        before.disabled = self.disabled.unwrap_or(before.disabled);
        before.drain = self.drain.unwrap_or(before.drain);
        self.weight.apply(&mut before.weight);
        self.note.apply(&mut before.note);
        before
    }
}

/// How a service shall be called from now on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ServicePatch {
    /// Which one; nobody needs to serve it yet.
    #[n(0)]
    pub key: ServiceKey,
    /// See [`ServiceSettings`], as all below.
    #[n(1)]
    #[cbor(default)]
    pub timeout_ms: Edit<u32>,
    /// Repetitions.
    #[n(2)]
    #[cbor(default)]
    pub max_retries: Edit<u32>,
    /// The first pause.
    #[n(3)]
    #[cbor(default)]
    pub retry_delay_ms: Edit<u32>,
    /// Its growth.
    #[n(4)]
    #[cbor(default)]
    pub retry_backoff: Edit<RetryFactor>,
    /// The picker's name.
    #[n(5)]
    #[cbor(default)]
    pub picker: Edit<String>,
}

impl ServicePatch {
    /// One that changes nothing.
    pub fn new(key: ServiceKey) -> Self {
        Self {
            key,
            timeout_ms: Edit::Keep,
            max_retries: Edit::Keep,
            retry_delay_ms: Edit::Keep,
            retry_backoff: Edit::Keep,
            picker: Edit::Keep,
        }
    }

    /// What holds once this was done on top of `before`.
    pub fn apply(&self, mut before: ServiceSettings) -> ServiceSettings {
        self.timeout_ms.apply(&mut before.timeout_ms);
        self.max_retries.apply(&mut before.max_retries);
        self.retry_delay_ms.apply(&mut before.retry_delay_ms);
        self.retry_backoff.apply(&mut before.retry_backoff);
        self.picker.apply(&mut before.picker);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{from_cbor, to_cbor};

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let id = InstanceId::of(&"calc".parse().unwrap(), "a");
        let before = Override { drain: true, weight: Some(3), ..Override::default() };
        let patch = InstancePatch {
            disabled: Some(true),
            note: Edit::Set("why".into()),
            ..InstancePatch::new(id.clone())
        };
        let patch: InstancePatch = from_cbor(&to_cbor(&patch)).unwrap();
        let after = patch.apply(before);
        assert_eq!((after.disabled, after.drain, after.weight), (true, true, Some(3)));
        let undo = InstancePatch {
            disabled: Some(false),
            drain: Some(false),
            weight: Edit::Unset,
            note: Edit::Unset,
            id,
        };
        assert!(undo.apply(after).is_empty());
    }

    #[test]
    fn settings_are_set_and_unset_one_by_one() {
        let key: ServiceKey = "staging/calc".parse().unwrap();
        let set = ServicePatch {
            timeout_ms: Edit::Set(2000),
            picker: Edit::Set("random".into()),
            ..ServicePatch::new(key.clone())
        };
        let set: ServicePatch = from_cbor(&to_cbor(&set)).unwrap();
        let settings = set.apply(ServiceSettings::default());
        assert_eq!(settings.timeout_ms, Some(2000));
        let unset = ServicePatch { timeout_ms: Edit::Unset, ..ServicePatch::new(key) };
        let left = unset.apply(settings);
        assert_eq!((left.timeout_ms, left.picker.as_deref()), (None, Some("random")));
    }
}
