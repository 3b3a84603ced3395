//! `register` and `deregister`: endpoints that are no wasm hosts.

use jackfield_client::{Registration, RegistrationError, RegistrationState, register_once};
use jackfield_transport::{Identity, Role};
use jackfield_wire::InstanceId;
use jackfield_wire::registry::{Instance, Kind};
use jackfield_wire::status::printable;

use crate::args::{Common, DeregisterArgs, RegisterArgs};
use crate::exit::Exit;
use crate::operator::{id, refused, with_operator};
use crate::problem::{Outcome, Problem};
use crate::setup;
use crate::signals::Signals;
use crate::terminal::Terminal;

/// Registers an endpoint, once or for as long as this runs.
pub(crate) fn run(args: RegisterArgs, common: &Common, terminal: Terminal) -> Outcome {
    let name = args.name.clone().unwrap_or_else(|| plain(&args.address));
    let identity = setup::setup(common, Role::Host, &name)?.identity;
    let instance = instance(&args, &identity, &name);
    let registries = &args.registry.registry;
    let runtime = setup::client_runtime()?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        if args.keep {
            return keep(identity, registries, instance, &mut signals, &terminal).await;
        }
        let id = instance.id.clone();
        let once = register_once(&identity, registries, vec![instance]);
        signals.unless(async { once.await.map_err(|error| refused(&error)) }).await?;
        terminal.out(printable(&format!("registered {id}")))?;
        Ok(terminal.err(format!("it stays until: jackfield deregister {id}"))?)
    })
}

/// Takes instances back.
pub(crate) fn take_back(args: DeregisterArgs, common: &Common, terminal: Terminal) -> Outcome {
    let typed = args.instances.iter();
    let ids: Vec<InstanceId> =
        typed.map(|typed| id(typed, &args.registry)).collect::<Outcome<_>>()?;
    let wanted = ids.len();
    let count = with_operator(common, &args.registry, async |operator| {
        operator.deregister(ids).await.map_err(|error| refused(&error))
    })?;
    match usize::try_from(count) {
        Ok(count) if count == wanted => Ok(terminal.out(format!("deregistered {count}"))?),
        _ => Err(Problem::new(Exit::NotFound, format!("only {count} of {wanted} were registered"))
            .next("see what there is: jackfield ls")),
    }
}

async fn keep(
    identity: Identity,
    registries: &[String],
    instance: Instance,
    signals: &mut Signals,
    terminal: &Terminal,
) -> Outcome {
    let id = instance.id.clone();
    let kept = Registration::spawn(identity, registries, vec![instance]).map_err(|error| {
        let exit = match error {
            RegistrationError::Role(_) => Exit::Denied,
            _ => Exit::Usage,
        };
        Problem::caused(exit, &error)
    })?;
    let mut state = kept.state();
    loop {
        let now = state.borrow_and_update().clone();
        match now {
            RegistrationState::Waiting => {}
            RegistrationState::Registered => {
                terminal.out(printable(&format!("registered {id}; Ctrl-C takes it back")))?;
            }
            RegistrationState::Lost(why) => {
                terminal.err(printable(&format!("not registered: {why}; trying again")))?;
            }
            RegistrationState::Refused(refusal) => {
                let exit = Exit::of_status(refusal.status);
                let what = format!("the registry refused: {}", refusal.message);
                return Err(Problem::new(exit, what));
            }
        }
        tokio::select! {
            _ = signals.next() => break,
            // The task that tells it ends only by what follows.
            _ = state.changed() => {}
        }
    }
    signals.insist(terminal, kept.deregister()).await;
    Ok(terminal.err("deregistered")?)
}

fn instance(args: &RegisterArgs, identity: &Identity, name: &str) -> Instance {
    // With an identity set up on purpose the name stands behind that one's.
    let own = identity.id().name();
    let host = if own == name { own.to_owned() } else { format!("{own}:{name}") };
    let new = Instance::new(args.service.clone(), &host, &*args.address);
    Instance {
        kind: Kind::Endpoint,
        weight: args.weight,
        check_healthy: args.keep,
        metadata: args.metadata.iter().cloned().collect(),
        version: args.version.clone(),
        zone: args.zone.clone(),
        ..new.in_namespace(args.registry.namespace.clone())
    }
}

/// An address as a name: the same each time, so that it is found again.
fn plain(address: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = address.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
    name.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_name_that_a_certificate_can_hold() {
        assert_eq!(plain("10.0.0.7:8000"), "10.0.0.7-8000");
        assert_eq!(plain("[::1]:80"), "1--80");
        assert_eq!(plain("gpu-1.example:8000"), "gpu-1.example-8000");
    }
}
