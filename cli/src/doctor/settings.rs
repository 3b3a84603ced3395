//! The settings file, and what each role would run with.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::ArgMatches;

use super::finding::Finding;
use crate::args::{Common, Role};
use crate::config::{self, ConfigFile};
use crate::problem::Problem;

/// What the roles of this machine are set up as.
pub(super) struct Settings {
    file: Option<ConfigFile>,
    roles: Vec<(Role, ArgMatches)>,
    common: Common,
}

impl Settings {
    pub(super) fn read(common: &Common) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let file = common.config.as_ref().and_then(|path| {
            let shown = path.display();
            let check = format!("jackfield config check {shown}");
            match ConfigFile::read(path) {
                Ok(file) => {
                    let wrong = config::contradictions(&file);
                    for what in wrong.iter().filter_map(Problem::text) {
                        findings.push(Finding::fail("settings", what.0).mend(&check));
                    }
                    if wrong.is_empty() {
                        findings.push(Finding::ok("settings", format!("{shown} holds")));
                    }
                    Some(file)
                }
                Err(error) => {
                    let problem = error.problem(path);
                    let what = problem.text().map_or("", |(what, _)| what);
                    findings.push(Finding::fail("settings", what).mend(check));
                    None
                }
            }
        });
        let mut roles = Vec::new();
        for role in [Role::Registry, Role::Host, Role::Gateway] {
            match config::of_role(role, file.as_ref()) {
                Ok(matches) => roles.push((role, matches)),
                Err(problem) => {
                    let (what, _) = problem.text().unwrap_or_default();
                    let show = format!("jackfield config show {}", role.command());
                    findings.push(Finding::fail("settings", what).mend(show));
                }
            }
        }
        (Self { file, roles, common: common.clone() }, findings)
    }

    /// Where each role listens, and whether somebody said that it runs here. Port 0 is always free.
    pub(super) fn addresses(&self) -> Vec<(Role, SocketAddr, bool)> {
        let address = |(role, matches): &(Role, ArgMatches)| {
            let ip = *matches.get_one::<IpAddr>("listen")?;
            let port = *matches.get_one::<u16>("port").filter(|port| **port != 0)?;
            let file = self.file.as_ref();
            let said = file.is_some_and(|file| file.count(role.section()) > 0);
            Some((*role, SocketAddr::new(ip, port), said))
        };
        self.roles.iter().filter_map(address).collect()
    }

    /// The identities that were set up on purpose, by role; each folder once.
    pub(super) fn identities(&self) -> Vec<(Option<Role>, PathBuf)> {
        let mut all: Vec<(Option<Role>, PathBuf)> = Vec::new();
        for (role, matches) in &self.roles {
            if let Some(path) = matches.get_one::<PathBuf>("identity") {
                all.push((Some(*role), path.clone()));
            }
        }
        all.extend(self.common.identity.iter().map(|path| (None, path.clone())));
        // One for all roles can serve one of them alone: nobody said which.
        let shared = |path: &PathBuf| all.iter().filter(|(_, other)| other == path).count() > 1;
        let mut told: Vec<(Option<Role>, PathBuf)> = Vec::new();
        for (role, path) in &all {
            if !told.iter().any(|(_, other)| other == path) {
                told.push((role.filter(|_| !shared(path)), path.clone()));
            }
        }
        told
    }

    /// The folder of the host.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let (_, host) = self.roles.iter().find(|(role, _)| *role == Role::Host)?;
        host.get_one::<PathBuf>("folder").cloned()
    }
}
