//! What to do about a folder, decided from looks at it and the time: no file, clock or task here.
//!
//! A file is acted on when it was renamed into place, or when it has kept still for
//! [`STILL`]. One load runs at a time; of several files that wait, the one that was not tried for
//! longest goes first, of new ones the newest, of those that came together the smallest: neither a
//! file that is written over and over again nor one that takes half a minute to compile keeps the
//! others out. A file that is gone is withdrawn at the next look.
//!
//! A newer version ends the load of an older one, which nobody needs any more; but not time after
//! time, or a file that changes faster than it loads would never have a new version.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What tells one version of a plugin from the next without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) component: FileStamp,
    pub(super) manifest: Option<FileStamp>,
}

/// What tells one content of a file from the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileStamp {
    pub(super) size: u64,
    pub(super) modified: (i64, i64),
    /// Also moves when the modification time was set by hand, as `cp -p` does.
    pub(super) changed: (i64, i64),
    /// The inode: another one after a rename into place.
    pub(super) file: u64,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Read, compile and serve this file, then say [`Folder::finished`].
    Load(String),
    /// This file is gone.
    Withdraw(String),
    /// End the load under way: what it loads is of the past.
    Abandon,
}

/// A folder as it is known. Times are since any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Folder {
    files: BTreeMap<String, State>,
    /// Renamed into place since the last look.
    moved: BTreeSet<String>,
    loading: Option<Loading>,
    looked: bool,
}

/// What is being loaded.
#[derive(Debug)]
struct Loading {
    name: String,
    /// As it was when the load began.
    stamp: Stamp,
}

/// How a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The file was read whole, and had this stamp; whether its content serves is another matter.
    Read(Stamp),
    /// It is not a file that can be read.
    Refused,
    /// There are as many plugins as may be: to be tried again when one goes.
    NoRoom,
    /// It was changing, or gone: to be tried again once it keeps still.
    Changing,
    /// The host could not, which is not the file's fault: to be tried again after a while.
    Unable,
    /// The same, and it may be the file's fault after all: to be tried again some times.
    Killed,
}

#[derive(Clone, Copy, Debug)]
struct State {
    stamp: Stamp,
    /// Since when it has had this stamp.
    since: Duration,
    /// Nothing more to wait for.
    settled: bool,
    /// The stamp that was loaded, or refused.
    done: Option<Stamp>,
    /// When it was last tried.
    tried: Option<Duration>,
    /// It was refused for want of room.
    waits_for_room: bool,
    /// When to try again what could not be done.
    again: Option<Duration>,
    /// Loads in a row that a newer version ended.
    abandoned: u32,
    /// Loads of this stamp that somebody else ended.
    killed: u32,
}

impl State {
    fn due_at(&self) -> Option<Duration> {
        match self.done {
            Some(done) if done == self.stamp => self.again,
            _ if self.settled => Some(Duration::ZERO),
            _ => Some(self.since + STILL),
        }
    }
}

/// A file as a look shows it.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) name: String,
    pub(super) stamp: Stamp,
    /// Time since its last change. Believed at the first look alone, where nothing else tells
    /// whether somebody is still writing.
    pub(super) age: Duration,
}

impl Folder {
    /// A file was renamed into place: its content was complete before it had its name.
    pub(super) fn moved_in(&mut self, name: String) {
        self.moved.insert(name);
    }

    /// Takes a look at the whole folder; gives the withdrawals that follow from it.
    pub(super) fn look(&mut self, now: Duration, looks: Vec<Look>) -> Vec<Action> {
        let first = !std::mem::replace(&mut self.looked, true);
        let moved = std::mem::take(&mut self.moved);
        let mut before = std::mem::take(&mut self.files);
        for look in looks {
            let known = before.remove(&look.name);
            let settled = moved.contains(&look.name) || first && look.age >= STILL;
            let state = match known {
                Some(state) if state.stamp == look.stamp => {
                    State { settled: state.settled || settled, ..state }
                }
                known => State {
                    stamp: look.stamp,
                    since: now,
                    settled,
                    done: known.and_then(|state| state.done),
                    tried: known.and_then(|state| state.tried),
                    waits_for_room: false,
                    again: None,
                    abandoned: known.map_or(0, |state| state.abandoned),
                    killed: 0,
                },
            };
            self.files.insert(look.name, state);
        }
        if !before.is_empty() {
            self.make_room();
        }
        let abandoned = self.abandon().map(|()| Action::Abandon);
        abandoned.into_iter().chain(before.into_keys().map(Action::Withdraw)).collect()
    }

    /// Ends a load whose file is gone, or has a newer version.
    fn abandon(&mut self) -> Option<()> {
        let loading = self.loading.as_ref()?;
        if let Some(state) = self.files.get_mut(&loading.name) {
            if state.stamp == loading.stamp || state.abandoned >= MAX_ABANDONED {
                return None;
            }
            state.abandoned += 1;
        }
        self.loading = None;
        Some(())
    }

    /// Those that found no room are tried again: a file went, or holds another service now.
    pub(super) fn make_room(&mut self) {
        for state in self.files.values_mut().filter(|state| state.waits_for_room) {
            (state.done, state.waits_for_room) = (None, false);
        }
    }

    /// The load to start now, if any. It runs until [`Self::finished`].
    pub(super) fn next_load(&mut self, now: Duration) -> Option<Action> {
        if self.loading.is_some() {
            return None;
        }
        let due = |state: &State| state.due_at().is_some_and(|at| at <= now);
        let (name, state) =
            self.files.iter_mut().filter(|(_, state)| due(state)).min_by_key(|(_, state)| {
                (state.tried, Reverse(state.since), state.stamp.component.size)
            })?;
        state.tried = Some(now);
        self.loading = Some(Loading { name: name.clone(), stamp: state.stamp });
        Some(Action::Load(name.clone()))
    }

    /// The load that was started has ended. Says whether that still matters.
    pub(super) fn finished(&mut self, now: Duration, ended: Ended) -> bool {
        let Some(Loading { name, stamp }) = self.loading.take() else { return false };
        let Some(state) = self.files.get_mut(&name) else { return false };
        (state.again, state.abandoned) = (None, 0);
        match ended {
            Ended::Read(stamp) => state.done = Some(stamp),
            Ended::Refused => state.done = Some(stamp),
            Ended::NoRoom => (state.done, state.waits_for_room) = (Some(stamp), true),
            Ended::Changing => (state.since, state.settled) = (now, false),
            Ended::Unable => (state.done, state.again) = (Some(stamp), Some(now + RETRY)),
            Ended::Killed => {
                let pause = RETRY * 2_u32.pow(state.killed.min(MAX_KILLED));
                state.again = (state.killed < MAX_KILLED).then_some(now + pause);
                state.done = Some(stamp);
                state.killed += 1;
            }
        }
        true
    }

    /// When a file will be due that is not yet, if nothing happens to it.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        if self.loading.is_some() {
            return None;
        }
        self.files.values().filter_map(State::due_at).min()
    }

    /// Whether every file that was ever seen has been dealt with.
    pub(super) fn has_looked(&self) -> bool {
        self.looked
    }

    /// Whether nothing is left to do.
    pub(super) fn is_settled(&self) -> bool {
        self.looked
            && self.loading.is_none()
            && self.files.values().all(|state| state.done == Some(state.stamp))
    }
}

/// How long a file that was not renamed into place must keep still. A copy over a slow network
/// pauses less than this; a person who waits for the new version notices little.
pub(super) const STILL: Duration = Duration::from_millis(200);

/// Time until the host tries again what it could not: a process that it could not start, say.
const RETRY: Duration = Duration::from_secs(5);

/// How often a load is tried again that somebody else killed, each time after twice the time: a file
/// whose compilation takes a machine's memory would have other programs killed as well.
const MAX_KILLED: u32 = 4;

/// Loads of one file in a row that newer versions may end; the next one goes on to its end.
const MAX_ABANDONED: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn sized(size: u64) -> Stamp {
        let component = FileStamp { size, ..FileStamp::default() };
        Stamp { component, manifest: None }
    }

    fn look(name: &str, size: u64) -> Look {
        Look { name: name.into(), stamp: sized(size), age: Duration::ZERO }
    }

    fn stamp(size: u64) -> Ended {
        Ended::Read(sized(size))
    }

    fn load(name: &str) -> Option<Action> {
        Some(Action::Load(name.into()))
    }

    #[test]
    fn a_file_that_grows_is_left_alone_until_it_keeps_still() {
        let mut folder = Folder::default();
        for step in 0..10 {
            folder.look(100 * step * MS, vec![look("a.wasm", u64::from(step))]);
            assert_eq!(folder.next_load(100 * step * MS), None);
        }
        assert_eq!(folder.wake_at(), Some(1100 * MS));
        folder.look(1100 * MS, vec![look("a.wasm", 9)]);
        assert_eq!(folder.next_load(1100 * MS), load("a.wasm"));
    }

    #[test]
    fn a_rename_into_place_is_acted_on_at_once() {
        let mut folder = Folder::default();
        folder.look(MS, vec![]);
        folder.moved_in("a.wasm".into());
        folder.look(MS, vec![look("a.wasm", 1)]);
        assert_eq!(folder.next_load(MS), load("a.wasm"));
    }

    #[test]
    fn files_that_were_there_before_the_host_wait_for_nothing() {
        let mut folder = Folder::default();
        folder.look(MS, vec![Look { age: STILL, ..look("old.wasm", 1) }, look("new.wasm", 1)]);
        assert_eq!(folder.next_load(MS), load("old.wasm"));
        folder.finished(MS, stamp(1));
        assert_eq!(folder.next_load(MS), None);
        assert!(!folder.is_settled());
    }

    #[test]
    fn one_load_at_a_time_and_the_newest_file_first() {
        let mut folder = Folder::default();
        folder.look(MS, vec![look("a.wasm", 1)]);
        folder.look(2 * MS, vec![look("a.wasm", 1), look("b.wasm", 1)]);
        let later = 300 * MS;
        assert_eq!(folder.next_load(later), load("b.wasm"));
        assert_eq!(folder.next_load(later), None);
        assert!(folder.finished(later, stamp(1)));
        assert_eq!(folder.next_load(later), load("a.wasm"));
        assert!(folder.finished(later, stamp(1)));
        assert!(folder.is_settled());
        assert_eq!(folder.next_load(later), None);
    }

    #[test]
    fn of_files_that_come_together_the_smallest_goes_first() {
        let mut folder = Folder::default();
        folder.look(MS, vec![look("a.wasm", 18 << 20), look("b.wasm", 24 << 10)]);
        assert_eq!(folder.next_load(300 * MS), load("b.wasm"));
    }

    #[test]
    fn a_file_that_changed_while_it_was_loaded_is_loaded_again() {
        let mut folder = Folder::default();
        folder.look(MS, vec![look("a.wasm", 1)]);
        assert_eq!(folder.next_load(300 * MS), load("a.wasm"));
        assert_eq!(folder.look(310 * MS, vec![look("a.wasm", 2)]), [Action::Abandon]);
        assert_eq!(folder.next_load(320 * MS), None);
        assert_eq!(folder.next_load(600 * MS), load("a.wasm"));
        assert!(folder.finished(610 * MS, stamp(2)));
        assert!(folder.is_settled());
    }

    #[test]
    fn of_a_file_that_changes_faster_than_it_loads_a_version_serves_now_and_then() {
        let mut folder = Folder::default();
        folder.look(MS, vec![]);
        let mut ended = Vec::new();
        for size in 1..=9 {
            let now = 10 * MS * u32::try_from(size).unwrap();
            folder.moved_in("a.wasm".into());
            let abandoned = !folder.look(now, vec![look("a.wasm", size)]).is_empty();
            if !abandoned && size > 1 {
                assert!(folder.finished(now, stamp(size - 1)));
                ended.push(size - 1);
            }
            assert_eq!(folder.next_load(now), load("a.wasm"));
        }
        assert_eq!(ended, [4, 8]);
    }

    #[test]
    fn what_the_host_could_not_do_is_tried_again_and_nobody_waits_for_it() {
        let mut folder = Folder::default();
        folder.look(MS, vec![Look { age: STILL, ..look("a.wasm", 1) }]);
        folder.next_load(MS);
        folder.finished(2 * MS, Ended::Unable);
        assert!(folder.is_settled());
        assert_eq!(folder.next_load(3 * MS), None);
        assert_eq!(folder.wake_at(), Some(2 * MS + RETRY));
        assert_eq!(folder.next_load(2 * MS + RETRY), load("a.wasm"));
        assert!(folder.finished(3 * MS + RETRY, stamp(1)));
        assert_eq!(folder.wake_at(), None);
    }

    #[test]
    fn a_file_that_was_read_while_it_changed_is_tried_again_later() {
        let mut folder = Folder::default();
        folder.look(MS, vec![look("a.wasm", 1)]);
        assert_eq!(folder.next_load(300 * MS), load("a.wasm"));
        assert!(folder.finished(300 * MS, Ended::Changing));
        assert_eq!(folder.next_load(300 * MS), None);
        assert_eq!(folder.next_load(300 * MS + STILL), load("a.wasm"));
    }

    #[test]
    fn a_file_that_is_gone_is_withdrawn_and_what_was_loading_of_it_does_not_serve() {
        let mut folder = Folder::default();
        folder.look(MS, vec![look("a.wasm", 1)]);
        assert_eq!(folder.next_load(300 * MS), load("a.wasm"));
        let actions = folder.look(310 * MS, vec![]);
        assert_eq!(actions, [Action::Abandon, Action::Withdraw("a.wasm".into())]);
        assert!(!folder.finished(320 * MS, stamp(1)));
        assert!(folder.is_settled());
    }

    #[test]
    fn a_file_that_was_gone_while_it_was_loaded_is_loaded_again_though_it_is_the_same() {
        let mut folder = Folder::default();
        folder.look(MS, vec![look("a.wasm", 1)]);
        assert_eq!(folder.next_load(300 * MS), load("a.wasm"));
        folder.look(310 * MS, vec![]);
        folder.look(320 * MS, vec![look("a.wasm", 1)]);
        assert!(!folder.finished(330 * MS, stamp(1)));
        assert_eq!(folder.next_load(520 * MS), load("a.wasm"));
        assert!(folder.finished(530 * MS, stamp(1)));
    }

    #[test]
    fn a_file_that_never_rests_does_not_keep_another_one_out() {
        let mut folder = Folder::default();
        folder.look(MS, vec![]);
        folder.moved_in("storm.wasm".into());
        folder.look(2 * MS, vec![look("storm.wasm", 1), look("calm.wasm", 1)]);
        for size in 2..4 {
            let now = 1000 * MS * u32::try_from(size).unwrap();
            folder.moved_in("storm.wasm".into());
            folder.look(now, vec![look("storm.wasm", size), look("calm.wasm", 1)]);
            let expected = if size == 2 { "storm.wasm" } else { "calm.wasm" };
            assert_eq!(folder.next_load(now), load(expected));
            folder.finished(now, stamp(size - 1));
        }
    }

    #[test]
    fn a_load_that_is_killed_is_tried_again_some_times_and_after_a_change() {
        let mut folder = Folder::default();
        folder.look(MS, vec![look("a.wasm", 1)]);
        let mut now = 300 * MS;
        for seconds in [5, 10, 20, 40] {
            assert_eq!(folder.next_load(now), load("a.wasm"));
            assert!(folder.finished(now, Ended::Killed));
            assert!(folder.is_settled());
            let then = now + seconds * 1000 * MS;
            assert_eq!(folder.next_load(then - MS), None);
            now = then;
        }
        assert_eq!(folder.next_load(now), load("a.wasm"));
        folder.finished(now, Ended::Killed);
        assert_eq!(folder.wake_at(), None);
        folder.look(now, vec![look("a.wasm", 2)]);
        assert_eq!(folder.next_load(now + STILL), load("a.wasm"));
    }

    #[test]
    fn a_file_without_room_is_tried_again_when_another_one_goes() {
        let mut folder = Folder::default();
        let old = |name| Look { age: STILL, ..look(name, 1) };
        folder.look(MS, vec![old("a.wasm"), old("b.wasm")]);
        assert_eq!(folder.next_load(MS), load("a.wasm"));
        folder.finished(MS, stamp(1));
        assert_eq!(folder.next_load(MS), load("b.wasm"));
        folder.finished(MS, Ended::NoRoom);
        assert!(folder.is_settled());
        folder.look(2 * MS, vec![look("b.wasm", 1)]);
        assert_eq!(folder.next_load(2 * MS), load("b.wasm"));
    }

    #[test]
    fn a_touched_file_is_looked_into_again() {
        let mut folder = Folder::default();
        folder.look(MS, vec![look("a.wasm", 1)]);
        folder.next_load(300 * MS);
        folder.finished(300 * MS, stamp(1));
        let component = FileStamp { size: 1, modified: (9, 9), ..FileStamp::default() };
        let touched = Stamp { component, manifest: None };
        folder.look(400 * MS, vec![Look { stamp: touched, ..look("a.wasm", 1) }]);
        assert_eq!(folder.wake_at(), Some(600 * MS));
    }

    #[test]
    fn a_manifest_that_comes_changes_or_goes_is_a_change_of_its_plugin() {
        let mut folder = Folder::default();
        folder.look(MS, vec![Look { age: STILL, ..look("a.wasm", 1) }]);
        folder.next_load(MS);
        folder.finished(MS, stamp(1));
        for (step, manifest) in [Some(1), Some(2), None].into_iter().enumerate() {
            let now = 1000 * MS * (1 + u32::try_from(step).unwrap());
            let manifest = manifest.map(|size| FileStamp { size, ..FileStamp::default() });
            let changed = Stamp { manifest, ..sized(1) };
            folder.moved_in("a.wasm".into());
            folder.look(now, vec![Look { stamp: changed, ..look("a.wasm", 1) }]);
            assert_eq!(folder.next_load(now), load("a.wasm"));
            folder.finished(now, Ended::Read(changed));
            assert!(folder.is_settled());
        }
    }
}
