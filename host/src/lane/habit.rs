//! What a plugin's calls take of the threads that serve, as far as it decides where the next one
//! starts. Pure.
//!
//! A call that holds a serving thread for longer than the others notice owes for it. What is owed
//! is paid off by time alone, slowly; while it is more than a few calls' worth, calls start in the
//! lane. So whatever guests do, and however many calls ask them to, a plugin holds a serving thread
//! for long during a two-hundredth of the time, and no short calls between make up for long ones.
//!
//! A connection is served by one thread, so calls that are usually no trifle start in the lane as
//! well: there they run beside each other, and the thread has time for the short ones.
//!
//! An instance with much memory can hold a thread for tens of milliseconds within one instruction.
//! Methods of plugins that have such instances start in the lane until they have shown that they
//! do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::stopwatch::Held;

/// What is known of a plugin as a whole.
#[derive(Debug)]
pub(crate) struct Conduct {
    habit: Habit,
    heavy: AtomicBool,
    turns: Arc<Semaphore>,
}

impl Conduct {
    pub(crate) fn new() -> Self {
        let turns = Arc::new(Semaphore::new(super::cores()));
        Self { habit: Habit::new(PLUGIN_CREDIT), heavy: AtomicBool::new(false), turns }
    }

    /// An instance holds this many bytes of memory.
    pub(crate) fn weighs(&self, memory: usize) {
        if memory > LIGHT {
            self.heavy.store(true, Ordering::Relaxed);
        }
    }

    /// Whether one has held much.
    pub(crate) fn is_heavy(&self) -> bool {
        self.heavy.load(Ordering::Relaxed)
    }

    /// The right to compute in the lane: for so many of its calls at the same time.
    pub(super) fn turns(&self) -> &Arc<Semaphore> {
        &self.turns
    }
}

/// Whose work it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) plugin: &'a Conduct,
    /// `None` when it is work of several methods.
    pub(crate) method: Option<&'a Habit>,
}

impl<'a> Who<'a> {
    /// Whether its work may be on a serving thread now.
    pub(super) fn may_serve(self, now: Instant) -> bool {
        let owes = self.habits().any(|habit| habit.owes(now));
        let proven = || self.method.is_some_and(Habit::is_proven);
        let is_trifle = self.method.is_none_or(Habit::is_trifle);
        !owes && is_trifle && (!self.plugin.is_heavy() || proven())
    }

    /// Whether the time that it holds threads is to be measured closely.
    pub(super) fn is_watched(self, now: Instant) -> bool {
        self.plugin.habit.is_watched(now)
    }

    /// It held a serving thread.
    pub(super) fn held(self, now: Instant, held: Held) {
        if let Some(method) = self.method {
            method.took(held.wall);
        }
        if held.wall > UNNOTICED {
            self.habits().for_each(|habit| habit.held(now, held));
        }
    }

    /// A call has ended in the lane.
    pub(super) fn ended_there(self, longest: Duration) {
        if let Some(method) = self.method {
            method.took(longest);
            method.showed(longest <= UNNOTICED);
        }
    }

    fn habits(self) -> impl Iterator<Item = &'a Habit> {
        [Some(&self.plugin.habit), self.method].into_iter().flatten()
    }
}

/// What the calls of a method, or all of a plugin's, are like.
#[derive(Debug)]
pub(crate) struct Habit {
    born: Instant,
    /// What may be owed, as the time that it takes to pay it.
    credit: Duration,
    /// When all is paid that is owed. This and the next in microseconds since it was born.
    paid: AtomicU64,
    /// Until when calls are watched.
    watched: AtomicU64,
    /// Calls in a row that held no thread of the lane for long, up to [`PROOF`].
    proof: AtomicU8,
    /// For how long one holds a thread without a break, as an average that forgets; in nanoseconds.
    usual: AtomicU64,
}

impl Habit {
    /// That of a method nothing is known of.
    pub(crate) fn of_method() -> Self {
        Self::new(METHOD_CREDIT)
    }

    fn new(credit: Duration) -> Self {
        // Of strangers everything is measured.
        let watched = AtomicU64::new(micros(WATCH));
        Self {
            born: Instant::now(),
            credit,
            paid: AtomicU64::new(0),
            watched,
            proof: AtomicU8::new(0),
            usual: AtomicU64::new(0),
        }
    }

    /// One held a thread for so long.
    fn took(&self, time: Duration) {
        // Longer ones may have waited for a core; those that did not are long in two or three calls.
        let time = u64::try_from(time.min(UNNOTICED).as_nanos()).unwrap_or(u64::MAX);
        // Two that end at once may count as one.
        let usual = self.usual.load(Ordering::Relaxed);
        self.usual.store(usual - usual / MEMORY + time / MEMORY, Ordering::Relaxed);
    }

    fn is_trifle(&self) -> bool {
        self.usual.load(Ordering::Relaxed) <= TRIFLE
    }

    fn owes(&self, now: Instant) -> bool {
        let paid = self.paid.load(Ordering::Relaxed);
        paid > 0 && paid > self.at(now) + micros(self.credit)
    }

    fn is_watched(&self, now: Instant) -> bool {
        self.watched.load(Ordering::Relaxed) > self.at(now)
    }

    fn held(&self, now: Instant, held: Held) {
        let at = self.at(now);
        self.watched.store(at + micros(WATCH), Ordering::Relaxed);
        // Unless it was watched nobody knows whether it computed, or the system had no core for it.
        let beyond = held.computed.unwrap_or_default().saturating_sub(UNNOTICED);
        if beyond > Duration::ZERO {
            let owed = micros(beyond).saturating_mul(SHARE);
            let most = at + micros(MOST);
            let add = |paid: u64| Some(paid.max(at).saturating_add(owed).min(most));
            // It always has a value.
            let _ = self.paid.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
            self.showed(false);
        }
    }

    fn showed(&self, short: bool) {
        // Two that end at once may count as one.
        let proof = self.proof.load(Ordering::Relaxed);
        let next = if short { proof.saturating_add(1).min(PROOF) } else { 0 };
        if next != proof {
            self.proof.store(next, Ordering::Relaxed);
        }
    }

    fn is_proven(&self) -> bool {
        self.proof.load(Ordering::Relaxed) >= PROOF
    }

    fn at(&self, now: Instant) -> u64 {
        micros(now.saturating_duration_since(self.born))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX / 2)
}

/// A thread that is held no longer than this is not missed: a call waits as long for other reasons.
const UNNOTICED: Duration = Duration::from_micros(500);

/// Nanoseconds of a call for which it does not pay to go to another thread, which costs some
/// fifteen microseconds.
const TRIFLE: u64 = 150_000;

/// Calls after which an average has half forgotten the ones before, about.
const MEMORY: u64 = 8;

/// What is held beyond that is paid off in so many times its length.
const SHARE: u64 = 200;

/// Five milliseconds of a thread: some four calls that compute for long.
const METHOD_CREDIT: Duration = Duration::from_secs(1);

/// A plugin has as much as four of its methods, or those of thousands would add up.
const PLUGIN_CREDIT: Duration = Duration::from_secs(4);

/// Nothing is held against a plugin for longer.
const MOST: Duration = Duration::from_secs(30);

/// How long calls are watched after one that took long. Watching costs half a microsecond.
const WATCH: Duration = Duration::from_secs(10);

/// Calls in a row that are no accident.
const PROOF: u8 = 4;

/// Bytes of memory that one instruction goes over in less than two milliseconds, the first time
/// included, when the system has yet to find the pages.
const LIGHT: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_nanos(TRIFLE);

    fn who<'a>(plugin: &'a Conduct, method: &'a Habit) -> Who<'a> {
        Who { plugin, method: Some(method) }
    }

    fn held(time: Duration) -> Held {
        Held { wall: time, computed: Some(time) }
    }

    #[test]
    fn long_calls_are_sent_away_and_only_time_brings_them_back() {
        let (plugin, method) = (Conduct::new(), Habit::of_method());
        let (who, now) = (who(&plugin, &method), Instant::now());
        for _ in 0..1000 {
            who.held(now, held(SHORT));
        }
        assert!(who.may_serve(now), "short ones owe nothing");
        who.held(now, held(Duration::from_millis(30)));
        assert!(!who.may_serve(now));
        for _ in 0..1000 {
            who.held(now, held(Duration::ZERO));
            who.ended_there(Duration::ZERO);
        }
        assert!(!who.may_serve(now), "short ones make up for nothing");
        assert!(!who.may_serve(now + Duration::from_secs(4)));
        assert!(who.may_serve(now + Duration::from_secs(6)));
    }

    #[test]
    fn a_plugin_holds_threads_for_a_two_hundredth_of_the_time_however_many_methods_it_has() {
        let plugin = Conduct::new();
        let methods: Vec<_> = (0..1000).map(|_| Habit::of_method()).collect();
        let (start, step) = (Instant::now(), Duration::from_millis(2));
        let (mut now, mut total) = (start, Duration::ZERO);
        for method in methods.iter().cycle().take(100_000) {
            now += step;
            if who(&plugin, method).may_serve(now) {
                who(&plugin, method).held(now, held(step));
                total += step - UNNOTICED;
            }
        }
        let share = (now - start) / u32::try_from(SHARE).unwrap();
        let credit = PLUGIN_CREDIT / u32::try_from(SHARE).unwrap() + step;
        assert!(total <= share + credit, "{total:?} of {:?}", now - start);
        assert!(total >= share - step, "and no less: {total:?}");
    }

    #[test]
    fn who_only_waited_for_a_core_owes_nothing_and_is_watched() {
        let (plugin, method) = (Conduct::new(), Habit::of_method());
        let (who, later) = (who(&plugin, &method), Instant::now() + 2 * WATCH);
        assert!(!who.is_watched(later));
        who.held(later, Held { wall: Duration::from_secs(1), computed: None });
        assert!(who.may_serve(later) && who.is_watched(later));
        let computed = Some(Duration::from_micros(20));
        who.held(later, Held { wall: Duration::from_secs(1), computed });
        assert!(who.may_serve(later));
    }

    #[test]
    fn methods_of_heavy_instances_have_to_show_that_they_are_short() {
        let (plugin, method) = (Conduct::new(), Habit::of_method());
        let (who, now) = (who(&plugin, &method), Instant::now());
        plugin.weighs(LIGHT);
        assert!(who.may_serve(now));
        plugin.weighs(LIGHT + 1);
        for _ in 1..PROOF {
            who.ended_there(Duration::ZERO);
        }
        who.ended_there(2 * UNNOTICED);
        for _ in 0..PROOF {
            assert!(!who.may_serve(now));
            who.ended_there(SHORT);
        }
        assert!(who.may_serve(now));
        who.held(now, held(Duration::from_micros(501)));
        assert!(!who.may_serve(now), "it is to be shown again");
    }

    #[test]
    fn calls_that_are_no_trifle_start_in_the_lane_until_they_are_short() {
        let (plugin, method, other) = (Conduct::new(), Habit::of_method(), Habit::of_method());
        let (medium, now) = (Duration::from_micros(400), Instant::now());
        let who = who(&plugin, &method);
        who.held(now, held(UNNOTICED));
        assert!(who.may_serve(now), "once is an accident");
        (0..10).for_each(|_| who.held(now, held(medium)));
        assert!(!who.may_serve(now));
        assert!(Who { method: Some(&other), ..who }.may_serve(now), "others are not like it");
        (0..20).for_each(|_| who.ended_there(medium));
        assert!(!who.may_serve(now));
        (0..20).for_each(|_| who.ended_there(Duration::from_micros(20)));
        assert!(who.may_serve(now));
    }

    #[test]
    fn nothing_is_held_against_anybody_for_ever() {
        let (plugin, method) = (Conduct::new(), Habit::of_method());
        let (who, now) = (who(&plugin, &method), Instant::now());
        who.held(now, held(Duration::MAX));
        assert!(!who.may_serve(now));
        assert!(who.may_serve(now + MOST));
    }
}
