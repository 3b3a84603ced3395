//! Services in virtual time: hosts that are slow, fail, flap and come back, under a steady load.
//! The same seed replays the same run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use jackfield_wire::{InstanceId, ServiceName};
use tokio::time::{Instant, advance};

use super::{Balancer, Seat, Verdict, Wanted};
use crate::budget::RetryBudget;
use crate::chance::Chance;
use crate::ejection::{EjectionPolicy, Peers};
use crate::filter::Filter;
use crate::fixture::endpoint;
use crate::picker::{PickerChoice, PickerKind};
use crate::snapshot::{Origin, Snapshot};

/// What a host does with a call that comes at a time: how it ends, and how long that takes.
type Behaviour = fn(Duration) -> (Verdict, Duration);

/// A run of calls.
struct Run {
    balancer: Arc<Balancer>,
    snapshot: Arc<Snapshot>,
    hosts: Vec<Behaviour>,
    picker: PickerChoice,
    arrivals: Arrivals,
    rng: fastrand::Rng,
}

/// How calls come.
#[derive(Clone, Copy, Debug)]
enum Arrivals {
    Evenly,
    /// Independently of each other, as from many callers.
    AtRandom,
    /// In fours, as from a program whose timer is good to a millisecond.
    InFours,
}

impl Arrivals {
    /// From one call, the `n`th, to the next, if `mean` lies between them in the long run.
    fn gap(self, n: usize, mean: Duration, rng: &mut fastrand::Rng) -> Duration {
        match self {
            Self::Evenly => mean,
            Self::AtRandom => mean.mul_f64(-(1.0 - rng.f64()).ln()),
            Self::InFours => mean * if n.is_multiple_of(4) { 4 } else { 0 },
        }
    }
}

/// A call that has ended.
struct Ended {
    host: usize,
    began: Duration,
    verdict: Verdict,
    took: Duration,
}

impl Run {
    fn new(picker: PickerKind, hosts: &[Behaviour]) -> Self {
        let policy = EjectionPolicy::default();
        let balancer = Balancer::new(policy, RetryBudget::default(), Chance::seeded(7));
        let endpoints = (0..hosts.len()).map(|n| endpoint("calc", n));
        let snapshot = Snapshot::new(endpoints, None, Origin::Registry);
        Self {
            balancer: Arc::new(balancer),
            snapshot: Arc::new(snapshot),
            hosts: hosts.to_vec(),
            picker: picker.into(),
            arrivals: Arrivals::Evenly,
            rng: fastrand::Rng::with_seed(11),
        }
    }

    /// So many calls in a second, for so long. Nobody repeats any.
    async fn calls(&mut self, per_second: u64, lasting: Duration) -> Vec<Ended> {
        let (start, mean) = (Instant::now(), Duration::from_secs(1) / per_second as u32);
        let mut running: BinaryHeap<Reverse<(Duration, usize)>> = BinaryHeap::new();
        let mut seats: Vec<Option<(Seat, Ended)>> = Vec::new();
        let mut ended = Vec::new();
        let mut next = Duration::ZERO;
        while next < lasting || !running.is_empty() {
            let first_end = running.peek().map(|Reverse((at, _))| *at);
            let is_end = first_end.is_some_and(|at| next >= lasting || at <= next);
            let now = if is_end { first_end.expect("one runs") } else { next };
            advance(now.saturating_sub(start.elapsed())).await;
            if is_end {
                let Reverse((_, call)) = running.pop().expect("one runs");
                let (seat, end) = seats[call].take().expect("it ends once");
                seat.conclude(end.verdict, end.took, None);
                ended.push(end);
            } else {
                let (seat, end) = self.begin(now);
                running.push(Reverse((now + end.took, seats.len())));
                seats.push(Some((seat, end)));
                next += self.arrivals.gap(seats.len(), mean, &mut self.rng);
            }
        }
        ended
    }

    fn begin(&mut self, now: Duration) -> (Seat, Ended) {
        for probe in self.balancer.due() {
            self.balancer.probed(&self.snapshot, &probe, true);
        }
        let service = ServiceName::new("calc").expect("a name");
        let wanted = Wanted {
            service: &service,
            filter: &Arc::new(Filter::default()),
            picker: &self.picker,
            key: None,
            is_dialled: true,
            tried: &[],
        };
        let seat = self.balancer.choose(&self.snapshot, &wanted).expect("there are hosts");
        let at = self.snapshot.endpoints("calc").iter();
        let host = at.clone().position(|it| it.instance.id == seat.endpoint.instance.id);
        let host = host.expect("it is one of them");
        let (verdict, latency) = self.hosts[host](now);
        // Half a millisecond of noise, and a hiccup of four in one call of five hundred.
        let noise = Duration::from_micros(self.rng.u64(0..500));
        let hiccup = Duration::from_millis(if self.rng.u64(0..500) == 0 { 4 } else { 0 });
        let took = latency + noise + hiccup;
        (seat, Ended { host, began: now, verdict, took })
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn healthy(_: Duration) -> (Verdict, Duration) {
    (Verdict::Answered, ms(1))
}

/// Five milliseconds slower than the others.
fn slow(_: Duration) -> (Verdict, Duration) {
    (Verdict::Answered, ms(6))
}

fn quick(_: Duration) -> (Verdict, Duration) {
    (Verdict::Answered, Duration::from_micros(300))
}

/// Five milliseconds slower than quick ones.
fn no_longer_quick(_: Duration) -> (Verdict, Duration) {
    (Verdict::Answered, Duration::from_micros(5300))
}

/// Healthy for two seconds, then it fails at once.
fn breaks(now: Duration) -> (Verdict, Duration) {
    if now < ms(2000) { healthy(now) } else { (Verdict::Failed, ms(0)) }
}

/// Fails from the second to the sixth second.
fn recovers(now: Duration) -> (Verdict, Duration) {
    if now < ms(6000) { breaks(now) } else { healthy(now) }
}

/// Fails in every second second.
fn flaps(now: Duration) -> (Verdict, Duration) {
    if now.as_secs().is_multiple_of(2) { healthy(now) } else { (Verdict::Failed, ms(0)) }
}

/// Answers, but takes half a second.
fn crawls(_: Duration) -> (Verdict, Duration) {
    (Verdict::Answered, ms(500))
}

fn p99(ended: &[Ended]) -> Duration {
    let mut took: Vec<_> = ended.iter().map(|end| end.took).collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

fn share(ended: &[Ended], host: usize) -> f64 {
    ended.iter().filter(|end| end.host == host).count() as f64 / ended.len() as f64
}

/// The p99 with none, one and two of four hosts slow, at 4,000 calls in a second.
async fn tails(picker: PickerKind, arrivals: Arrivals, kinds: [Behaviour; 2]) -> [f64; 3] {
    let mut tails = [0.0; 3];
    for (slow_ones, tail) in tails.iter_mut().enumerate() {
        let hosts: Vec<_> = (0..4).map(|n| kinds[usize::from(n < slow_ones)]).collect();
        let mut run = Run { arrivals, ..Run::new(picker, &hosts) };
        *tail = p99(&run.calls(4000, ms(3000)).await).as_secs_f64();
    }
    tails
}

#[tokio::test(start_paused = true)]
async fn peak_ewma_keeps_the_p99_with_one_and_with_two_of_four_hosts_slow() {
    for arrivals in [Arrivals::Evenly, Arrivals::AtRandom, Arrivals::InFours] {
        for kinds in [[quick, no_longer_quick], [healthy as Behaviour, slow]] {
            let [all, one, two] = tails(PickerKind::PeakEwma, arrivals, kinds).await;
            assert!(one <= all * 1.2 && two <= all * 1.2, "{arrivals:?}: {all} {one} {two}");
        }
    }
    let kinds = [healthy as Behaviour, slow];
    let [all, one, two] = tails(PickerKind::RoundRobin, Arrivals::Evenly, kinds).await;
    assert!(one > all * 2.0 && two > all * 2.0, "{all} {one} {two}: so the bar means something");
}

#[tokio::test(start_paused = true)]
async fn peak_ewma_gives_equally_fast_hosts_about_equal_shares() {
    let mut run = Run::new(PickerKind::PeakEwma, &[healthy as Behaviour; 4]);
    run.arrivals = Arrivals::AtRandom;
    let ended = run.calls(4000, ms(5000)).await;
    let shares: Vec<_> = (0..4).map(|host| share(&ended, host)).collect();
    assert!(shares.iter().all(|share| (0.15..0.35).contains(share)), "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_fast_is_out_within_a_quarter_of_a_second_whatever_the_picker() {
    for picker in PickerKind::ALL {
        let ended = Run::new(picker, &[breaks, healthy, healthy]).calls(1000, ms(2400)).await;
        let failed: Vec<_> = ended.iter().filter(|end| end.verdict == Verdict::Failed).collect();
        assert!(failed.len() <= 10, "{picker}: {} calls failed", failed.len());
        // One that `peak-ewma` has left alone meanwhile, after a hiccup, fails when it is tried.
        let first = failed.first().map_or(ms(2000), |end| end.began);
        assert!(failed.iter().all(|end| end.began < first + ms(250)), "{picker}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_recovers_is_tried_by_single_calls_and_gets_its_share_back() {
    let mut run = Run::new(PickerKind::RoundRobin, &[recovers, healthy, healthy]);
    let ended = run.calls(1000, ms(25_000)).await;
    let failed = ended.iter().filter(|end| end.verdict == Verdict::Failed).count();
    assert!((5..=10).contains(&failed), "{failed}: five to find out, then one for each try");
    let (first, last) = ended.split_at(ended.len() * 4 / 5);
    let back = first.iter().find(|end| end.host == 0 && end.began >= ms(6000));
    assert!(back.is_some_and(|end| end.began < ms(12_000)), "it is tried at the latest after 8 s");
    assert!((share(last, 0) - 1.0 / 3.0).abs() < 0.02, "{}", share(last, 0));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_flaps_is_left_out_for_longer_each_time() {
    let mut run = Run::new(PickerKind::RoundRobin, &[flaps, healthy, healthy]);
    let ended = run.calls(500, ms(40_000)).await;
    let failed = ended.iter().filter(|end| end.verdict == Verdict::Failed).count();
    // Without ejection a sixth of the calls would.
    assert!(failed * 50 < ended.len(), "{failed} of {}", ended.len());
    assert!(share(&ended, 0) > 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_crawls_is_an_outlier_by_its_latency() {
    let mut run = Run::new(PickerKind::RoundRobin, &[crawls, healthy, healthy, healthy]);
    let ended = run.calls(400, ms(20_000)).await;
    // A quarter without ejection; with it, what it takes to find out, again and again.
    assert!(share(&ended, 0) < 0.05, "{}", share(&ended, 0));
}

#[tokio::test(start_paused = true)]
async fn when_every_host_fails_half_of_them_still_take_calls() {
    let fails: Behaviour = |_| (Verdict::Failed, ms(1));
    let ended = Run::new(PickerKind::RoundRobin, &[fails; 4]).calls(200, ms(3000)).await;
    let serving = (0..4).filter(|host| share(&ended, *host) > 0.2).count();
    assert!(ended.len() == 600 && serving >= 2, "{serving}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_leaves_nothing_behind() {
    let mut run = Run::new(PickerKind::LeastLoaded, &[healthy, healthy]);
    let seats: Vec<_> = (0..10).map(|_| run.begin(ms(0)).0).collect();
    assert_eq!(run.snapshot.endpoints("calc").iter().map(|it| it.in_flight()).sum::<u32>(), 10);
    drop(seats);
    assert_eq!(run.snapshot.endpoints("calc").iter().map(|it| it.in_flight()).sum::<u32>(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_a_call_costs_the_calls_of_another_service_nothing() {
    let mut run = Run::new(PickerKind::RoundRobin, &[healthy as Behaviour; 3]);
    let waiting = endpoint("seldom", 0).instance.id.clone();
    let (peers, at) = (Peers { count: 2, include: |_: &InstanceId| true }, run.balancer.moment());
    assert!(run.balancer.ejector.change(|core| core.eject(&waiting, None, peers, at)));
    advance(ms(10_000)).await;
    let mut set = || run.begin(ms(0)).0.terms.set.clone().expect("a first attempt is picked");
    assert!(Arc::ptr_eq(&set(), &set()), "computed anew for each call");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_called_any_more_keeps_no_old_snapshot() {
    let mut run = Run::new(PickerKind::RoundRobin, &[healthy as Behaviour; 3]);
    drop(run.begin(ms(0)));
    let old = Arc::downgrade(&run.snapshot);
    run.snapshot = Arc::default();
    assert!(old.upgrade().is_none());
}
