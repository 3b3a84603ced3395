//! What an operator has a host say of all its instances, for clients that choose by it. Pure.
//!
//! Checked when the host starts: a registry that refused it later would refuse the whole host.

use std::collections::BTreeMap;

use jackfield_wire::status::is_printable;

use super::instances::OWN_KEYS;

/// Keys and values that stand in each instance of a host, such as `tier=gold`. Default none.
///
/// At most 16 keys and 2 KiB of text. A registry takes 32 keys and 4 KiB from an instance; the rest
/// is the host's own, for reasons why a file does not serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceMetadata(BTreeMap<String, String>);

/// Metadata that a host cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Nobody could ask for it.
    #[error("a metadata key is empty: write KEY=VALUE, as in tier=gold")]
    EmptyKey,
    /// Only one of the two values could be told.
    #[error("metadata key {0:?} is given twice: give it once")]
    Twice(String),
    /// The host says something under this key itself.
    #[error("metadata key {0:?} is the host's own: choose another")]
    Reserved(String),
    /// It would reach terminals.
    #[error("metadata key or value {0:?} holds control characters: leave them out")]
    Control(String),
    /// More keys than it may have.
    #[error("{0} metadata keys are given and a host may have {MAX_KEYS}: give fewer")]
    Keys(usize),
    /// More text than it may have.
    #[error("the metadata has {0} bytes and a host may have {MAX_BYTES}: give less")]
    Bytes(usize),
}

impl InstanceMetadata {
    /// Checks what somebody typed.
    ///
    /// # Errors
    /// See [`MetadataError`].
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, MetadataError> {
        let mut all = BTreeMap::new();
        for (key, value) in pairs {
            check_key(&key)?;
            check_text(&key)?;
            check_text(&value)?;
            if all.contains_key(&key) {
                return Err(MetadataError::Twice(key));
            }
            all.insert(key, value);
        }
        let bytes = all.iter().map(|(key, value)| key.len() + value.len()).sum();
        match (all.len(), bytes) {
            (keys, _) if keys > MAX_KEYS => Err(MetadataError::Keys(keys)),
            (_, bytes) if bytes > MAX_BYTES => Err(MetadataError::Bytes(bytes)),
            _ => Ok(Self(all)),
        }
    }

    /// For an instance, which adds the host's own.
    pub(super) fn to_map(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }
}

fn check_key(key: &str) -> Result<(), MetadataError> {
    match key {
        "" => Err(MetadataError::EmptyKey),
        own if OWN_KEYS.contains(&own) => Err(MetadataError::Reserved(own.into())),
        _ => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), MetadataError> {
    if is_printable(text) { Ok(()) } else { Err(MetadataError::Control(text.into())) }
}

/// With the host's own five well below the 32 that a registry takes.
const MAX_KEYS: usize = 16;

/// With the host's own three reasons of 500 bytes below the 4 KiB that a registry takes.
const MAX_BYTES: usize = 2 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<InstanceMetadata, MetadataError> {
        InstanceMetadata::new(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())))
    }

    #[test]
    fn what_no_registry_or_client_could_use_is_refused_with_the_reason() {
        assert_eq!(of(&[("tier", "gold"), ("gpu", "")]).unwrap().to_map().len(), 2);
        assert_eq!(of(&[("", "gold")]), Err(MetadataError::EmptyKey));
        assert_eq!(of(&[("a", "1"), ("a", "2")]), Err(MetadataError::Twice("a".into())));
        for own in OWN_KEYS {
            assert_eq!(of(&[(own, "x")]), Err(MetadataError::Reserved(own.into())));
        }
        for text in ["\u{1b}[2J", "\u{202e}dlog"] {
            assert_eq!(of(&[("a", text)]), Err(MetadataError::Control(text.into())));
            assert_eq!(of(&[(text, "a")]), Err(MetadataError::Control(text.into())));
        }
    }

    #[test]
    fn it_is_bounded_in_keys_and_bytes() {
        let keys = |count: usize| (0..count).map(|n| (n.to_string(), String::new()));
        assert!(InstanceMetadata::new(keys(MAX_KEYS)).is_ok());
        let many = InstanceMetadata::new(keys(MAX_KEYS + 1));
        assert_eq!(many, Err(MetadataError::Keys(MAX_KEYS + 1)));
        assert!(of(&[("k", &"x".repeat(MAX_BYTES - 1))]).is_ok());
        let large = of(&[("k", &"x".repeat(MAX_BYTES))]);
        assert_eq!(large, Err(MetadataError::Bytes(MAX_BYTES + 1)));
    }
}
