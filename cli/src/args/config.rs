//! What is typed to check and show settings, and the set-up.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use jackfield_transport::Role as Kind;

use super::RegistryAddress;
use crate::config::Section;

/// `config`
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) task: ConfigTask,
}

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigTask {
    /// Say everything that is wrong with a settings file
    Check {
        /// The file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Show what a role would run with, and what each value comes from
    Show {
        /// The role
        #[arg(value_name = "ROLE")]
        role: Role,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// `doctor`
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// A folder with plugins to look at, too [default: the settings' `host.folder`]
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryAddress,
}

/// `identity`
#[derive(Debug, Args)]
pub(crate) struct IdentityArgs {
    /// What it may act as: registry, host or client. A gateway is a client
    #[arg(value_name = "ROLE", value_parser = kind)]
    pub(crate) role: Kind,
    /// Its name; a host's must be unique in its registry
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The authority's folder, made on first use. Whoever has it can be anybody: it stays where it is
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) authority: PathBuf,
    /// Where the identity is written; this folder goes to the machine that it is for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: PathBuf,
    /// The domain of those that trust each other
    #[arg(long, value_name = "NAME", default_value = "jackfield")]
    pub(crate) domain: String,
    /// How long it lasts
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub(crate) days: u16,
}

fn kind(text: &str) -> Result<Kind, String> {
    let roles = [Kind::Registry, Kind::Host, Kind::Client];
    let found = roles.into_iter().find(|role| role.word() == text);
    found.ok_or_else(|| "write registry, host or client".into())
}

/// Who is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Registry,
    Host,
    Gateway,
    /// Every command that calls, asks or orders
    Client,
}

impl Role {
    pub(crate) fn section(self) -> Section {
        match self {
            Self::Registry => Section::Registry,
            Self::Host => Section::Host,
            Self::Gateway => Section::Gateway,
            Self::Client => Section::Client,
        }
    }

    /// A command that acts in it.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Client => "ls",
            _ => self.section().name(),
        }
    }
}
