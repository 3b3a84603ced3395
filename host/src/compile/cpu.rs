//! Gives way to those who serve: lowers the priority of what compiles.

/// Lowers the priority of this whole process.
pub(super) fn lower_priority_of_process() {
    // It compiles at the ordinary priority then.
    let _ = rustix::process::nice(LOWER);
}

/// Lowers the priority of this thread, where priorities are those of threads.
pub(super) fn lower_priority_of_thread() {
    #[cfg(target_os = "linux")]
    lower_priority_of_process();
}

/// Threads for a child to compile on: half of the cores, so that the others serve.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// On a busy core a thread with this much lower a priority gets about a tenth of one that serves.
const LOWER: i32 = 10;
