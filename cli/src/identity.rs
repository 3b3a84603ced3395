//! `identity`: makes one for a machine, from an authority that somebody keeps.

use std::time::Duration;

use jackfield_transport::{Identity, IdentityError, PeerId, StateDir};

use crate::args::IdentityArgs;
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;

/// Makes it, and says whose it is.
pub(crate) fn run(args: IdentityArgs, terminal: Terminal) -> Outcome {
    let id = PeerId::new(&args.domain, args.role, &args.name)
        .map_err(|error| Problem::caused(Exit::Usage, &error))?;
    let authority = StateDir::resolve(Some(&args.authority))
        .map_err(|error| Problem::caused(Exit::Denied, &error))?;
    let life = Duration::from_secs(u64::from(args.days) * DAY);
    Identity::issue(&authority, &id, life, &args.out).map_err(|error| problem(&error))?;
    // Shows that it is one before somebody carries it to another machine.
    let made = Identity::from_dir(&args.out).map_err(|error| problem(&error))?;
    let (out, days) = (args.out.display(), args.days);
    terminal.out(format!("{out} is {}, good for {days} days", made.id()))?;
    let place = authority.path().display();
    Ok(terminal.err(format!("keep {place} where it is: whoever has it can be anybody"))?)
}

fn problem(error: &IdentityError) -> Problem {
    Problem::caused(Exit::Denied, error)
}

const DAY: u64 = 24 * 3600;
