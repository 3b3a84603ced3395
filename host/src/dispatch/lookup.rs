//! Finds what a call names, or says what there is instead.

use std::sync::Arc;

use jackfield_wire::ty::nearest;
use jackfield_wire::{Failure, ServiceName, Status};

use crate::catalog::{NoWayBack, Snapshot};
use crate::plugin::{Method, Plugin};

/// The plugin that serves `service`.
pub(super) fn plugin<'s>(
    snapshot: &'s Snapshot,
    service: &str,
) -> Result<&'s Arc<Plugin>, Failure> {
    snapshot.plugin(service).ok_or_else(|| no_service(snapshot, service))
}

/// Where `plugin` has the method that `name` means.
pub(super) fn method(plugin: &Plugin, name: &str) -> Result<usize, Failure> {
    plugin.method(name).ok_or_else(|| not_found(no_method(plugin, name)))
}

/// What somebody is told who wants to return to a version that is not there.
pub(super) fn no_way_back(snapshot: &Snapshot, service: &ServiceName, no: NoWayBack) -> Failure {
    match no {
        NoWayBack::NotServed => no_service(snapshot, service.as_str()),
        NoWayBack::OnlyOne(generation) => not_found(format!(
            "{service} cannot be rolled back: generation {} is the only one that this host has \
             served since it started",
            generation.short()
        )),
    }
}

fn no_service(snapshot: &Snapshot, service: &str) -> Failure {
    if let Some(rejected) = snapshot.rejection_of(service) {
        let text = format!(
            "{service:?} does not serve because {} was rejected: {}",
            rejected.file, rejected.reason
        );
        return not_found(text);
    }
    not_found(nothing_called("service", service, snapshot.names().collect()))
}

/// What a caller is told who asks for `name` where there are only `names`.
pub(super) fn nothing_called(what: &str, name: &str, names: Vec<&str>) -> String {
    let mut text = format!("no {what} {:?} here", shortened(name));
    if let Some(near) = nearest(name, names.iter().copied()) {
        text.push_str(&format!(", did you mean {near:?}?"));
    }
    match names.len() {
        0 => text.push_str("; there is none at all"),
        count => {
            let shown = names.iter().take(MAX_NAMES).copied().collect::<Vec<_>>().join(", ");
            text.push_str(&format!("; there is: {shown}"));
            if count > MAX_NAMES {
                text.push_str(&format!(" and {} more", count - MAX_NAMES));
            }
        }
    }
    text
}

fn no_method(plugin: &Plugin, name: &str) -> String {
    let service = plugin.service();
    if let Some(refused) = plugin.refused(name) {
        return format!("{service}.{} cannot be called: {}", refused.name, refused.reason);
    }
    let same_short_name = |method: &&Method| {
        let qualified = &method.info().qualified;
        qualified.rsplit_once('#').is_some_and(|(_, short)| short == name)
    };
    let several: Vec<_> = plugin.methods().iter().filter(same_short_name).collect();
    if !several.is_empty() {
        let names: Vec<_> = several.iter().map(|method| &*method.info().qualified).collect();
        return format!("several interfaces of {service} have {name:?}: {}", names.join(", "));
    }
    let shown = plugin.methods().iter().map(Method::info).filter(|info| !info.hidden);
    let names = shown.map(|info| info.name.as_str()).collect();
    format!("{service}: {}", nothing_called("method", name, names))
}

pub(super) fn not_found(text: String) -> Failure {
    Failure::not_executed(Status::NotFound, text)
}

fn shortened(name: &str) -> String {
    name.chars().take(MAX_SHOWN).collect()
}

/// Names listed in one message.
const MAX_NAMES: usize = 20;

/// Characters shown of a name that somebody else chose.
const MAX_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_gets_the_nearest_and_the_list() {
        let text = nothing_called("service", "clac", vec!["calc", "greeter"]);
        assert_eq!(
            text,
            "no service \"clac\" here, did you mean \"calc\"?; there is: calc, greeter"
        );
        assert!(nothing_called("service", "x", vec![]).ends_with("there is none at all"));
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<_> = (0..50).map(|n| format!("service-{n}")).collect();
        let text = nothing_called("service", "x", names.iter().map(String::as_str).collect());
        assert!(text.ends_with("and 30 more"), "{text}");
    }
}
