//! The `[limits]` of a manifest and of a host's settings: each key, its range and why.

use std::time::Duration;

use jackfield_settings::{Item, Place, Range, Table};

use crate::limits::LONGEST;

/// A value and where the text gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given<T> {
    /// What is given.
    pub value: T,
    /// The place of its key.
    pub place: Place,
}

/// Limits that a text gives; what it does not give is as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitOverrides {
    /// `memory`
    pub memory: Option<Given<usize>>,
    /// `table-elements`
    pub table_elements: Option<Given<usize>>,
    /// `stack`: what a plugin needs; every plugin gets the host's.
    pub stack: Option<Given<usize>>,
    /// `handles`
    pub handles: Option<Given<usize>>,
    /// `hostcall-bytes`
    pub hostcall_bytes: Option<Given<usize>>,
    /// `arguments`
    pub arguments: Option<Given<usize>>,
    /// `result`
    pub result: Option<Given<usize>>,
    /// `deadline`
    pub deadline: Option<Given<Duration>>,
    /// `deadline-cap`
    pub deadline_cap: Option<Given<Duration>>,
    /// `concurrency`
    pub concurrency: Option<Given<u32>>,
    /// `queue`
    pub queue: Option<Given<u32>>,
    /// `log-rate`
    pub log_rate: Option<Given<usize>>,
}

impl LimitOverrides {
    /// `[limits]` of a manifest.
    pub(super) fn of_manifest(table: &Table<'_>) -> Self {
        let stack = size(table, "stack", &STACK);
        Self { stack, ..Self::of_defaults(table) }
    }

    /// `[plugins.limits]` of a host's settings, where the stack is the host's.
    pub(super) fn of_defaults(table: &Table<'_>) -> Self {
        let deadline = duration(table, "deadline", &DEADLINE);
        Self { deadline, ..Self::of_maximum(table) }
    }

    /// `[plugins.maximum]`, where the cap says it of deadlines.
    pub(super) fn of_maximum(table: &Table<'_>) -> Self {
        Self {
            memory: size(table, "memory", &MEMORY),
            table_elements: number(table, "table-elements", &TABLE_ELEMENTS),
            stack: None,
            handles: number(table, "handles", &HANDLES),
            hostcall_bytes: size(table, "hostcall-bytes", &HOSTCALL_BYTES),
            arguments: size(table, "arguments", &ARGUMENTS),
            result: size(table, "result", &RESULT),
            deadline: None,
            deadline_cap: duration(table, "deadline-cap", &DEADLINE),
            concurrency: number(table, "concurrency", &CONCURRENCY),
            queue: number(table, "queue", &QUEUE),
            log_rate: size(table, "log-rate", &LOG_RATE),
        }
    }
}

pub(super) fn size(table: &Table<'_>, key: &str, range: &Range) -> Option<Given<usize>> {
    given(table, key, |item| usize::try_from(item.size(range)?).ok())
}

pub(super) fn duration(table: &Table<'_>, key: &str, range: &Range) -> Option<Given<Duration>> {
    given(table, key, |item| item.duration(range))
}

pub(super) fn number<T: TryFrom<u64>>(
    table: &Table<'_>,
    key: &str,
    range: &Range,
) -> Option<Given<T>> {
    given(table, key, |item| T::try_from(item.number(range)?).ok())
}

fn given<T>(
    table: &Table<'_>,
    key: &str,
    read: impl FnOnce(&Item<'_>) -> Option<T>,
) -> Option<Given<T>> {
    let item = table.get(key)?;
    Some(Given { value: read(&item)?, place: item.place() })
}

const MEMORY: Range = Range {
    of: 64 << 10..=4 << 30,
    why: "a wasm page has 64 KiB, and 32-bit addresses end at 4 GiB",
};

const TABLE_ELEMENTS: Range = Range {
    of: 1..=10_000_000,
    why: "a component needs at least one, and ten million take 80 MB for each call",
};

pub(super) const STACK: Range = Range {
    of: 64 << 10..=16 << 20,
    why: "with less, ordinary code traps; each call reserves it and more",
};

const HANDLES: Range = Range {
    of: 8..=1_000_000,
    why: "a standard library opens some itself, and a million take about 100 MB of the host's",
};

const HOSTCALL_BYTES: Range = Range {
    of: 64 << 10..=1 << 30,
    why: "standard libraries write 4 KiB at once, and the host holds this much for each call",
};

const ARGUMENTS: Range =
    Range { of: 2..=8 << 20, why: "`[]` has two bytes, and the wire protocol takes no more" };

const RESULT: Range =
    Range { of: 2..=16 << 20, why: "`[]` has two bytes, and the wire protocol takes no more" };

pub(super) const DEADLINE: Range = Range {
    of: 1..=LONGEST.as_secs() * 1000,
    why: "no call ends in less than a millisecond for certain, and none is waited for longer than \
          a day",
};

pub(super) const CONCURRENCY: Range = Range {
    of: 1..=10_000,
    why: "none could be called with less, and each place reserves some GiB of addresses",
};

pub(super) const QUEUE: Range =
    Range { of: 0..=1_000_000, why: "each call that waits holds its arguments in memory" };

const LOG_RATE: Range =
    Range { of: 0..=1 << 30, why: "with 0 nothing is logged; it counts bytes per second" };
