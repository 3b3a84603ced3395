//! Registries: whether each answers, and who it is.

use std::time::{Duration, Instant};

use jackfield_transport::{
    CloseCode, DialError, Dialer, Identity, Protocol, Role, StateDir, TransportLimits, chain,
};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::finding::{Finding, Level};
use crate::args::{Common, DEFAULT_REGISTRY};

pub(super) async fn look(
    places: &[String],
    common: &Common,
    state: Option<&StateDir>,
) -> Vec<Finding> {
    let identity = match (&common.identity, state) {
        (Some(dir), _) => Identity::from_dir(dir).ok(),
        (None, Some(state)) => Identity::local(state, Role::Client, "doctor").ok(),
        (None, None) => None,
    };
    let Some(identity) = identity else {
        let what = "registries were not asked: without an identity nobody answers";
        return vec![Finding::warn(ABOUT, what).mend("mend the identity first, see above")];
    };
    let dialer = match Dialer::new(&identity, Protocol::Registry, TransportLimits::default()) {
        Ok(dialer) => dialer,
        Err(error) => return vec![Finding::fail(ABOUT, chain(&error))],
    };
    let mut all = Vec::new();
    for place in places {
        all.push(ask(place, &dialer).await);
    }
    // One of several is enough to go on, and nobody may have meant to run the default one.
    let some = all.iter().any(|finding| finding.level == Level::Ok);
    if some || places.iter().map(String::as_str).eq([DEFAULT_REGISTRY]) {
        for finding in all.iter_mut().filter(|finding| finding.level == Level::Fail) {
            finding.level = Level::Warn;
        }
    }
    all
}

async fn ask(place: &str, dialer: &Dialer) -> Finding {
    let found = timeout(PATIENCE, lookup_host(place)).await;
    let addresses = match found {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => return no_name(place, &error.to_string()),
        Err(_) => return no_name(place, &format!("no answer in {PATIENCE:?}")),
    };
    let mut last = no_name(place, "it has no address");
    for address in addresses {
        let start = Instant::now();
        match timeout(PATIENCE, dialer.dial(address, Role::Registry)).await {
            Ok(Ok(connection)) => {
                let id = connection.peer().id.clone();
                let took = start.elapsed().as_secs_f64() * 1000.0;
                let what = format!("{place} is {id}, reached in {took:.1} ms");
                connection.close(CloseCode::Done);
                return Finding::ok(ABOUT, what);
            }
            Ok(Err(error)) => last = refused(place, &error),
            Err(_) => last = silent(place, address.port()),
        }
    }
    last
}

fn no_name(place: &str, why: &str) -> Finding {
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    Finding::fail(ABOUT, format!("{place} cannot be looked up: {why}"))
        .mend(format!("getent hosts {host}"))
}

fn refused(place: &str, error: &DialError) -> Finding {
    let finding = Finding::fail(ABOUT, format!("{place}: {}", chain(error)));
    match error {
        DialError::NobodyListens(address) => finding.mend(format!(
            "start it there: jackfield registry -l {} -p {}",
            address.ip(),
            address.port()
        )),
        DialError::NoAnswer(address) => blocked(finding, address.port()),
        _ => finding.mend("see whom it trusts, on its machine: jackfield doctor --identity DIR"),
    }
}

fn silent(place: &str, port: u16) -> Finding {
    blocked(Finding::fail(ABOUT, format!("{place} did not answer in {PATIENCE:?}")), port)
}

fn blocked(finding: Finding, port: u16) -> Finding {
    finding
        .mend(format!("on its machine: ss -lunp 'sport = :{port}'"))
        .mend(format!("let UDP through, as in: sudo ufw allow {port}/udp"))
}

const ABOUT: &str = "registry";

/// More than a busy network needs, less than a person waits.
const PATIENCE: Duration = Duration::from_secs(3);
