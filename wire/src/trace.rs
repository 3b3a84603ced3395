//! W3C trace context: the `traceparent` of <https://www.w3.org/TR/trace-context/>, version 00.

use std::fmt;
use std::str::FromStr;

/// Where in a trace a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    parent: u64,
    flags: u8,
}

impl TraceContext {
    /// A context from its parts; `None` when an id is zero, which the standard forbids.
    pub fn new(trace: u128, parent: u64, sampled: bool) -> Option<Self> {
        (trace != 0 && parent != 0).then_some(Self { trace, parent, flags: u8::from(sampled) })
    }

    /// The whole trace's id.
    pub fn trace_id(&self) -> u128 {
        self.trace
    }

    /// The same trace, seen from the span `parent`; `None` when that is zero.
    pub fn child(&self, parent: u64) -> Option<Self> {
        (parent != 0).then_some(Self { parent, ..*self })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

/// Text that is not a `traceparent`. The standard says to go on without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent (00-<32 hex>-<16 hex>-<2 hex>, ids not zero)")]
pub struct ParseTraceError;

impl FromStr for TraceContext {
    type Err = ParseTraceError;

    fn from_str(text: &str) -> Result<Self, ParseTraceError> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|p| p.len() == digits).ok_or(ParseTraceError)?;
            let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if !part.bytes().all(lower_hex) {
                return Err(ParseTraceError);
            }
            u128::from_str_radix(part, 16).map_err(|_| ParseTraceError)
        };
        let (version, trace, parent, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let known = version == 0 && parts.next().is_none();
        let parent = u64::try_from(parent).map_err(|_| ParseTraceError)?;
        let flags = u8::try_from(flags).map_err(|_| ParseTraceError)?;
        match Self::new(trace, parent, false) {
            Some(context) if known => Ok(Self { flags, ..context }),
            _ => Err(ParseTraceError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_standards_example_reads_and_prints_the_same() {
        let context: TraceContext = EXAMPLE.parse().unwrap();
        assert_eq!(context.to_string(), EXAMPLE);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "00-1-2-3", &EXAMPLE.to_uppercase(), &EXAMPLE.replace("4bf9", "+bf9")] {
            assert_eq!(text.parse::<TraceContext>(), Err(ParseTraceError), "{text}");
        }
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        assert_eq!(zero.parse::<TraceContext>(), Err(ParseTraceError));
    }
}
