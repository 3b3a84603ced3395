//! What a plugin, a call and a caller may use of a host: every limit, its default and its cost.
//!
//! All of them hold without being asked for, and each is named in the error that it causes.

use std::time::Duration;

/// The limits of one host.
///
/// Absent settings mean the default everywhere; no value turns a limit off.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HostLimits {
    /// What each plugin gets whose manifest asks for nothing else.
    pub plugin: PluginLimits,
    /// The most that a manifest may ask for. A limit of `plugin` that is higher counts instead.
    /// Default eight times the memory, ten times the table elements and handles, four times what
    /// crosses at once, deadlines of 10 minutes, logs of 1 MiB/s, and else the same.
    pub maximum: PluginLimits,
    /// Core instances within one component instance. Default 200: a Python plugin has about 50.
    pub core_instances: u32,
    /// Linear memories within one component instance. Default 8.
    pub memories: u32,
    /// Tables within one component instance. Default 32.
    pub tables: u32,
    /// Bytes of native stack for one guest's frames. Default 512 KiB: deeper recursion traps.
    pub stack: usize,
    /// Time from the start of a stream until its request is whole. Default 10 s: a caller that
    /// sends a byte a second holds a stream no longer than this.
    pub request_timeout: Duration,
    /// Time for a caller to take its answer. Default 60 s: a caller that reads 16 MiB at 280 KB/s
    /// just makes it, and one that does not read gives the host its memory back.
    pub answer_timeout: Duration,
    /// Calls that run guests at the same time. Default 128. The instance pool is sized from it:
    /// about 8 GiB of address space each, no memory until used.
    pub concurrency: u32,
    /// Calls that wait for one of those to end. Default 1,024; beyond it a call is answered
    /// `resource-exhausted` at once.
    pub queue: u32,
    /// How long a call waits for its turn. Default 1 s: by then another host is the better place,
    /// and a caller that would wait longer can ask again. It is answered `resource-exhausted`.
    pub queue_time: Duration,
    /// Instances kept between calls, of all plugins that ask for it together. Default 256, of which
    /// at most half are kept for speed alone. Each has a place in the instance pool besides those
    /// of running calls, and the memory that its plugin has touched.
    pub idle_instances: u32,
    /// Bytes of a plugin's file. Default 64 MiB; a Python plugin has 18 MB.
    pub plugin_file: u64,
    /// CPU time for compiling one plugin in a child process, of all its threads. Default 30 s, in
    /// steps of a second; it may take four times as long by the clock, for it gives way to calls.
    pub compile_time: Duration,
    /// Bytes of address space of that process. Default 2 GiB.
    pub compile_memory: u64,
    /// Bytes of one plugin's compiled code, which stays in the host's memory. Default 256 MiB: it
    /// has about four times as many as the file.
    pub compiled_code: u64,
    /// Plugins of one folder. Default 256, as many as a registry takes from one host.
    pub plugins: usize,
}

/// The limits of one plugin.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PluginLimits {
    /// Bytes of linear memory that one instance may hold, all its memories together. Default
    /// 128 MiB. Memory is paid for when a guest touches it, up to this times `concurrency`.
    pub memory: usize,
    /// Elements that one table of an instance may hold. Default 100,000 (8 bytes each).
    pub table_elements: usize,
    /// Handles that one instance may hold, the guest's and the host's each. Default 10,000.
    pub handles: usize,
    /// Bytes that one crossing between guest and host may make the host allocate. Default 64 MiB;
    /// a dynamic value takes about 40 bytes, so this bounds results of about 1.6 million values.
    pub hostcall_bytes: usize,
    /// Bytes of one call's arguments as JSON, those by position and by name together. Default
    /// 8 MiB, twice the longest frame of each that the wire protocol takes.
    pub arguments: usize,
    /// Bytes of one result as JSON. Default 16 MiB, the longest that the wire protocol takes.
    pub result: usize,
    /// Time for a call whose caller names no deadline. Default 10 s.
    pub deadline: Duration,
    /// The longest deadline that a caller gets. Default 60 s.
    pub deadline_cap: Duration,
    /// Calls of the plugin that run at the same time. Default three quarters of those that the host
    /// runs, rounded up: however busy one plugin is, the others find a place.
    pub concurrency: u32,
    /// Calls of the plugin that wait for their turn. Default half of those that wait on the host,
    /// rounded up.
    pub queue: u32,
    /// Bytes per second of its output that reach the log. Default 64 KiB; the rest is counted and
    /// dropped.
    pub log_rate: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            plugin: PluginLimits::default(),
            maximum: PluginLimits::most(),
            core_instances: 200,
            memories: 8,
            tables: 32,
            stack: 512 << 10,
            request_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(60),
            concurrency: 128,
            queue: 1024,
            queue_time: Duration::from_secs(1),
            idle_instances: 256,
            plugin_file: 64 << 20,
            compile_time: Duration::from_secs(30),
            compile_memory: 2 << 30,
            compiled_code: 256 << 20,
            plugins: 256,
        }
    }
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory: 128 << 20,
            table_elements: 100_000,
            handles: 10_000,
            hostcall_bytes: 64 << 20,
            arguments: 8 << 20,
            result: 16 << 20,
            deadline: Duration::from_secs(10),
            deadline_cap: Duration::from_secs(60),
            concurrency: SHARE,
            queue: SHARE,
            log_rate: 64 << 10,
        }
    }
}

/// A limit with which nothing would work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{name}` is {value}; it must be {range}")]
pub struct LimitError {
    name: &'static str,
    value: String,
    range: &'static str,
}

impl HostLimits {
    /// Refuses what no host can run with, which a settings file cannot say either: no time at all,
    /// times longer than a day, which no clock adds up to, and no place for a call.
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        let times = [
            ("request_timeout", self.request_timeout),
            ("answer_timeout", self.answer_timeout),
            ("queue_time", self.queue_time),
            ("compile_time", self.compile_time),
            ("plugin.deadline", self.plugin.deadline),
            ("plugin.deadline_cap", self.plugin.deadline_cap),
            ("maximum.deadline", self.maximum.deadline),
            ("maximum.deadline_cap", self.maximum.deadline_cap),
        ];
        for (name, time) in times {
            if time.is_zero() || time > LONGEST {
                let (value, range) = (format!("{time:?}"), "more than nothing and a day at most");
                return Err(LimitError { name, value, range });
            }
        }
        let places = [
            ("concurrency", self.concurrency),
            ("plugin.concurrency", self.plugin.concurrency),
            ("core_instances", self.core_instances),
        ];
        match places.into_iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(LimitError { name, value: "0".into(), range: "1 at least" }),
            None => Ok(()),
        }
    }

    /// What a plugin gets that asks for nothing.
    pub fn plugin_defaults(&self) -> PluginLimits {
        let mut limits = self.plugin.clone();
        if limits.concurrency == SHARE {
            limits.concurrency = self.concurrency - self.concurrency / 4;
        }
        if limits.queue == SHARE {
            limits.queue = self.queue.div_ceil(2);
        }
        limits.within(self)
    }

    /// The most that a plugin may ask for.
    pub fn plugin_maximum(&self) -> PluginLimits {
        let (most, usual) = (&self.maximum, &self.plugin);
        let all = PluginLimits {
            memory: most.memory.max(usual.memory),
            table_elements: most.table_elements.max(usual.table_elements),
            handles: most.handles.max(usual.handles),
            hostcall_bytes: most.hostcall_bytes.max(usual.hostcall_bytes),
            arguments: most.arguments.max(usual.arguments),
            result: most.result.max(usual.result),
            deadline: most.deadline.max(usual.deadline),
            deadline_cap: most.deadline_cap.max(usual.deadline_cap),
            concurrency: most.concurrency.max(usual.concurrency),
            queue: most.queue.max(usual.queue),
            log_rate: most.log_rate.max(usual.log_rate),
        };
        all.within(self)
    }
}

impl PluginLimits {
    /// What a caller that names `asked` gets.
    pub(crate) fn deadline_for(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.deadline).min(self.deadline_cap)
    }

    fn most() -> Self {
        Self {
            memory: 1 << 30,
            table_elements: 1_000_000,
            handles: 100_000,
            hostcall_bytes: 256 << 20,
            deadline_cap: Duration::from_secs(600),
            log_rate: 1 << 20,
            ..Self::default()
        }
    }

    /// No more calls than `host` runs and lets wait.
    fn within(mut self, host: &HostLimits) -> Self {
        self.concurrency = self.concurrency.min(host.concurrency);
        self.queue = self.queue.min(host.queue);
        self
    }
}

/// As long as anything may take that is waited for.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Stands for the usual share of what the host has, as nobody has that many calls.
const SHARE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_the_callers_up_to_the_cap_and_the_default_without_one() {
        let limits = PluginLimits::default();
        let seconds = Duration::from_secs;
        assert_eq!(limits.deadline_for(None), seconds(10));
        assert_eq!(limits.deadline_for(Some(seconds(2))), seconds(2));
        assert_eq!(limits.deadline_for(Some(seconds(3600))), seconds(60));
    }

    #[test]
    fn limits_that_nothing_works_with_are_refused_by_name() {
        assert_eq!(HostLimits::default().check(), Ok(()));
        let endless = HostLimits { queue_time: Duration::MAX, ..HostLimits::default() };
        let error = endless.check().unwrap_err().to_string();
        assert!(error.contains("`queue_time`") && error.contains("a day"), "{error}");
        let mut never = HostLimits::default();
        never.maximum.deadline_cap = Duration::ZERO;
        assert!(never.check().unwrap_err().to_string().contains("`maximum.deadline_cap`"));
        let none = HostLimits { concurrency: 0, ..HostLimits::default() };
        assert!(none.check().unwrap_err().to_string().contains("1 at least"));
    }

    #[test]
    fn no_plugin_runs_more_calls_than_its_host() {
        let host = HostLimits { concurrency: 7, queue: 3, ..HostLimits::default() };
        let (usual, most) = (host.plugin_defaults(), host.plugin_maximum());
        assert_eq!((usual.concurrency, usual.queue), (6, 2));
        assert_eq!((most.concurrency, most.queue), (7, 3));
    }
}
