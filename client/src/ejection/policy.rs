//! When an endpoint is left out, and how it comes back: the settings.

use std::time::Duration;

/// When an endpoint is left out for a while, and how it comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct EjectionPolicy {
    /// Failures in a row that make an instance an outlier: unavailable, internal, trapped, a broken
    /// connection, no answer by the deadline. Default 5: calls that nobody can serve come in
    /// shorter rows. 0 means never.
    pub consecutive_failures: u32,
    /// How many times the median latency of its peers over a second makes an instance an outlier.
    /// Default 5. 0 means never.
    pub latency_factor: f64,
    /// How far over the median it must be at least. Default 100 ms: below it a picker that knows
    /// latencies does better than leaving anyone out.
    pub latency_floor: Duration,
    /// Answers in a second that a latency must be made of. Default 20.
    pub latency_answers: u32,
    /// The share of a service's instances that may be outliers at once, in percent; one of two or
    /// more may always. Default 50: the rest must carry the load of those that are out. Addresses
    /// that cannot be reached do not count.
    pub max_ejected_percent: u32,
    /// When less than this share of what can be reached is left, in percent, outliers are used as
    /// well. Default 30.
    pub panic_percent: u32,
    /// How long the first ejection lasts; each one in a row takes twice the time. Default 500 ms:
    /// it outlasts a burst of calls.
    pub first_time: Duration,
    /// The longest. Default 8 s: below a registry's usual TTL, so that nobody waits for a host
    /// that has restarted longer than for one that is new.
    pub max_time: Duration,
    /// How long an endpoint that came back takes a growing share of calls. Default 5 s; zero gives
    /// it a full share at once.
    pub slow_start: Duration,
}

impl Default for EjectionPolicy {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            latency_factor: 5.0,
            latency_floor: Duration::from_millis(100),
            latency_answers: 20,
            max_ejected_percent: 50,
            panic_percent: 30,
            first_time: Duration::from_millis(500),
            max_time: Duration::from_secs(8),
            slow_start: Duration::from_secs(5),
        }
    }
}
