//! Word to the service manager, where one started the process (`Type=notify`): ready, stopping, and
//! that the process still turns, as often as it asks for that (`WatchdogSec`). Nothing otherwise.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// The process does its work.
pub(crate) fn ready(status: &str) {
    say(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The process takes its leave; it has not failed.
pub(crate) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// Says twice in each time that the manager grants that the runtime turns, until `stop`.
pub(crate) async fn watchdog(every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every / 2);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        say(&[NotifyState::Watchdog]);
    }
}

/// How often it wants to hear; `None` when it does not.
pub(crate) fn watchdog_time() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|time| !time.is_zero())
}

fn say(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
