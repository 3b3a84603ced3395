//! Who runs next: places on the host shared fairly between plugins, and bounded queues. Pure.
//!
//! A place that becomes free goes to the plugin that waits and runs the fewest calls, of equals to
//! the one that was served longest ago. So no place is idle while a call that may have it waits,
//! a plugin with long calls cannot crowd out one with short calls, and whoever waits is served:
//! the calls before it end at their deadlines at the latest.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What all plugins may use together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Calls that run.
    pub(super) concurrency: u32,
    /// Calls that wait.
    pub(super) queue: u32,
}

/// What one plugin may use of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Calls that run.
    pub(super) concurrency: u32,
    /// Calls that wait.
    pub(super) queue: u32,
}

/// A call that waits. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// What becomes of a call that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It runs, and has to [`leave`](Schedule::leave).
    Run,
    /// It waits. The call `displaced` waits no longer: the queue was full, and its plugin had the
    /// most calls there.
    Wait { ticket: Ticket, displaced: Option<Ticket> },
    /// There is no room for it.
    Full(Full),
}

/// What is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Host,
    Plugin,
}

/// The places, and who waits for one.
#[derive(Debug)]
pub(super) struct Schedule {
    bounds: Bounds,
    running: u32,
    waiting: u32,
    plugins: HashMap<Arc<str>, Tenant>,
    /// Counts tickets and grants.
    clock: u64,
    pace: Pace,
}

#[derive(Debug, Default)]
struct Tenant {
    most: u32,
    running: u32,
    /// The oldest first.
    waiting: VecDeque<Ticket>,
    /// When it got its last place.
    served: u64,
    pace: Pace,
}

impl Tenant {
    fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting.is_empty()
    }

    fn may_run_one_more(&self) -> bool {
        self.running < self.most
    }

    fn start(&mut self, now: u64) {
        self.running += 1;
        self.served = now;
    }
}

/// How long calls hold their place, as a moving mean.
#[derive(Clone, Copy, Debug, Default)]
struct Pace(Option<Duration>);

impl Pace {
    fn took(&mut self, held: Duration) {
        self.0 = Some(self.0.map_or(held, |mean| (mean * 7 + held) / 8));
    }

    /// When a call may find a place that has `ahead` others before it and `places` to run in.
    fn wait(self, ahead: usize, places: u32) -> Duration {
        let Some(mean) = self.0 else { return UNKNOWN_WAIT };
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        (mean.saturating_mul(ahead.saturating_add(1)) / places.max(1)).clamp(MIN_WAIT, MAX_WAIT)
    }
}

impl Schedule {
    pub(super) fn new(bounds: Bounds) -> Self {
        let plugins = HashMap::new();
        Self { bounds, running: 0, waiting: 0, plugins, clock: 0, pace: Pace::default() }
    }

    /// A call of `plugin` comes, which has `share` from now on.
    pub(super) fn enter(&mut self, plugin: &Arc<str>, share: Share) -> Entry {
        self.make_room_for(plugin);
        self.clock += 1;
        let now = self.clock;
        let host_is_full = self.running >= self.bounds.concurrency;
        let tenant = self.plugins.entry(Arc::clone(plugin)).or_default();
        tenant.most = share.concurrency;
        if !host_is_full && tenant.waiting.is_empty() && tenant.may_run_one_more() {
            tenant.start(now);
            self.running += 1;
            return Entry::Run;
        }
        let (mine, ticket) = (tenant.waiting.len(), Ticket(now));
        let no_room = self.waiting >= self.bounds.queue;
        if mine >= count(share.queue) {
            return Entry::Full(if no_room { Full::Host } else { Full::Plugin });
        }
        let displaced = if no_room { self.displace(mine) } else { None };
        if no_room && displaced.is_none() {
            return Entry::Full(Full::Host);
        }
        self.plugins.entry(Arc::clone(plugin)).or_default().waiting.push_back(ticket);
        self.waiting += 1;
        Entry::Wait { ticket, displaced }
    }

    /// A call of `plugin` that ran has ended; it held its place for this long.
    pub(super) fn leave(&mut self, plugin: &str, held: Duration) {
        let Some(tenant) = self.plugins.get_mut(plugin) else { return };
        tenant.running = tenant.running.saturating_sub(1);
        tenant.pace.took(held);
        self.running = self.running.saturating_sub(1);
        self.pace.took(held);
    }

    /// Gives a place to a call that waits, which then runs; `None` when no place or nobody is left.
    /// To be asked again until then, after each [`leave`](Self::leave) and each call that waits.
    pub(super) fn grant(&mut self) -> Option<(Arc<str>, Ticket)> {
        if self.running >= self.bounds.concurrency || self.waiting == 0 {
            return None;
        }
        let all = self.plugins.iter_mut();
        let waiting = all.filter(|(_, t)| !t.waiting.is_empty() && t.may_run_one_more());
        let (plugin, tenant) = waiting.min_by_key(|(_, t)| (t.running, t.served))?;
        let ticket = tenant.waiting.pop_front()?;
        self.clock += 1;
        tenant.start(self.clock);
        self.running += 1;
        self.waiting -= 1;
        Some((Arc::clone(plugin), ticket))
    }

    /// A call of `plugin` that waited goes away. Says whether it still waited.
    pub(super) fn cancel(&mut self, plugin: &str, ticket: Ticket) -> bool {
        let Some(tenant) = self.plugins.get_mut(plugin) else { return false };
        let Ok(place) = tenant.waiting.binary_search(&ticket) else { return false };
        tenant.waiting.remove(place);
        self.waiting -= 1;
        true
    }

    /// When a call of `plugin` that was turned away may find a place.
    pub(super) fn retry_after(&self, plugin: &str) -> Duration {
        let host = self.pace.wait(count(self.waiting), self.bounds.concurrency);
        let of_plugin = |t: &Tenant| t.pace.wait(t.waiting.len(), t.most);
        self.plugins.get(plugin).map(of_plugin).map_or(host, |wait| wait.max(host))
    }

    pub(super) fn running(&self) -> u32 {
        self.running
    }

    pub(super) fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Calls of `plugin` that run, and that wait.
    pub(super) fn of(&self, plugin: &str) -> (u32, u32) {
        let numbers = |t: &Tenant| (t.running, u32::try_from(t.waiting.len()).unwrap_or(u32::MAX));
        self.plugins.get(plugin).map_or((0, 0), numbers)
    }

    /// Takes the last waiting call of the plugin with the most, if it has at least two more than
    /// the `mine` of the plugin that wants its room.
    fn displace(&mut self, mine: usize) -> Option<Ticket> {
        let most = self.plugins.values_mut().max_by_key(|tenant| tenant.waiting.len())?;
        if most.waiting.len() < mine + 2 {
            return None;
        }
        self.waiting -= 1;
        most.waiting.pop_back()
    }

    /// Forgets plugins without calls when there are many: services come and go.
    fn make_room_for(&mut self, plugin: &str) {
        if self.plugins.len() >= MAX_KNOWN && !self.plugins.contains_key(plugin) {
            self.plugins.retain(|_, tenant| !tenant.is_idle());
        }
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Plugins remembered without calls, for the sake of their pace.
const MAX_KNOWN: usize = 4096;

/// What a caller is told before any call has ended: a few small calls' time.
const UNKNOWN_WAIT: Duration = Duration::from_millis(50);

/// Sooner would be a busy loop of callers.
const MIN_WAIT: Duration = Duration::from_millis(10);

/// Later than this an estimate says nothing: another host or a restart is likelier.
const MAX_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
