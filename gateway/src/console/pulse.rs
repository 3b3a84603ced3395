//! What hosts say of their work, once a second while somebody looks.

use std::time::Duration;

use jackfield_client::{HostAnswer, Origin, RegistryFailure, RegistryLink};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Console;
use super::figures::{Figures, Heard, Told};

/// One second, as it is sent.
#[derive(Serialize)]
struct Pulse<'p> {
    /// `null` for a gateway of a single host.
    registry: Option<Value>,
    /// Where what is known of services comes from.
    origin: &'static str,
    #[serde(flatten)]
    told: Told<'p>,
}

impl Console {
    /// Asks hosts and publishes what they say. Never ends.
    pub(super) async fn tell_pulse(&self) {
        let mut figures = Figures::default();
        let mut ticks = interval(EVERY);
        // A pass that is late is not made up for: hosts would be asked without a pause.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answers = self.client.stats(WITHIN).await;
            figures.heard(Instant::now().into_std(), answers.into_iter().map(heard));
            self.publish_pulse(&figures);
        }
    }

    fn publish_pulse(&self, figures: &Figures) {
        let pulse = Pulse {
            registry: self.client.registry_link().map(|link| shown(&link)),
            origin: origin(self.client.snapshot().origin()),
            told: figures.told(),
        };
        match serde_json::to_string(&pulse) {
            Ok(data) => {
                let event = format!("event: pulse\ndata: {data}\n\n");
                self.pulse.send_replace(Some(event.into()));
            }
            // Only a map whose keys are no strings has no JSON form, and nothing here has one.
            Err(error) => tracing::error!(%error, "figures have no JSON form"),
        }
    }
}

fn heard(answer: HostAnswer) -> Heard {
    Heard {
        // Only a single host that was never reached has no name.
        host: answer.host.unwrap_or_default(),
        address: answer.address,
        report: answer.report.map_err(|error| error.to_string()),
    }
}

fn shown(link: &RegistryLink) -> Value {
    let failure = |failure: &RegistryFailure| json!({ "registry": failure.registry, "message": failure.message });
    let failures: Vec<Value> = link.failures.iter().map(failure).collect();
    json!({ "connected": link.connected, "failures": failures })
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Nothing => "nothing",
        Origin::Disk => "disk",
        Origin::Gathering => "gathering",
        Origin::Registry => "registry",
    }
}

const EVERY: Duration = Duration::from_secs(1);

/// For a host to answer: one that takes longer has a second without figures, and nobody waits.
const WITHIN: Duration = Duration::from_millis(900);
