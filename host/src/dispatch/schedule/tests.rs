//! What holds of the schedule, whatever comes in whatever order.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { concurrency: 4, queue: 6 };
const SHARE: Share = Share { concurrency: 3, queue: 4 };

fn name(plugin: usize) -> Arc<str> {
    format!("plugin-{plugin}").into()
}

/// A schedule, and what its user knows.
struct Model {
    schedule: Schedule,
    /// Who waits, and for which plugin.
    waiting: BTreeMap<u64, usize>,
    running: Vec<usize>,
}

impl Model {
    fn new() -> Self {
        Self { schedule: Schedule::new(BOUNDS), waiting: BTreeMap::new(), running: Vec::new() }
    }

    fn enter(&mut self, plugin: usize) {
        match self.schedule.enter(&name(plugin), SHARE) {
            Entry::Run => self.running.push(plugin),
            Entry::Wait { ticket, displaced } => {
                self.waiting.insert(ticket.0, plugin);
                if let Some(displaced) = displaced {
                    self.waiting.remove(&displaced.0).expect("it waited");
                }
            }
            Entry::Full(Full::Host) => assert!(self.waiting.len() >= count(BOUNDS.queue)),
            Entry::Full(Full::Plugin) => assert!(self.waits(plugin) >= count(SHARE.queue)),
        }
        self.grant();
    }

    fn leave(&mut self, which: usize) {
        if self.running.is_empty() {
            return;
        }
        let plugin = self.running.swap_remove(which % self.running.len());
        self.schedule.leave(&name(plugin), Duration::from_millis(1));
        self.grant();
    }

    fn cancel(&mut self, which: usize) {
        let Some((&ticket, &plugin)) = self.waiting.iter().nth(which % 8) else { return };
        self.waiting.remove(&ticket);
        assert!(self.schedule.cancel(&name(plugin), Ticket(ticket)));
        assert!(!self.schedule.cancel(&name(plugin), Ticket(ticket)), "only once");
        self.grant();
    }

    fn grant(&mut self) {
        while let Some((of, ticket)) = self.schedule.grant() {
            let plugin = self.waiting.remove(&ticket.0).expect("nobody is granted a place twice");
            assert_eq!(of, name(plugin));
            let older = self.waiting.iter().find(|&(&other, &of)| of == plugin && other < ticket.0);
            assert_eq!(older, None, "first come, first served within a plugin");
            self.running.push(plugin);
        }
    }

    fn waits(&self, plugin: usize) -> usize {
        self.waiting.values().filter(|&&of| of == plugin).count()
    }

    fn runs(&self, plugin: usize) -> usize {
        self.running.iter().filter(|&&of| of == plugin).count()
    }

    fn check(&self) {
        let (running, waiting) = (self.schedule.running(), self.schedule.waiting());
        assert_eq!((count(running), count(waiting)), (self.running.len(), self.waiting.len()));
        assert!(running <= BOUNDS.concurrency && waiting <= BOUNDS.queue);
        for plugin in self.running.iter().chain(self.waiting.values()).collect::<HashSet<_>>() {
            assert!(self.runs(*plugin) <= count(SHARE.concurrency));
            assert!(self.waits(*plugin) <= count(SHARE.queue));
            let may_run = running < BOUNDS.concurrency && self.runs(*plugin) < 3;
            assert!(
                !(may_run && self.waits(*plugin) > 0),
                "a place is idle that somebody may have"
            );
        }
    }
}

proptest! {
    #[test]
    fn bounds_hold_and_no_place_is_idle_while_somebody_may_have_it(
        steps in proptest::collection::vec((0..4u8, 0..5usize), 1..300)
    ) {
        let mut model = Model::new();
        for (step, which) in steps {
            match step {
                0 | 1 => model.enter(which),
                2 => model.leave(which),
                _ => model.cancel(which),
            }
            model.check();
        }
        while !model.running.is_empty() {
            model.leave(0);
            model.check();
        }
        prop_assert_eq!(model.waiting.len(), 0, "whoever waits is served in the end");
    }

    #[test]
    fn a_plugin_is_served_however_much_another_one_asks(flood in 1..200usize) {
        let mut model = Model::new();
        for _ in 0..20 {
            model.enter(0);
        }
        model.enter(1);
        model.enter(1);
        for _ in 0..flood {
            model.enter(0);
            model.leave(0);
        }
        prop_assert_eq!(model.waits(1), 0);
    }
}

#[test]
fn a_free_place_goes_to_the_plugin_that_runs_the_fewest_calls() {
    let mut schedule = Schedule::new(Bounds { concurrency: 3, queue: 9 });
    let share = Share { concurrency: 3, queue: 9 };
    for _ in 0..3 {
        assert_eq!(schedule.enter(&name(0), share), Entry::Run);
    }
    let ticket = |entry| match entry {
        Entry::Wait { ticket, .. } => ticket,
        other => panic!("{other:?}"),
    };
    let mine = ticket(schedule.enter(&name(0), share));
    let first = ticket(schedule.enter(&name(1), share));
    let second = ticket(schedule.enter(&name(1), share));
    let mut granted = Vec::new();
    for _ in 0..3 {
        schedule.leave(&name(0), Duration::ZERO);
        granted.extend(schedule.grant().map(|(_, ticket)| ticket));
    }
    assert_eq!(granted, [first, mine, second], "2:0 run, then 1:1 of which the other was last");
}

#[test]
fn who_has_few_calls_in_a_full_queue_takes_the_room_of_who_has_many() {
    let mut schedule = Schedule::new(Bounds { concurrency: 1, queue: 3 });
    let share = Share { concurrency: 1, queue: 3 };
    assert_eq!(schedule.enter(&name(0), share), Entry::Run);
    let mut last = None;
    for _ in 0..3 {
        let Entry::Wait { ticket, .. } = schedule.enter(&name(0), share) else { panic!() };
        last = Some(ticket);
    }
    assert_eq!(schedule.enter(&name(0), share), Entry::Full(Full::Host));
    let Entry::Wait { displaced, .. } = schedule.enter(&name(1), share) else { panic!() };
    assert_eq!(displaced, last);
    assert_eq!(schedule.waiting(), 3);
}

#[test]
fn a_larger_share_is_used_at_once() {
    let mut schedule = Schedule::new(BOUNDS);
    let narrow = Share { concurrency: 1, queue: 4 };
    assert_eq!(schedule.enter(&name(0), narrow), Entry::Run);
    assert!(matches!(schedule.enter(&name(0), narrow), Entry::Wait { .. }));
    assert_eq!(schedule.grant(), None);
    assert!(matches!(schedule.enter(&name(0), SHARE), Entry::Wait { .. }));
    assert!(schedule.grant().is_some() && schedule.grant().is_some());
    assert_eq!(schedule.of(&name(0)), (3, 0));
}

#[test]
fn a_hint_follows_the_pace_of_calls_within_bounds() {
    let mut schedule = Schedule::new(Bounds { concurrency: 2, queue: 10 });
    let share = Share { concurrency: 2, queue: 10 };
    assert_eq!(schedule.retry_after("plugin-0"), UNKNOWN_WAIT);
    schedule.enter(&name(0), share);
    schedule.leave(&name(0), Duration::from_millis(100));
    assert_eq!(schedule.retry_after("plugin-0"), Duration::from_millis(50));
    for _ in 0..5 {
        schedule.enter(&name(0), share);
    }
    assert_eq!(schedule.retry_after("plugin-0"), Duration::from_millis(200));
    for _ in 0..100 {
        schedule.leave(&name(0), Duration::from_secs(60));
    }
    assert_eq!(schedule.retry_after("plugin-0"), MAX_WAIT);
    for _ in 0..200 {
        schedule.leave(&name(0), Duration::ZERO);
    }
    assert_eq!(schedule.retry_after("plugin-0"), MIN_WAIT);
}
