//! What an operator sets for all who call a service, as defaults: a call may say otherwise.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::name::{Namespace, ServiceKey, ServiceName};

/// How a service shall be called by those who do not say it themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// How long a call may take with every attempt, in milliseconds.
    #[n(0)]
    pub timeout_ms: Option<u32>,
    /// How often a call is tried again, after the first attempt.
    #[n(1)]
    pub max_retries: Option<u32>,
    /// The ceiling of the pause before the first repetition, in milliseconds.
    #[n(2)]
    pub retry_delay_ms: Option<u32>,
    /// By what that ceiling grows with each further one.
    #[n(3)]
    pub retry_backoff: Option<RetryFactor>,
    /// The picker's name: `round-robin`, `peak-ewma`. A client that does not know it uses its own
    /// default.
    #[n(4)]
    pub picker: Option<String>,
}

impl ServiceSettings {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The settings of one service.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ServiceEntry {
    /// Where the service's name counts.
    #[n(0)]
    pub namespace: Namespace,
    /// Which service.
    #[n(1)]
    pub service: ServiceName,
    /// Empty when there are none any more.
    #[n(2)]
    pub settings: ServiceSettings,
}

impl ServiceEntry {
    /// The service in its namespace.
    pub fn key(&self) -> ServiceKey {
        ServiceKey { namespace: self.namespace.clone(), service: self.service.clone() }
    }

    /// Its share of a set's digest; an empty one has none.
    pub fn digest(&self) -> Digest {
        if self.settings.is_empty() {
            return Digest::default();
        }
        Digest::of(&crate::to_cbor(self))
    }
}

/// A factor from 1 to 100, in steps of a thousandth. Written as a number: `2`, `1.5`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Serialize, Deserialize,
)]
#[cbor(transparent)]
#[serde(try_from = "f64", into = "f64")]
pub struct RetryFactor(#[n(0)] u32);

/// A number that is no factor.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("a factor is a number from 1 to 100, not {0}")]
pub struct RetryFactorError(f64);

impl RetryFactor {
    /// Checks a number, and rounds it to a thousandth.
    ///
    /// # Errors
    /// When it is below 1, above 100 or not a number.
    pub fn new(factor: f64) -> Result<Self, RetryFactorError> {
        if !(1.0..=100.0).contains(&factor) {
            return Err(RetryFactorError(factor));
        }
        let thousandths = (factor * 1000.0).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was checked to be from 1,000 to 100,000"
        )]
        Ok(Self(thousandths as u32))
    }

    /// The factor.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

impl TryFrom<f64> for RetryFactor {
    type Error = RetryFactorError;

    fn try_from(factor: f64) -> Result<Self, RetryFactorError> {
        Self::new(factor)
    }
}

impl From<RetryFactor> for f64 {
    fn from(factor: RetryFactor) -> Self {
        factor.get()
    }
}

impl<'b, C> Decode<'b, C> for RetryFactor {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let thousandths = d.u32()?;
        Self::new(f64::from(thousandths) / 1000.0)
            .map_err(|e| minicbor::decode::Error::message(e).at(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{from_cbor, to_cbor};

    #[test]
    fn settings_survive_the_wire_and_json() {
        let settings = ServiceSettings {
            timeout_ms: Some(2000),
            max_retries: Some(3),
            retry_delay_ms: Some(50),
            retry_backoff: Some(RetryFactor::new(1.5).unwrap()),
            picker: Some("peak-ewma".into()),
        };
        assert_eq!(from_cbor::<ServiceSettings>(&to_cbor(&settings)).unwrap(), settings);
        let json = serde_json::to_string(&settings).unwrap();
        assert!(json.contains(r#""retry_backoff":1.5"#), "{json}");
        assert_eq!(serde_json::from_str::<ServiceSettings>(&json).unwrap(), settings);
    }

    #[test]
    fn a_factor_out_of_range_is_refused_wherever_it_comes_from() {
        for factor in [0.999, 100.1, -1.0, f64::NAN, f64::INFINITY] {
            assert!(RetryFactor::new(factor).is_err(), "{factor}");
        }
        assert!(from_cbor::<RetryFactor>(&to_cbor(&999_u32)).is_err());
        assert!(serde_json::from_str::<RetryFactor>("0.5").is_err());
    }

    #[test]
    fn empty_settings_have_no_share_in_a_digest() {
        let service = ServiceName::new("calc").unwrap();
        let settings = ServiceSettings::default();
        let entry = ServiceEntry { namespace: Namespace::default(), service, settings };
        assert_eq!(entry.digest(), Digest::default());
    }
}
