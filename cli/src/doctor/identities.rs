//! Certificates: whose they are, whether peers would take them, and how long they last.

use std::path::Path;
use std::time::SystemTime;

use jackfield_transport::{Identity, IdentityError, Role as Kind, StateDir, chain};

use super::finding::Finding;
use super::settings::Settings;
use crate::args::Role;

pub(super) fn look(settings: &Settings, state: Option<&StateDir>) -> Vec<Finding> {
    let deliberate = settings.identities();
    let mut all: Vec<Finding> =
        deliberate.iter().map(|(role, dir)| on_purpose(*role, dir, SystemTime::now())).collect();
    all.extend(state.map(private));
    all
}

/// The private authority of this user.
fn private(state: &StateDir) -> Finding {
    let file = state.path().join("authority/authority.pem");
    match Identity::local(state, Kind::Client, "doctor") {
        Ok(_) => {
            let what = "the private authority works; its certificates are renewed by themselves";
            Finding::ok(ABOUT, what)
        }
        Err(error @ IdentityError::KeyNotPrivate { .. }) => {
            Finding::fail(ABOUT, chain(&error)).mend(format!("chmod 600 {}", file.display()))
        }
        Err(error) => Finding::fail(ABOUT, chain(&error)).mend(format!(
            "with every jackfield process of this user stopped: rm {}",
            file.display()
        )),
    }
}

/// One that was set up on purpose, and is for `role` if that is known.
fn on_purpose(role: Option<Role>, dir: &Path, now: SystemTime) -> Finding {
    let shown = dir.display();
    let look = format!("openssl x509 -in {shown}/cert.pem -noout -dates -ext subjectAltName");
    let identity = match Identity::from_dir(dir) {
        Ok(identity) => identity,
        Err(error) => {
            let finding = Finding::fail(ABOUT, chain(&error));
            return match error {
                IdentityError::KeyNotPrivate { path, .. } => {
                    finding.mend(format!("chmod 600 {}", path.display()))
                }
                IdentityError::File { path, .. } => {
                    finding.mend(format!("ls -l {}", path.display()))
                }
                _ => finding.mend(look),
            };
        }
    };
    let id = identity.id();
    if role.is_some_and(|role| kind(role) != id.role()) {
        let role = role.map_or("", Role::command);
        let what = format!("{shown} is {id}, and is given to a {role}");
        return Finding::fail(ABOUT, what)
            .mend(format!("name that of the {role}: identity = \"DIR\" in [{role}]"));
    }
    let left = identity.good_until().duration_since(now).unwrap_or_default().as_secs() / DAY;
    let what = format!("{shown} is {id}, good for {left} days");
    if left < SOON {
        return Finding::warn(ABOUT, what)
            .mend(look)
            .mend("put a new one there and start it again");
    }
    Finding::ok(ABOUT, what)
}

fn kind(role: Role) -> Kind {
    match role {
        Role::Registry => Kind::Registry,
        Role::Host => Kind::Host,
        Role::Gateway | Role::Client => Kind::Client,
    }
}

const ABOUT: &str = "identity";

const DAY: u64 = 24 * 3600;

/// Days in which somebody still can get a new certificate without haste.
const SOON: u64 = 30;
