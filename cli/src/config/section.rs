//! The sections of a settings file, and the options of the command line that they may give.
//!
//! Options are not listed here: whatever a role's command takes can stand in its section, under the
//! same name, and is read by the same reader.

use clap::{Arg, ArgAction, Args as _, Command, CommandFactory as _};

use crate::args::{Cli, Common, RegistryAddress};

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// What every command takes, where its own section says nothing.
    Common,
    /// Those that call, ask and order.
    Client,
    Registry,
    Host,
    Gateway,
}

impl Section {
    pub(crate) const ALL: [Self; 5] =
        [Self::Common, Self::Registry, Self::Host, Self::Gateway, Self::Client];

    /// Its name in the file; a role's is that of its command.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Client => "client",
            Self::Registry => "registry",
            Self::Host => "host",
            Self::Gateway => "gateway",
        }
    }

    /// The section of a command.
    pub(crate) fn of_command(name: &str) -> Self {
        match name {
            "registry" => Self::Registry,
            "host" => Self::Host,
            "gateway" => Self::Gateway,
            // One process with three roles, for one person: only limits and what all share.
            "dev" => Self::Common,
            _ => Self::Client,
        }
    }

    /// A command of its own, which serves until it is ended.
    pub(crate) fn is_role(self) -> bool {
        matches!(self, Self::Registry | Self::Host | Self::Gateway)
    }

    /// Every option that may stand in it.
    pub(crate) fn options(self) -> Vec<Arg> {
        let mut of_all = Common::augment_args(Command::new("common"));
        if !self.is_role() {
            of_all = RegistryAddress::augment_args(of_all);
        }
        let cli = Cli::command();
        let role = cli.find_subcommand(self.name()).filter(|_| self.is_role());
        let own = role.into_iter().flat_map(Command::get_arguments);
        own.chain(of_all.get_arguments()).filter(|arg| key(arg) != "config").cloned().collect()
    }

    /// The variable of the environment that gives `key`. Two underscores, because Kubernetes makes
    /// `JACKFIELD_REGISTRY_PORT` for a service of that name, and means an address.
    pub(crate) fn variable(self, key: &str) -> Option<String> {
        let name = |text: &str| text.to_uppercase().replace('-', "_");
        self.is_role().then(|| format!("JACKFIELD_{}__{}", name(self.name()), name(key)))
    }
}

/// What an option is called in a file: as on the command line.
pub(crate) fn key(arg: &Arg) -> String {
    arg.get_long().unwrap_or_else(|| arg.get_id().as_str()).to_owned()
}

/// Whether it is on or off.
pub(crate) fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

/// Whether it may be given several times.
pub(crate) fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}
