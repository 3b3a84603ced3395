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

    /// The span that the call is made in.
    pub fn parent_id(&self) -> u64 {
        self.parent
    }

    /// Whether whoever began the trace wants it to be recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The same trace, seen from the span `parent`; `None` when that is zero.
    pub fn child(&self, parent: u64) -> Option<Self> {
        (parent != 0).then_some(Self { parent, ..*self })
    }
}

/// Which traces are recorded: a share of those that begin here, and those of callers as they say or
/// by the same share. Pure: the same trace has the same answer everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Of 2^63, as OpenTelemetry counts.
    bound: u64,
    heeds_callers: bool,
}

impl Default for Sampling {
    /// All, unless a caller says otherwise.
    fn default() -> Self {
        Self { bound: 1 << 63, heeds_callers: true }
    }
}

impl Sampling {
    /// Records this share of traces, from 0 to 1.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        const ALL: f64 = (1_u64 << 63) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 2^63; what is no number becomes 0"
        )]
        let bound = (share.clamp(0.0, 1.0) * ALL) as u64;
        Self { bound, ..self }
    }

    /// Records by the share alone, whatever callers say.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { heeds_callers: false, ..self }
    }

    /// Whether the trace `trace_id` is recorded, of which a caller said so or not; `None` when it
    /// begins here.
    pub fn takes(&self, caller: Option<bool>, trace_id: u128) -> bool {
        match caller {
            Some(said) if self.heeds_callers => said,
            _ => {
                #[expect(clippy::cast_possible_truncation, reason = "its lower half is random")]
                let low = trace_id as u64;
                (low >> 1) < self.bound
            }
        }
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
    fn a_share_of_new_traces_is_recorded_and_those_of_callers_as_they_say() {
        let low = |part: u128| part << 1;
        let half = Sampling::default().share(0.5);
        assert!(half.takes(None, low(1 << 61)) && !half.takes(None, low(1 << 62)));
        assert!(half.takes(Some(true), u128::MAX) && !half.takes(Some(false), 0));
        assert!(!half.alone().takes(Some(true), u128::MAX) && half.alone().takes(Some(false), 0));
        let (all, none) = (Sampling::default(), Sampling::default().share(0.0));
        for id in [1, u128::MAX] {
            assert!(all.takes(None, id) && !none.takes(None, id), "{id}");
        }
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
