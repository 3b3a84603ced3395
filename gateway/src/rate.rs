//! How many requests an address may make in a second: a bucket of tokens for each. Pure: the
//! caller brings the time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// The buckets of everyone who has asked lately.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    buckets: HashMap<IpAddr, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rate {
    /// Each address may make so many requests in a second, and as many at once after a pause.
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self { per_second: per_second.get().into(), buckets: HashMap::new() }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there is none: how long until there is.
    pub(crate) fn take(&mut self, who: IpAddr, now: Instant) -> Result<(), Duration> {
        let (who, full) = (network(who), self.per_second);
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&who) {
            self.buckets.retain(|_, bucket| bucket.filled(now, full) < full);
            if self.buckets.len() >= MOST {
                return Err(Duration::from_secs(1));
            }
        }
        let bucket = self.buckets.entry(who).or_insert(Bucket { tokens: full, at: now });
        (bucket.tokens, bucket.at) = (bucket.filled(now, full), now);
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / full));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

impl Bucket {
    fn filled(&self, now: Instant, full: f64) -> f64 {
        let gone = now.saturating_duration_since(self.at).as_secs_f64();
        (self.tokens + gone * full).min(full)
    }
}

/// Who counts as one: of IPv6 the /64 network, of which a single machine has every address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = u128::from(v6) >> 64 << 64;
            IpAddr::V6(prefix.into())
        }
        v4 => v4,
    }
}

/// Addresses that are remembered at once, about 60 bytes each. Beyond, newcomers wait: those who
/// ask from so many addresses would otherwise fill the memory.
const MOST: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32) -> (Rate, Instant) {
        (Rate::new(NonZeroU32::new(per_second).unwrap()), Instant::now())
    }

    #[test]
    fn a_second_brings_as_many_as_it_should_and_saves_no_more() {
        let (mut rate, start) = rate(2);
        let who = "192.0.2.1".parse().unwrap();
        assert!(rate.take(who, start).is_ok() && rate.take(who, start).is_ok());
        assert_eq!(rate.take(who, start), Err(Duration::from_millis(500)));
        let later = start + Duration::from_secs(60);
        assert!(rate.take(who, later).is_ok() && rate.take(who, later).is_ok());
        assert!(rate.take(who, later).is_err());
    }

    #[test]
    fn one_network_of_ipv6_is_one_and_the_next_another() {
        let (mut rate, now) = rate(1);
        assert!(rate.take("2001:db8::1".parse().unwrap(), now).is_ok());
        assert!(rate.take("2001:db8::2".parse().unwrap(), now).is_err());
        assert!(rate.take("2001:db8:0:1::1".parse().unwrap(), now).is_ok());
        assert!(rate.take("192.0.2.1".parse().unwrap(), now).is_ok());
        assert!(rate.take("::ffff:192.0.2.1".parse().unwrap(), now).is_err());
    }

    #[test]
    fn no_number_of_addresses_fills_the_memory_and_time_makes_room() {
        let (mut rate, now) = rate(1);
        for n in 0..MOST as u32 {
            assert!(rate.take(IpAddr::V4(n.into()), now).is_ok());
        }
        let newcomer = "2001:db8::1".parse().unwrap();
        assert!(rate.take(newcomer, now).is_err());
        assert!(rate.take(newcomer, now + Duration::from_secs(2)).is_ok());
        assert_eq!(rate.buckets.len(), 1);
    }
}
