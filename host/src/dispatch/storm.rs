//! What follows from a storm of traps, besides the quarantine: word of it, and the way back from a
//! new version that trapped as soon as it served.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::breaker::{Change, News, Whose};
use crate::catalog::Catalog;
use crate::event::HostEvent;
use crate::plugin::Plugin;

/// Says what became of a plugin, and returns to the version before if that is called for.
pub(super) fn tell(
    catalog: &Catalog,
    events: &broadcast::Sender<HostEvent>,
    plugin: &Arc<Plugin>,
    news: News,
) {
    let (service, generation) = (plugin.service().clone(), plugin.generation());
    let caller = match &news.whose {
        Whose::Everybody => None,
        Whose::Caller(caller) => Some(caller.to_string()),
    };
    let short = generation.short();
    let event = match (news.change, &news.quarantine) {
        (Change::Quarantined { pause, .. }, Some(told)) => {
            let pause_ms = pause.as_millis();
            tracing::error!(%service, generation = short, pause_ms, "{told}");
            let reason = told.to_string();
            HostEvent::Quarantined { service, generation, caller, reason, pause }
        }
        _ => {
            tracing::info!(%service, generation = short, caller, "out of quarantine");
            HostEvent::Recovered { service, generation, caller }
        }
    };
    catalog.touch();
    // Nobody has to listen.
    let _ = events.send(event);
    give_up(catalog, events, plugin, &news);
}

/// Returns to the version before one that trapped as soon as it served, for whoever called it.
fn give_up(
    catalog: &Catalog,
    events: &broadcast::Sender<HostEvent>,
    plugin: &Arc<Plugin>,
    news: &News,
) {
    let Some(told) = news.quarantine.as_ref().filter(|_| news.is_all_there_is) else { return };
    let because = told.reason();
    let Some(done) = catalog.give_up(plugin, news.calls, &because) else { return };
    let (service, from, to) = (plugin.service().clone(), done.from, done.to);
    tracing::error!(%service, from = from.short(), to = to.short(), "rolled back: {because}");
    // Nobody has to listen.
    let _ = events.send(HostEvent::RolledBack { service, from, to, because: Some(because) });
}
