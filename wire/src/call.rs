//! The head of a call and of its answer.
//!
//! A request is a [`FrameKind::Head`](crate::FrameKind) frame, then a `Positional` frame if there
//! are positional arguments, then a `Named` frame if there are named ones. An answer is a `Head`
//! frame, then a `Value` frame if the status is `ok` with a result, or `application`.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::status::{Executed, Status};

/// What a caller asks for. Borrows from the frame that brought it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CallHead<'a> {
    /// The service's name.
    #[b(0)]
    pub service: &'a str,
    /// The method's name, short or qualified.
    #[b(1)]
    pub method: &'a str,
    /// What is left until the caller's deadline, in milliseconds; `None` leaves it to the host.
    #[n(2)]
    pub deadline_ms: Option<u32>,
    /// W3C `traceparent`, when the caller is part of a trace.
    #[b(3)]
    pub trace: Option<&'a str>,
    /// What calls that belong together share, for balancing by key.
    #[b(4)]
    pub key: Option<&'a str>,
    /// The caller holds the method safe to execute twice.
    #[n(5)]
    #[cbor(default)]
    pub idempotent: bool,
    /// Calls of services that this one is made for, one within the other; 0 of a caller that
    /// serves nobody.
    #[n(6)]
    #[cbor(default)]
    pub hops: u8,
}

/// How a call ended. Borrows from the frame that brought it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AnswerHead<'a> {
    /// How the call ended.
    #[n(0)]
    pub status: Status,
    /// Whether the guest's code ran.
    #[n(1)]
    pub executed: Executed,
    /// For people; absent when the status is `ok`.
    #[b(2)]
    pub message: Option<&'a str>,
    /// Which version of the plugin answered.
    #[n(3)]
    pub generation: Option<Generation>,
    /// How busy the host is.
    #[n(4)]
    pub load: Option<Load>,
    /// When to try again, in milliseconds, after `resource-exhausted` or `unavailable`.
    #[n(5)]
    pub retry_after_ms: Option<u32>,
    /// The host will close soon: the next call better goes elsewhere. It still takes calls.
    #[n(6)]
    #[cbor(default)]
    pub draining: bool,
}

/// How busy a host is, as it says in its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Load {
    /// Calls that hold a permit.
    #[n(0)]
    pub in_flight: u32,
    /// Calls that wait for one.
    #[n(1)]
    pub queued: u32,
}

/// The version of a plugin: the first 128 bits of its content's SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Generation(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

impl Generation {
    /// The generation of content with this SHA-256.
    pub fn of_digest(sha256: [u8; 32]) -> Self {
        let (first, _) = sha256.split_first_chunk().expect("32 bytes have a first 16");
        Self(*first)
    }

    /// The first twelve hexadecimal digits, as people see it.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(12);
        text
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Generation({self})")
    }
}

/// Text that is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a generation is 32 hexadecimal digits")]
pub struct ParseGenerationError;

impl FromStr for Generation {
    type Err = ParseGenerationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseGenerationError);
        }
        u128::from_str_radix(text, 16)
            .map(|bits| Self(bits.to_be_bytes()))
            .map_err(|_| ParseGenerationError)
    }
}

impl serde::Serialize for Generation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Generation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{from_cbor, to_cbor};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_call_head_survives_the_wire(
            service in ".{0,20}", method in ".{0,40}",
            deadline_ms: Option<u32>, key in proptest::option::of(".{0,9}"), idempotent: bool,
        ) {
            let head = CallHead {
                service: &service, method: &method, deadline_ms, trace: None,
                key: key.as_deref(), hops: 2,
                idempotent,
            };
            let bytes = to_cbor(&head);
            prop_assert_eq!(from_cbor::<CallHead<'_>>(&bytes).unwrap(), head);
        }

        #[test]
        fn no_bytes_make_a_head_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_cbor::<CallHead<'_>>(&bytes);
            let _ = from_cbor::<AnswerHead<'_>>(&bytes);
        }
    }

    #[test]
    fn an_answer_head_survives_the_wire() {
        let head = AnswerHead {
            status: Status::Trapped,
            executed: Executed::Yes,
            message: Some("unreachable"),
            generation: Some(Generation([7; 16])),
            load: Some(Load { in_flight: 3, queued: 0 }),
            retry_after_ms: None,
            draining: true,
        };
        let bytes = to_cbor(&head);
        assert_eq!(from_cbor::<AnswerHead<'_>>(&bytes).unwrap(), head);
    }

    #[test]
    fn a_field_of_a_later_version_is_skipped() {
        #[derive(Encode)]
        struct Later<'a>(#[n(0)] &'a str, #[n(1)] &'a str, #[n(5)] bool, #[n(6)] u8, #[n(9)] u64);
        let bytes = to_cbor(&Later("calc", "add", true, 0, 1));
        let head: CallHead<'_> = from_cbor(&bytes).unwrap();
        assert_eq!((head.service, head.method, head.idempotent), ("calc", "add", true));
    }

    #[test]
    fn a_later_field_nested_a_million_deep_is_skipped_without_a_stack() {
        let mut bytes = vec![0x83, 0x64, b'c', b'a', b'l', b'c', 0x63, b'a', b'd', b'd'];
        bytes.resize(bytes.len() + 1_000_000, 0x81);
        bytes.push(0);
        // The field in that place is a number: whatever it is, it must not end the process.
        assert!(from_cbor::<CallHead<'_>>(&bytes).is_err());
        let mut later = vec![0x88, 0x64, b'c', b'a', b'l', b'c', 0x63, b'a', b'd', b'd'];
        later.extend([0xf6, 0xf6, 0xf6, 0xf4, 0]);
        later.resize(later.len() + 1_000_000, 0x81);
        later.push(0);
        assert_eq!(from_cbor::<CallHead<'_>>(&later).unwrap().method, "add");
    }

    #[test]
    fn invalid_utf8_in_a_name_is_an_error() {
        let mut bytes = to_cbor(&("calc", "add"));
        bytes[2] = 0xff;
        assert!(from_cbor::<CallHead<'_>>(&bytes).is_err());
    }

    #[test]
    fn a_generation_reads_back_what_it_prints() {
        let generation = Generation([0xab; 16]);
        assert_eq!(generation.to_string().parse(), Ok(generation));
        assert_eq!("xyz".parse::<Generation>(), Err(ParseGenerationError));
    }
}
