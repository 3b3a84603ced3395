//! What came back from a call that went well.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use jackfield_wire::status::{is_printable, printable};
use jackfield_wire::{Generation, Load, Target};
use serde::de::{DeserializeOwned, Error as _};

use crate::error::{Attempt, CallError, DecodeError};

/// A method's result, and where it comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// What was called.
    pub target: Target,
    /// The result as JSON, as the host sent it; `None` for a method without a result.
    pub value: Option<Bytes>,
    /// Which version of the plugin answered.
    pub generation: Option<Generation>,
    /// How busy the host is.
    pub load: Option<Load>,
    /// The host that answered: the name in its certificate.
    pub host: String,
    /// Where it is.
    pub address: SocketAddr,
    /// How long the call took, with every attempt and wait.
    pub elapsed: Duration,
    /// The attempts that failed before this one.
    pub attempts: Vec<Attempt>,
}

impl Answer {
    /// The result as JSON text; `null` for a method without a result.
    ///
    /// # Errors
    /// When the host sent what is not JSON.
    pub fn json(&self) -> Result<&str, CallError> {
        let value: &serde_json::value::RawValue =
            serde_json::from_slice(self.bytes()).map_err(|error| self.misfit(error))?;
        Ok(value.get())
    }

    /// The result as a type of the caller's; see [the crate's text](crate#values).
    ///
    /// # Errors
    /// [`CallError::Decode`] when it does not fit that type.
    pub fn decode<R: DeserializeOwned>(&self) -> Result<R, CallError> {
        crate::values::from_json(self.bytes()).map_err(|error| self.misfit(error))
    }

    fn bytes(&self) -> &[u8] {
        self.value.as_deref().unwrap_or(b"null")
    }

    fn misfit(&self, source: serde_json::Error) -> CallError {
        // It may quote a name that the host made up.
        let text = source.to_string();
        let source =
            if is_printable(&text) { source } else { serde_json::Error::custom(printable(&text)) };
        let json = self.value.clone().unwrap_or_default();
        CallError::Decode(Box::new(DecodeError { target: self.target.clone(), json, source }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_transport::chain;

    #[test]
    fn a_misfit_never_carries_the_hosts_control_characters() {
        #[derive(Debug, serde::Deserialize)]
        enum Shape {}
        let answer = Answer {
            target: "calc.add".parse().unwrap(),
            value: Some(Bytes::from_static(br#""\u001b[2J\u009b""#)),
            generation: None,
            load: None,
            host: "one".into(),
            address: ([127, 0, 0, 1], 1).into(),
            elapsed: Duration::ZERO,
            attempts: vec![],
        };
        let text = chain(&answer.decode::<Shape>().unwrap_err());
        assert!(text.contains("unknown variant") && is_printable(&text), "{text:?}");
    }
}
