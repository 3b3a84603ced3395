//! What an author says of a plugin in `NAME.toml` beside `NAME.wasm`, and an operator of a host in
//! its settings: limits, instances, grants. `docs/plugins.md` describes every key.
//!
//! Pure: text in, types or every problem with its place out. Opening what is granted is `guest`'s
//! affair. The text may be anybody's: it never panics, and reads no more than 64 KiB.

mod explain;
mod file;
mod grants;
mod limits;
mod place;
mod resolve;

use std::num::NonZeroU32;
use std::path::Path;

pub(crate) use jackfield_settings::MAX_TEXT;
use jackfield_settings::{Item, Range, Reader, Table};
pub use jackfield_settings::{Place, Problem, SettingsError};
use jackfield_wire::ServiceName;
use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::units::quoted;

pub use file::HostFile;
pub use grants::{Access, DirGrant, EnvValue, Grants};
pub use limits::{Given, LimitOverrides};
pub use place::{HostName, HttpHost, NetworkHost};
pub use resolve::{PluginDefaults, PluginSettings};

/// What a manifest says. The default is what a plugin without one gets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The service. Default the file's stem.
    pub service: Option<ServiceName>,
    /// The plugin's version. Default the one that its exported interfaces agree on, if any.
    pub version: Option<semver::Version>,
    /// What the plugin is for, in a line or some. Default what its own documentation says.
    pub description: Option<String>,
    /// Whether this version may break callers of the one before without a new major version.
    pub accept_breaking_change: bool,
    /// Whether the host returns to the version before when this one traps on most of its first
    /// calls. Default yes.
    pub roll_back_on_traps: bool,
    /// Limits that differ from the host's.
    pub limits: LimitOverrides,
    /// Which instances serve calls. Default the host's.
    pub instances: Option<Instances>,
    /// What the plugin may reach.
    pub grants: Grants,
}

/// Which instances serve the calls of a plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// A fresh one for each call: no caller sees another one's state.
    #[default]
    Fresh,
    /// A warm one, for so many calls one after the other.
    Reuse {
        /// Calls that one instance serves.
        calls: NonZeroU32,
    },
    /// One for all calls, in turn. Its state is lost on a trap and on a reload.
    Single,
    /// One for many calls at once; for components whose exports are asynchronous.
    Concurrent,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            service: None,
            version: None,
            description: None,
            accept_breaking_change: false,
            roll_back_on_traps: true,
            limits: LimitOverrides::default(),
            instances: None,
            grants: Grants::default(),
        }
    }
}

impl Manifest {
    /// Reads a manifest whose relative directories are in `folder`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, SettingsError> {
        Reader::read(text, |table| Self::read(table, folder))
    }

    fn read(table: Table<'_>, folder: &Path) -> Self {
        let manifest = Self {
            service: table.get("service").and_then(|item| service(&item)),
            version: table.get("version").and_then(|item| version(&item)),
            description: table.get("description").and_then(|item| description(&item)),
            accept_breaking_change: table
                .get("accept-breaking-change")
                .and_then(|item| item.boolean())
                .unwrap_or_default(),
            roll_back_on_traps: table
                .get("roll-back-on-traps")
                .and_then(|item| item.boolean())
                .unwrap_or(true),
            limits: read_limits(&table),
            instances: read_instances(&table),
            grants: read_grants(&table, folder),
        };
        table.finish();
        manifest
    }
}

fn read_limits(table: &Table<'_>) -> LimitOverrides {
    let table = table.table("limits");
    let limits = LimitOverrides::of_manifest(&table);
    table.finish();
    limits
}

fn read_grants(table: &Table<'_>, folder: &Path) -> Grants {
    let table = table.table("grants");
    let grants = Grants::read(&table, folder);
    table.finish();
    grants
}

fn read_instances(table: &Table<'_>) -> Option<Instances> {
    let table = table.table("instances");
    let strategy = table.get("strategy");
    let calls = table.get("calls");
    table.finish();
    let count = calls.as_ref().map(|item| item.number(&CALLS));
    let name = match &strategy {
        Some(item) => Some((item, item.string()?)),
        None => None,
    };
    if let Some(calls) = &calls
        && name.is_none_or(|(_, name)| name != "reuse")
    {
        calls.wrong("counts the calls of an instance; it goes with strategy = \"reuse\" alone");
        return None;
    }
    let (item, name) = name?;
    match name {
        "fresh" => Some(Instances::Fresh),
        "single" => Some(Instances::Single),
        "concurrent" => Some(Instances::Concurrent),
        "reuse" => match count {
            Some(count) => {
                let calls = NonZeroU32::new(u32::try_from(count?).ok()?)?;
                Some(Instances::Reuse { calls })
            }
            None => {
                item.wrong("say how many calls an instance serves, as in calls = 100");
                None
            }
        },
        _ => {
            let near = jackfield_wire::ty::nearest(name, STRATEGIES);
            let hint = near.map(|near| format!(", did you mean {near:?}?"));
            let (name, hint) = (quoted(name), hint.unwrap_or_else(|| ".".into()));
            let all = STRATEGIES.join(", ");
            item.wrong(format!("{name} is no strategy{hint} There is: {all}"));
            None
        }
    }
}

fn service(item: &Item<'_>) -> Option<ServiceName> {
    let name = item.accept(ServiceName::new(item.string()?))?;
    if name.as_str() == BUILTIN_SERVICE {
        item.wrong(format!("every host answers `{BUILTIN_SERVICE}` itself; choose another name"));
        return None;
    }
    Some(name)
}

fn version(item: &Item<'_>) -> Option<semver::Version> {
    let text = item.string()?;
    let shown = quoted(text);
    let say = |error| format!("{shown} is no version: {error}; write three numbers, as in 1.2.0");
    item.accept(semver::Version::parse(text).map_err(say))
}

fn description(item: &Item<'_>) -> Option<String> {
    let text = item.string()?;
    if text.len() > MAX_DESCRIPTION {
        item.wrong(format!("has {} bytes, the limit is {MAX_DESCRIPTION}", text.len()));
        return None;
    }
    Some(text.to_owned())
}

const STRATEGIES: [&str; 4] = ["fresh", "reuse", "single", "concurrent"];

const CALLS: Range = Range {
    of: 1..=1_000_000,
    why: "an instance is made for a call at least, and what leaks in a guest ends with it",
};

/// Bytes: it travels in every description of the service.
const MAX_DESCRIPTION: usize = 2 << 10;

#[cfg(test)]
mod tests;
