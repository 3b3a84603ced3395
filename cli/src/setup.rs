//! What a command needs before it can talk to anybody: a private folder, an identity, a runtime.

use std::fs;
use std::path::Path;

use jackfield_transport::{BindError, Identity, IdentityError, Role, StateDir};
use tokio::runtime::{Builder, Runtime};

use crate::args::Common;
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};

/// Who a command is, and where it keeps things.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) state: StateDir,
    pub(crate) identity: Identity,
}

/// Makes or finds both. `name` is used unless the identity was set up on purpose.
pub(crate) fn setup(common: &Common, role: Role, name: &str) -> Outcome<Setup> {
    let state = state(common)?;
    let identity = match &common.identity {
        Some(dir) => deliberate(dir, role)?,
        None => local(&state, role, name)?,
    };
    Ok(Setup { state, identity })
}

/// The private folder of this user.
pub(crate) fn state(common: &Common) -> Outcome<StateDir> {
    StateDir::resolve(common.state.as_deref())
        .map_err(|error| Problem::caused(Exit::Denied, &error).next("--state DIR chooses another"))
}

/// An identity of this user on this machine.
pub(crate) fn local(state: &StateDir, role: Role, name: &str) -> Outcome<Identity> {
    Identity::local(state, role, name).map_err(|error| {
        let exit = match error {
            IdentityError::Name(_) => Exit::Usage,
            _ => Exit::Denied,
        };
        Problem::caused(exit, &error)
    })
}

fn deliberate(dir: &Path, role: Role) -> Outcome<Identity> {
    let identity = Identity::from_dir(dir).map_err(|error| {
        Problem::caused(Exit::Denied, &error)
            .next("an identity is a folder with ca.pem, cert.pem and key.pem (see --identity)")
    })?;
    let id = identity.id();
    if id.role() == role {
        return Ok(identity);
    }
    let what = format!(
        "the identity in {} is {id}, for a {}; this command acts as a {role}",
        dir.display(),
        id.role()
    );
    Err(Problem::new(Exit::Denied, what)
        .next(format!("give one for the role {role} by --identity DIR")))
}

/// A runtime for a server: as many threads as there are cores.
pub(crate) fn server_runtime() -> Outcome<Runtime> {
    built(&mut Builder::new_multi_thread())
}

/// A runtime for a program that serves calls: one thread. What belongs to one connection then never
/// wakes another thread, which costs more than the whole of a short call; further connections have
/// [`serving_threads`].
pub(crate) fn serving_runtime() -> Outcome<Runtime> {
    runtime_of(1)
}

/// A runtime of so many threads; 0 is taken for 1.
pub(crate) fn runtime_of(threads: u16) -> Outcome<Runtime> {
    built(Builder::new_multi_thread().worker_threads(usize::from(threads.max(1))))
}

/// Threads for the connections of a host beside that of its runtime: with it, one for each core.
pub(crate) fn serving_threads() -> usize {
    std::thread::available_parallelism().map_or(0, |cores| cores.get() - 1)
}

/// A runtime for a command that asks and ends: this thread.
pub(crate) fn client_runtime() -> Outcome<Runtime> {
    built(&mut Builder::new_current_thread())
}

fn built(builder: &mut Builder) -> Outcome<Runtime> {
    builder
        .enable_all()
        .build()
        .map_err(|error| Problem::internal(format!("cannot start the async runtime: {error}")))
}

/// A server that could not listen, with the steps that help on this command line.
pub(crate) fn bind_problem(error: &BindError) -> Problem {
    match error {
        BindError::NotLoopback(address) => Problem::new(
            Exit::Denied,
            format!(
                "{address} can be reached from other machines, so who may connect must be decided \
                 on purpose"
            ),
        )
        .next("stay on this machine: leave out -l, or give -l 127.0.0.1")
        .next("or set up an identity: --identity DIR with ca.pem, cert.pem and key.pem"),
        BindError::InUse(address) => {
            Problem::new(Exit::Unavailable, format!("{address} is in use by another process"))
                .next("choose another port by -p PORT (-p 0 picks a free one)")
                .next(format!("or see who has it: ss -lunp 'sport = :{}'", address.port()))
        }
        other => Problem::caused(Exit::Internal, other),
    }
}

/// A name for a host that nobody named: this machine's, and the port or a number.
pub(crate) fn host_name(port: u16) -> String {
    let number = if port == 0 { std::process::id() } else { port.into() };
    format!("{}-{number}", machine())
}

fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let label = name.trim().split('.').next().unwrap_or_default();
    let label: String = label.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if label.is_empty() { "host".into() } else { label }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_has_the_threads_that_were_asked_for() {
        for (asked, has) in [(0, 1), (1, 1), (3, 3)] {
            assert_eq!(runtime_of(asked).ok().unwrap().metrics().num_workers(), has);
        }
    }

    #[test]
    fn a_made_up_name_can_stand_in_a_certificate() {
        for port in [0, 4433] {
            let name = host_name(port);
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
        }
        assert!(host_name(4433).ends_with("-4433"));
    }

    #[test]
    fn listening_beyond_loopback_says_what_it_takes() {
        let address = "0.0.0.0:9999".parse().unwrap();
        let problem = bind_problem(&BindError::NotLoopback(address));
        assert_eq!(problem.exit(), Exit::Denied);
        assert!(problem.text().unwrap().1.iter().any(|step| step.contains("--identity")));
    }

    #[test]
    fn a_taken_port_says_who_could_know_and_what_to_do() {
        let problem = bind_problem(&BindError::InUse("127.0.0.1:9999".parse().unwrap()));
        assert_eq!(problem.exit(), Exit::Unavailable);
        let steps = problem.text().unwrap().1.join("\n");
        assert!(steps.contains("-p 0") && steps.contains("sport = :9999"), "{steps}");
    }
}
