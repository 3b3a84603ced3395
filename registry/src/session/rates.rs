//! How often a peer may ask: a token bucket for each identity, whatever its connections, and one for
//! the heartbeats of each connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jackfield_transport::PeerId;

use crate::core::{Moment, Refused};

/// The buckets of all identities that are connected, or were so lately that theirs is not full again:
/// who is refused does not get a new one by connecting anew.
#[derive(Debug)]
pub(crate) struct Rates {
    per_second: u32,
    ttl: Duration,
    /// Locked for moments only, never across an `.await`.
    peers: Mutex<Peers>,
}

#[derive(Debug, Default)]
struct Peers {
    buckets: HashMap<PeerId, Arc<Mutex<Bucket>>>,
    /// How many were worth keeping when somebody looked last.
    kept: usize,
}

/// One connection's.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: u32,
    peer: PeerId,
    requests: Arc<Mutex<Bucket>>,
    heartbeats: Mutex<Bucket>,
    heartbeat_every: Duration,
}

impl Rates {
    pub(crate) fn new(per_second: u32, ttl: Duration) -> Self {
        Self { per_second, ttl, peers: Mutex::default() }
    }

    /// Of a new connection of `peer`.
    pub(super) fn of(&self, peer: &PeerId, now: Moment) -> Rate {
        let mut peers = locked(&self.peers);
        if peers.buckets.len() > peers.kept * 2 + FEW_PEERS {
            let every = every(self.per_second);
            peers.buckets.retain(|_, bucket| {
                Arc::strong_count(bucket) > 1 || !locked(bucket).is_full(now, every)
            });
            peers.kept = peers.buckets.len();
        }
        let new = || Arc::new(Mutex::new(Bucket::new(self.per_second, BURST_SECONDS)));
        let requests = Arc::clone(peers.buckets.entry(peer.clone()).or_insert_with(new));
        let heartbeats = Mutex::new(Bucket { most: HEARTBEATS, left: HEARTBEATS, filled: None });
        let heartbeat_every = self.ttl / HEARTBEATS_PER_TTL;
        let per_second = self.per_second;
        Rate { per_second, peer: peer.clone(), requests, heartbeats, heartbeat_every }
    }
}

impl Rate {
    /// One more request.
    pub(super) fn request(&self, now: Moment) -> Result<(), Refused> {
        if self.per_second > 0 && locked(&self.requests).take(now, every(self.per_second)) {
            return Ok(());
        }
        Err(Refused::TooManyRequests { peer: self.peer.to_string(), limit: self.per_second })
    }

    /// One more heartbeat of this connection.
    pub(super) fn heartbeat(&self, now: Moment) -> Result<(), Refused> {
        if locked(&self.heartbeats).take(now, self.heartbeat_every) {
            return Ok(());
        }
        let (peer, every) = (self.peer.to_string(), self.heartbeat_every);
        Err(Refused::TooManyHeartbeats { peer, every })
    }
}

/// Tokens, which come back with time.
#[derive(Debug)]
struct Bucket {
    most: f64,
    left: f64,
    filled: Option<Moment>,
}

impl Bucket {
    fn new(per_second: u32, seconds: u32) -> Self {
        let most = f64::from(per_second) * f64::from(seconds);
        Self { most, left: most, filled: None }
    }

    /// Whether all tokens are back, of which one comes `every` so often: then it is like a new one.
    fn is_full(&mut self, now: Moment, every: Duration) -> bool {
        self.fill(now, every);
        self.left >= self.most
    }

    fn fill(&mut self, now: Moment, every: Duration) {
        let since = self.filled.map_or(Duration::ZERO, |filled| now.after(filled));
        self.filled = Some(now);
        self.left = (self.left + since.as_secs_f64() / every.as_secs_f64()).min(self.most);
    }

    /// Takes a token, of which one comes back `every` so often.
    fn take(&mut self, now: Moment, every: Duration) -> bool {
        self.fill(now, every);
        let there = self.left >= 1.0;
        if there {
            self.left -= 1.0;
        }
        there
    }
}

/// How often a request's token comes back.
fn every(per_second: u32) -> Duration {
    Duration::from_secs(1) / per_second.max(1)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Neither a counter nor a map of weak pointers can be left half changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Buckets that are not worth a look whether they are still needed: 20 KiB.
const FEW_PEERS: usize = 64;
/// Seconds of requests that may come at once, as after a reconnection.
const BURST_SECONDS: u32 = 4;
/// The most often that a heartbeat says anything new.
const HEARTBEATS_PER_TTL: u32 = 10;
/// Heartbeats that may come at once, after a host or its network stood still.
const HEARTBEATS: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fixture::{TTL, peer};

    fn at(ms: u64) -> Moment {
        Moment::since_start(Duration::from_millis(ms))
    }

    #[test]
    fn a_burst_is_taken_and_then_so_many_in_a_second() {
        let rate = Rates::new(10, TTL).of(&peer("a"), at(0));
        let taken = |ms| (0..100).filter(|_| rate.request(at(ms)).is_ok()).count();
        assert_eq!(taken(0), 40);
        assert_eq!(taken(1000), 10);
        assert_eq!(taken(1050), 0);
        assert_eq!(taken(100_000), 40);
        let refused = rate.request(at(100_000)).unwrap_err();
        assert!(refused.to_string().contains("10 requests in a second"), "{refused}");
    }

    #[test]
    fn connections_of_one_identity_share_and_identities_do_not() {
        let rates = Rates::new(1, TTL);
        let of = |name| rates.of(&peer(name), at(0));
        let (one, two, other) = (of("a"), of("a"), of("b"));
        assert!((0..4).all(|_| one.request(at(0)).is_ok()));
        assert!(two.request(at(0)).is_err());
        assert!(other.request(at(0)).is_ok());
    }

    #[test]
    fn who_connects_anew_has_no_more_than_before() {
        let rates = Rates::new(1, TTL);
        let spend = |ms| {
            let rate = rates.of(&peer("a"), at(ms));
            (0..100).filter(|_| rate.request(at(ms)).is_ok()).count()
        };
        assert_eq!([spend(0), spend(0), spend(1000), spend(60_000)], [4, 0, 1, 4]);
    }

    #[test]
    fn buckets_that_are_full_again_are_forgotten() {
        let rates = Rates::new(1, TTL);
        for n in 0..1000 {
            let rate = rates.of(&peer(&format!("h{n}")), at(n * 1000));
            assert!(rate.request(at(n * 1000)).is_ok());
        }
        assert!(locked(&rates.peers).buckets.len() <= 2 * FEW_PEERS);
    }

    #[test]
    fn heartbeats_that_say_nothing_new_are_refused() {
        let rate = Rates::new(1000, TTL).of(&peer("a"), at(0));
        let taken = |ms| (0..100).filter(|_| rate.heartbeat(at(ms)).is_ok()).count();
        assert_eq!(taken(0), 10);
        assert_eq!(taken(999), 0);
        assert_eq!(taken(2000), 2);
    }
}
