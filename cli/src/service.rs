//! `service`: how a service is called by those who do not say it themselves.

use std::time::Duration;

use jackfield_wire::registry::{Edit, ListQuery, ServiceEntry, ServicePatch, ServiceSettings};
use jackfield_wire::status::printable;
use jackfield_wire::{ServiceKey, ServiceName};

use crate::args::{Common, RegistryAddress, ServiceArgs, ServiceCommand, ServiceSetArgs, Setting};
use crate::operator::{refused, with_operator};
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;
use crate::{duration, json};

/// Shows, sets or unsets.
pub(crate) fn run(args: ServiceArgs, common: &Common, terminal: Terminal) -> Outcome {
    match args.command {
        ServiceCommand::Show(args) => {
            let entries = known(args.service, common, &args.registry)?;
            show(&entries, args.json, &terminal)
        }
        ServiceCommand::Set(args) => {
            let patch = patch(&args)?;
            change(patch, common, &args.registry, &terminal)
        }
        ServiceCommand::Unset(args) => {
            let patch = ServicePatch::new(key(&args.service, &args.registry));
            let patch = unset(patch, &args.settings);
            change(patch, common, &args.registry, &terminal)
        }
    }
}

fn key(service: &ServiceName, registry: &RegistryAddress) -> ServiceKey {
    ServiceKey { namespace: registry.namespace.clone(), service: service.clone() }
}

fn known(
    service: Option<ServiceName>,
    common: &Common,
    registry: &RegistryAddress,
) -> Outcome<Vec<ServiceEntry>> {
    let namespace = Some(registry.namespace.clone());
    let query = ListQuery { service, namespace, ..ListQuery::default() };
    with_operator(common, registry, async |operator| {
        let listing = operator.list(query).await.map_err(|error| refused(&error))?;
        Ok(listing.services)
    })
}

fn patch(args: &ServiceSetArgs) -> Outcome<ServicePatch> {
    let millis = |flag: &str, time: Option<Duration>| match time {
        None => Ok(Edit::Keep),
        Some(time) => u32::try_from(time.as_millis())
            .map(Edit::Set)
            .map_err(|_| Problem::usage(format!("{flag} {time:?} is too long"))),
    };
    let patch = ServicePatch {
        timeout_ms: millis("--timeout", args.timeout)?,
        max_retries: args.max_retries.map_or(Edit::Keep, Edit::Set),
        retry_delay_ms: millis("--retry-delay", args.retry_delay)?,
        retry_backoff: args.retry_backoff.map_or(Edit::Keep, Edit::Set),
        picker: args.picker.clone().map_or(Edit::Keep, Edit::Set),
        ..ServicePatch::new(key(&args.service, &args.registry))
    };
    if patch == ServicePatch::new(patch.key.clone()) {
        return Err(Problem::usage("nothing was set").next(
            "say what: --timeout TIME, --max-retries N, --retry-delay TIME, --retry-backoff \
             FACTOR, --picker NAME",
        ));
    }
    Ok(patch)
}

/// These, or all when none is named.
fn unset(mut patch: ServicePatch, settings: &[Setting]) -> ServicePatch {
    let wanted = |setting| settings.is_empty() || settings.contains(&setting);
    if wanted(Setting::Timeout) {
        patch.timeout_ms = Edit::Unset;
    }
    if wanted(Setting::MaxRetries) {
        patch.max_retries = Edit::Unset;
    }
    if wanted(Setting::RetryDelay) {
        patch.retry_delay_ms = Edit::Unset;
    }
    if wanted(Setting::RetryBackoff) {
        patch.retry_backoff = Edit::Unset;
    }
    if wanted(Setting::Picker) {
        patch.picker = Edit::Unset;
    }
    patch
}

fn change(
    patch: ServicePatch,
    common: &Common,
    registry: &RegistryAddress,
    terminal: &Terminal,
) -> Outcome {
    let key = patch.key.clone();
    let settings = with_operator(common, registry, async |operator| {
        operator.set_service(patch).await.map_err(|error| refused(&error))
    })?;
    Ok(terminal.out(printable(&format!("{key}: {}", words(&settings))))?)
}

fn show(entries: &[ServiceEntry], as_json: bool, terminal: &Terminal) -> Outcome {
    if as_json {
        let text = serde_json::to_string(entries)
            .map_err(|error| Problem::internal(format!("no JSON form: {error}")))?;
        return Ok(terminal.out(json::show(&text, terminal))?);
    }
    if entries.is_empty() {
        return Ok(terminal.err("nothing is set")?);
    }
    for entry in entries {
        terminal.out(printable(&format!("{}: {}", entry.key(), words(&entry.settings))))?;
    }
    Ok(())
}

/// Settings in a few words.
pub(crate) fn words(settings: &ServiceSettings) -> String {
    let time = |ms: u32| duration::show(Duration::from_millis(ms.into()));
    let said: Vec<String> = [
        settings.timeout_ms.map(|ms| format!("timeout {}", time(ms))),
        settings.max_retries.map(|retries| format!("max-retries {retries}")),
        settings.retry_delay_ms.map(|ms| format!("retry-delay {}", time(ms))),
        settings.retry_backoff.map(|factor| format!("retry-backoff {}", factor.get())),
        settings.picker.as_ref().map(|picker| format!("picker {picker}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if said.is_empty() { "nothing set".into() } else { said.join(", ") }
}
