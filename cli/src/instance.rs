//! `instance`: what is known of one, and orders about it.

use std::time::Duration;

use jackfield_wire::registry::{Edit, Instance, InstancePatch, Override};
use jackfield_wire::status::printable;

use crate::args::{Common, InstanceArgs, InstanceCommand, InstanceSetArgs};
use crate::exit::Exit;
use crate::operator::{find, id, refused, with_operator};
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;
use crate::{duration, json};

/// Shows, sets or unsets.
pub(crate) fn run(args: InstanceArgs, common: &Common, terminal: Terminal) -> Outcome {
    match args.command {
        InstanceCommand::Show(args) => {
            let id = id(&args.instance, &args.registry)?;
            let found =
                with_operator(common, &args.registry, async |operator| find(operator, &id).await)?;
            let none = || {
                Problem::new(Exit::NotFound, format!("there is no instance {id}"))
                    .next("see what there is: jackfield ls")
            };
            let instance = found.ok_or_else(none)?;
            show(&instance, args.json, &terminal)
        }
        InstanceCommand::Set(args) => {
            let patch = patch(&args)?;
            order(patch, common, &args.registry, &terminal)
        }
        InstanceCommand::Unset(args) => {
            let patch = InstancePatch {
                disabled: Some(false),
                drain: Some(false),
                weight: Edit::Unset,
                note: Edit::Unset,
                ..InstancePatch::new(id(&args.instance, &args.registry)?)
            };
            order(patch, common, &args.registry, &terminal)
        }
    }
}

fn patch(args: &InstanceSetArgs) -> Outcome<InstancePatch> {
    let switch = |on: bool, off: bool| (on || off).then_some(on);
    let patch = InstancePatch {
        disabled: switch(args.disable, args.enable),
        drain: switch(args.drain, args.undrain),
        weight: args.weight.map_or(Edit::Keep, Edit::Set),
        note: match args.note.as_deref() {
            None => Edit::Keep,
            Some("") => Edit::Unset,
            Some(note) => Edit::Set(note.to_owned()),
        },
        ..InstancePatch::new(id(&args.instance, &args.registry)?)
    };
    if patch == InstancePatch::new(patch.id.clone()) {
        return Err(Problem::usage("nothing was ordered")
            .next("say what: --disable, --enable, --drain, --undrain, --weight N, --note TEXT"));
    }
    Ok(patch)
}

fn order(
    patch: InstancePatch,
    common: &Common,
    registry: &crate::args::RegistryAddress,
    terminal: &Terminal,
) -> Outcome {
    let id = patch.id.clone();
    let order = with_operator(common, registry, async |operator| {
        operator.set_instance(patch).await.map_err(|error| refused(&error))
    })?;
    Ok(terminal.out(printable(&format!("{id}: {}", words(&order))))?)
}

/// An order in a few words.
pub(crate) fn words(order: &Override) -> String {
    let weight = order.weight.map(|weight| format!("weight {weight}"));
    let note = order.note.as_ref().map(|note| format!("note {note:?}"));
    let said: Vec<String> = [
        order.disabled.then(|| "disabled".to_owned()),
        order.drain.then(|| "drained".to_owned()),
        weight,
        note,
    ]
    .into_iter()
    .flatten()
    .collect();
    if said.is_empty() { "nothing ordered".into() } else { said.join(", ") }
}

fn show(instance: &Instance, as_json: bool, terminal: &Terminal) -> Outcome {
    if as_json {
        let text = serde_json::to_string(instance)
            .map_err(|error| Problem::internal(format!("no JSON form: {error}")))?;
        return Ok(terminal.out(json::show(&text, terminal))?);
    }
    for (name, value) in fields(instance) {
        terminal.out(printable(&format!("{name:<10} {value}")))?;
    }
    Ok(())
}

fn fields(instance: &Instance) -> Vec<(&'static str, String)> {
    let heard = instance
        .last_heartbeat_ms
        .map(|ms| format!("{} ago", duration::show(Duration::from_millis(ms.into()))));
    let kind = match instance.kind {
        jackfield_wire::registry::Kind::Plugin => "plugin",
        jackfield_wire::registry::Kind::Endpoint => "outside endpoint",
    };
    let enabled = if instance.enabled { "yes" } else { "no" };
    let mut fields = vec![
        ("instance", Some(instance.id.to_string())),
        ("address", Some(instance.address.clone())),
        ("kind", Some(kind.into())),
        ("health", Some(instance.health.name().into())),
        ("heartbeat", if instance.check_healthy { heard } else { Some("not checked".into()) }),
        ("enabled", Some(enabled.into())),
        ("weight", Some(instance.weight.to_string())),
        ("version", instance.version.clone()),
        ("zone", instance.zone.clone()),
        ("ordered", instance.operator.as_ref().map(words)),
    ];
    let metadata = instance.metadata.iter();
    fields.extend(metadata.map(|(key, value)| ("metadata", Some(format!("{key}={value}")))));
    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::testing::instance;

    #[test]
    fn an_instance_is_shown_with_what_was_ordered() {
        let order =
            Override { disabled: true, weight: Some(5), note: Some("x".into()), drain: false };
        let shown = order.over(&instance("left"));
        let fields = fields(&shown);
        let of = |name| fields.iter().find(|(field, _)| *field == name).map(|(_, v)| v.as_str());
        assert_eq!(of("ordered"), Some("disabled, weight 5, note \"x\""));
        assert_eq!((of("enabled"), of("weight"), of("zone")), (Some("no"), Some("5"), None));
    }

    #[test]
    fn without_an_order_there_is_nothing_to_say() {
        assert_eq!(words(&Override::default()), "nothing ordered");
    }
}
