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
    /// Bytes of linear memory that one instance may hold, all its memories together. Default
    /// 128 MiB. Memory is paid for when a guest touches it, up to this times `concurrency`.
    pub memory: usize,
    /// Elements that one table of an instance may hold. Default 100,000 (8 bytes each).
    pub table_elements: usize,
    /// Core instances within one component instance. Default 200: a Python plugin has about 50.
    pub core_instances: u32,
    /// Linear memories within one component instance. Default 8.
    pub memories: u32,
    /// Tables within one component instance. Default 32.
    pub tables: u32,
    /// Bytes of native stack for one guest's frames. Default 512 KiB: deeper recursion traps.
    pub stack: usize,
    /// Handles that one instance may hold, the guest's and the host's each. Default 10,000.
    pub handles: usize,
    /// Bytes that one crossing between guest and host may make the host allocate. Default 64 MiB;
    /// a dynamic value takes about 40 bytes, so this bounds results of about 1.6 million values.
    pub hostcall_bytes: usize,
    /// Bytes of one result as JSON. Default 16 MiB, the longest that the wire protocol takes.
    pub result: usize,
    /// Time for a call whose caller names no deadline. Default 10 s.
    pub deadline: Duration,
    /// The longest deadline that a caller gets. Default 60 s.
    pub deadline_cap: Duration,
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
    /// Bytes of a plugin's file. Default 64 MiB; a Python plugin has 18 MB.
    pub plugin_file: u64,
    /// Plugins of one folder. Default 256, as many as a registry takes from one host.
    pub plugins: usize,
    /// Bytes per second of a plugin's output that reach the log. Default 64 KiB; the rest is
    /// counted and dropped.
    pub log_rate: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            memory: 128 << 20,
            table_elements: 100_000,
            core_instances: 200,
            memories: 8,
            tables: 32,
            stack: 512 << 10,
            handles: 10_000,
            hostcall_bytes: 64 << 20,
            result: 16 << 20,
            deadline: Duration::from_secs(10),
            deadline_cap: Duration::from_secs(60),
            request_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(60),
            concurrency: 128,
            queue: 1024,
            plugin_file: 64 << 20,
            plugins: 256,
            log_rate: 64 << 10,
        }
    }
}

impl HostLimits {
    /// What a caller that names `asked` gets.
    pub(crate) fn deadline_for(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.deadline).min(self.deadline_cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_the_callers_up_to_the_cap_and_the_default_without_one() {
        let limits = HostLimits::default();
        let seconds = Duration::from_secs;
        assert_eq!(limits.deadline_for(None), seconds(10));
        assert_eq!(limits.deadline_for(Some(seconds(2))), seconds(2));
        assert_eq!(limits.deadline_for(Some(seconds(3600))), seconds(60));
    }
}
