//! `ls`: what the registry knows.

use std::collections::BTreeMap;

use jackfield_client::{Client, Origin, Snapshot};
use jackfield_transport::chain;
use jackfield_wire::registry::{Instance, MethodSummary};
use jackfield_wire::ty::nearest;
use jackfield_wire::{ServiceName, status::printable};

use crate::args::{Common, LsArgs};
use crate::discover::{self, Via};
use crate::exit::Exit;
use crate::json;
use crate::problem::{Outcome, Problem, enumerate};
use crate::terminal::{Style, Terminal};
use crate::view::instances;

/// Lists services.
pub(crate) fn run(args: LsArgs, common: &Common, terminal: Terminal) -> Outcome {
    let via = Via::Registry(&args.registry);
    let listing = discover::with_client(common, via, async |client| {
        let snapshot = discover::ready(client, via).await?;
        let mut instances = selected(&snapshot, args.service.as_deref())?;
        if args.all {
            add_hidden(client, &mut instances, &terminal).await?;
        }
        Ok(Listing { instances, origin: snapshot.origin() })
    })?;
    if args.json {
        let text = serde_json::to_string(&listing.instances)
            .map_err(|error| Problem::internal(format!("no JSON form: {error}")))?;
        return Ok(terminal.out(json::show(&text, &terminal))?);
    }
    listing.print(&args, &terminal)
}

struct Listing {
    instances: Vec<Instance>,
    origin: Origin,
}

impl Listing {
    fn print(&self, args: &LsArgs, terminal: &Terminal) -> Outcome {
        let all: Vec<&Instance> = self.instances.iter().collect();
        if all.is_empty() {
            terminal
                .err("no services yet: serve a folder of .wasm components by jackfield host DIR")?;
        } else {
            for line in instances::table(&all).render(terminal, terminal.width()) {
                terminal.out(line)?;
            }
        }
        if args.long {
            for line in instances::methods(&all, terminal) {
                terminal.out(line)?;
            }
        }
        for line in instances::rejections(&all, terminal) {
            terminal.out(line)?;
        }
        for line in instances::rollbacks(&all, terminal) {
            terminal.out(line)?;
        }
        if self.origin == Origin::Gathering {
            let note = "the registry has just started: hosts may still be on their way";
            terminal.err(terminal.paint_err(Style::Faint, note))?;
        }
        Ok(())
    }
}

/// All instances, or those of one service.
fn selected(snapshot: &Snapshot, service: Option<&str>) -> Outcome<Vec<Instance>> {
    let all: Vec<Instance> = snapshot.instances().map(|instance| (**instance).clone()).collect();
    let Some(wanted) = service else {
        return Ok(all);
    };
    let found: Vec<Instance> =
        all.into_iter().filter(|instance| instance.service.as_str() == wanted).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let known: Vec<&str> = snapshot.services().map(|(name, _)| name.as_str()).collect();
    let hint = match nearest(wanted, known.iter().copied()) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    };
    let problem = Problem::new(Exit::NotFound, format!("no host serves {wanted:?}{hint}"));
    Err(match known.is_empty() {
        true => problem.next("serve a folder of .wasm components: jackfield host DIR"),
        false => problem.next(format!("there is {}", enumerate(&known))),
    })
}

/// The registry knows only what people call: for the rest, a host of each service is asked.
async fn add_hidden(client: &Client, all: &mut [Instance], terminal: &Terminal) -> Outcome {
    let mut known: BTreeMap<ServiceName, Vec<MethodSummary>> = BTreeMap::new();
    for instance in all.iter_mut().filter(|instance| instance.is_available()) {
        let service = instance.service.clone();
        if !known.contains_key(&service) {
            let methods = match client.describe(&service).await {
                Ok(info) => info.methods,
                Err(error) => {
                    let what = format!("{service}: cannot be asked for all: {}", chain(&error));
                    terminal.err(printable(&what))?;
                    continue;
                }
            };
            let summaries = methods.into_iter().map(|m| MethodSummary { name: m.name, wit: m.wit });
            known.insert(service.clone(), summaries.collect());
        }
        instance.methods.clone_from(&known[&service]);
    }
    Ok(())
}
