//! What a caller may say about calls, and which word counts: the call's before the client's before
//! the registry's before what is built in. Pure.

use std::sync::Arc;
use std::time::Duration;

use jackfield_wire::ServiceName;
use jackfield_wire::registry::{RetryFactor, ServiceSettings};
use semver::VersionReq;

use crate::filter::Filter;
use crate::picker::{PickerChoice, PickerKind};
use crate::retry::RetryPolicy;

/// How calls are balanced, repeated and bounded. What is not said is decided elsewhere: a call's own
/// options go before the client's for that service, those before the client's for all services,
/// those before the service's settings in the registry, and those before the built-in ones.
///
/// ```
/// use std::time::Duration;
/// use jackfield_client::{CallOptions, PickerKind};
///
/// let careful = CallOptions::new()
///     .deadline(Duration::from_secs(1))
///     .picker(PickerKind::PeakEwma)
///     .max_retries(1);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until they are given to a client or a call"]
pub struct CallOptions {
    pub(crate) deadline: Option<Duration>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) retry_delay: Option<Duration>,
    pub(crate) retry_backoff: Option<f64>,
    pub(crate) max_retry_delay: Option<Duration>,
    pub(crate) picker: Option<PickerChoice>,
    /// Shared, because a call without a word on it must cost nothing.
    pub(crate) filter: Arc<Filter>,
    pub(crate) is_idempotent: bool,
    pub(crate) hedge: Option<Hedge>,
    pub(crate) key: Option<String>,
}

/// When a second attempt is made while the first still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hedge {
    /// When it has run for this long.
    After(Duration),
    /// When it has run longer than 95 of 100 of the service's latest calls; not before 40 of them
    /// are known.
    AtP95,
}

impl CallOptions {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a call may take in all, with every attempt and wait. Built in: 10 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Attempts beyond the first. Built in: 2; 0 never repeats.
    pub fn max_retries(mut self, most: u32) -> Self {
        self.max_retries = Some(most);
        self
    }

    /// The bound of the pause before the first repetition; the pause is drawn uniformly below it.
    /// Built in: 20 ms, because another endpoint usually answers at once.
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = Some(delay);
        self
    }

    /// What the bound of the pause is multiplied by for each further repetition; below 1 counts
    /// as 1. Built in: 2.
    pub fn retry_backoff(mut self, factor: f64) -> Self {
        self.retry_backoff = Some(factor);
        self
    }

    /// The bound that pauses grow up to. Built in: 1 s.
    pub fn max_retry_delay(mut self, delay: Duration) -> Self {
        self.max_retry_delay = Some(delay);
        self
    }

    /// Which endpoint among equals. Built in: round robin.
    pub fn picker(mut self, picker: impl Into<PickerChoice>) -> Self {
        self.picker = Some(picker.into());
        self
    }

    /// Only instances whose service's version meets this; one without a version does not.
    pub fn version(mut self, wanted: VersionReq) -> Self {
        Arc::make_mut(&mut self.filter).version = Some(wanted);
        self
    }

    /// Instances of this zone first. Others take calls too while less than half of the zone's
    /// instances can, or while calls wait on more than half of those that can.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.filter).zone = Some(zone.into());
        self
    }

    /// Only instances whose metadata says `value` for `key`. Several all count.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.filter).metadata.insert(key.into(), value.into());
        self
    }

    /// Only this endpoint, by the name of its host, its instance's id or its address.
    pub fn endpoint(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.filter).endpoint = Some(name.into());
        self
    }

    /// Says that running the method twice does no harm: a call whose outcome is unknown is then
    /// repeated.
    pub fn idempotent(mut self) -> Self {
        self.is_idempotent = true;
        self
    }

    /// Makes a second attempt elsewhere while the first is slow; the first answer counts and the
    /// other attempt is cancelled. It is taken from the budget of retries. Says that running the
    /// method twice does no harm, as [`idempotent`](Self::idempotent) does.
    pub fn hedged(mut self, hedge: Hedge) -> Self {
        self.is_idempotent = true;
        self.hedge = Some(hedge);
        self
    }

    /// What calls that belong together share; [`PickerKind::ConsistentHash`] sends them to one
    /// endpoint.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// These options, and what they do not say as `weaker` says it.
    pub(crate) fn or(self, weaker: &Self) -> Self {
        Self {
            deadline: self.deadline.or(weaker.deadline),
            max_retries: self.max_retries.or(weaker.max_retries),
            retry_delay: self.retry_delay.or(weaker.retry_delay),
            retry_backoff: self.retry_backoff.or(weaker.retry_backoff),
            max_retry_delay: self.max_retry_delay.or(weaker.max_retry_delay),
            picker: self.picker.or_else(|| weaker.picker.clone()),
            filter: self.filter.or(&weaker.filter),
            is_idempotent: self.is_idempotent || weaker.is_idempotent,
            hedge: self.hedge.or(weaker.hedge),
            key: self.key.or_else(|| weaker.key.clone()),
        }
    }

    /// What an operator set for a service. A picker that this version does not know is passed over.
    pub(crate) fn of(settings: &ServiceSettings, service: &ServiceName) -> Self {
        let ms = |ms: Option<u32>| ms.map(|ms| Duration::from_millis(ms.into()));
        let picker = settings.picker.as_deref().map(str::parse::<PickerKind>);
        if let Some(Err(error)) = &picker {
            tracing::debug!(%service, %error, "a setting of the registry is not heeded");
        }
        Self {
            deadline: ms(settings.timeout_ms),
            max_retries: settings.max_retries,
            retry_delay: ms(settings.retry_delay_ms),
            retry_backoff: settings.retry_backoff.map(RetryFactor::get),
            picker: picker.and_then(Result::ok).map(PickerChoice::Kind),
            ..Self::default()
        }
    }

    pub(crate) fn deadline_or(&self, registry: Option<&Self>) -> Duration {
        self.said(registry, |options| options.deadline).unwrap_or(DEADLINE)
    }

    pub(crate) fn picker_or(&self, registry: Option<&Self>) -> PickerChoice {
        let picker = self.picker.as_ref().or(registry.and_then(|options| options.picker.as_ref()));
        picker.cloned().unwrap_or(PickerChoice::Kind(PickerKind::default()))
    }

    pub(crate) fn retry_or(&self, registry: Option<&Self>) -> RetryPolicy {
        let built_in = RetryPolicy::default();
        let of = |read: fn(&Self) -> Option<Duration>| self.said(registry, read);
        let factor = self.said(registry, |options| options.retry_backoff);
        RetryPolicy {
            max_retries: self
                .said(registry, |options| options.max_retries)
                .unwrap_or(built_in.max_retries),
            delay: of(|options| options.retry_delay).unwrap_or(built_in.delay),
            factor: factor.unwrap_or(built_in.factor),
            max_delay: of(|options| options.max_retry_delay).unwrap_or(built_in.max_delay),
        }
    }

    fn said<T>(&self, registry: Option<&Self>, read: impl Fn(&Self) -> Option<T>) -> Option<T> {
        read(self).or_else(|| registry.and_then(read))
    }
}

impl Filter {
    /// This filter, and what it does not say as `weaker` says it.
    fn or(self: Arc<Self>, weaker: &Arc<Self>) -> Arc<Self> {
        if *self == Self::default() {
            return weaker.clone();
        }
        let mut filter = Arc::unwrap_or_clone(self);
        filter.version = filter.version.or_else(|| weaker.version.clone());
        filter.endpoint = filter.endpoint.or_else(|| weaker.endpoint.clone());
        filter.zone = filter.zone.or_else(|| weaker.zone.clone());
        for (key, value) in &weaker.metadata {
            filter.metadata.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Arc::new(filter)
    }
}

/// How long a call may take when nobody says.
const DEADLINE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_call_goes_before_the_client_before_the_registry_before_what_is_built_in() {
        let registry = CallOptions::new().deadline(ms(3)).max_retries(3).retry_delay(ms(3));
        let client = CallOptions::new().deadline(ms(2)).max_retries(2);
        let call = CallOptions::new().deadline(ms(1)).or(&client);
        let retry = call.retry_or(Some(&registry));
        assert_eq!(call.deadline_or(Some(&registry)), ms(1));
        assert_eq!((retry.max_retries, retry.delay, retry.factor), (2, ms(3), 2.0));
        let nothing = CallOptions::new();
        assert_eq!(nothing.deadline_or(None), DEADLINE);
        assert_eq!(nothing.deadline_or(Some(&registry)), ms(3));
        let picker = nothing.picker_or(Some(&CallOptions::new().picker(PickerKind::Random)));
        assert!(matches!(picker, PickerChoice::Kind(PickerKind::Random)));
    }

    #[test]
    fn what_a_call_wants_is_added_to_what_the_client_wants() {
        let client = CallOptions::new().zone("a").metadata("tier", "gold").metadata("gpu", "no");
        let call = CallOptions::new().metadata("gpu", "yes").endpoint("host-1").or(&client);
        let filter = &call.filter;
        assert_eq!(filter.zone.as_deref(), Some("a"));
        assert_eq!(filter.to_string(), "the name or address host-1 and gpu=yes and tier=gold");
        assert!(Arc::ptr_eq(&CallOptions::new().or(&client).filter, &client.filter));
    }
}
