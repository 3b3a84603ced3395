//! The `[grants]` of a manifest: what a plugin may reach beyond itself. Nothing is granted that is
//! not written there, and nothing here opens anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use jackfield_settings::{Item, Place, Table};
use jackfield_wire::ServiceName;
use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::units::quoted;

use super::place::{HttpHost, NetworkHost};

/// What a plugin may reach. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grants {
    /// Environment variables that it sees.
    pub env: BTreeMap<String, EnvValue>,
    /// Directories that it sees.
    pub dirs: Vec<DirGrant>,
    /// Where it may connect to and send datagrams.
    pub network: Vec<NetworkHost>,
    /// Where wasi:http requests may go; `None` leaves the interface out.
    pub http: Option<Vec<HttpHost>>,
    /// What wasi:config answers; `None` leaves the interface out.
    pub config: Option<BTreeMap<String, String>>,
    /// The stores of wasi:keyvalue by the names that the plugin opens them by; `None` leaves the
    /// interface out.
    pub keyvalue: Option<BTreeMap<String, String>>,
    /// The services that it may call; `None` leaves the interface out.
    pub services: Option<BTreeSet<ServiceName>>,
}

/// Where the value of a variable comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// It is written in the manifest.
    Text(String),
    /// It is the host's own variable of this name, read when the plugin loads.
    FromHost(String),
}

/// A directory of the host's that a plugin sees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirGrant {
    /// Where it is.
    pub host: PathBuf,
    /// The folder that it was named in relation to; the root, when it was not.
    pub base: PathBuf,
    /// Where the plugin sees it.
    pub guest: String,
    /// Whether the plugin may change it.
    pub access: Access,
    /// Where the manifest grants it.
    pub place: Place,
}

/// What may be done with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading it and what is in it.
    Read,
    /// Also changing both.
    Write,
}

impl Grants {
    /// Reads the table; relative directories are in `folder`.
    pub(super) fn read(table: &Table<'_>, folder: &Path) -> Self {
        let pairs = |key, form, read: fn(&str, &Item<'_>) -> Option<String>| {
            let pairs = table.get(key)?.pairs(form)?;
            Some(
                pairs
                    .into_iter()
                    .filter_map(|(name, item)| Some((name.clone(), read(&name, &item)?)))
                    .collect(),
            )
        };
        Self {
            env: env(table),
            dirs: dirs(table, folder),
            network: list(table, "network", NetworkHost::parse).unwrap_or_default(),
            http: list(table, "http", HttpHost::parse),
            config: pairs("config", "a table such as { name = \"value\" }", |_, item| {
                Some(item.string()?.to_owned())
            }),
            keyvalue: pairs("keyvalue", "a table such as { default = \"store\" }", store),
            services: list(table, "services", service).map(BTreeSet::from_iter),
        }
    }

    /// These grants and `base`; where both name the same thing, these count.
    pub(super) fn over(&self, base: &Self) -> Self {
        let mut all = self.clone();
        merge(&mut all.env, &base.env);
        let seen = |guest: &str| self.dirs.iter().any(|dir| dir.guest == guest);
        all.dirs.extend(base.dirs.iter().filter(|dir| !seen(&dir.guest)).cloned());
        all.network.extend(base.network.iter().cloned());
        merge_optional(&mut all.http, base.http.as_ref(), |all, more| {
            all.extend(more.iter().cloned());
        });
        merge_optional(&mut all.config, base.config.as_ref(), merge);
        merge_optional(&mut all.keyvalue, base.keyvalue.as_ref(), merge);
        merge_optional(&mut all.services, base.services.as_ref(), |all, more| {
            all.extend(more.iter().cloned());
        });
        all
    }

    /// Whether a guest can leave something behind that outlives its instance. A call of such a
    /// guest that never began may have had an effect all the same, by its start-up code. Calls of
    /// other services are none of it: start-up code cannot make them.
    pub fn have_lasting_effects(&self) -> bool {
        let writes = self.dirs.iter().any(|dir| dir.access == Access::Write);
        let some = |list: &Option<Vec<HttpHost>>| list.as_ref().is_some_and(|all| !all.is_empty());
        let stores = self.keyvalue.as_ref().is_some_and(|stores| !stores.is_empty());
        writes || !self.network.is_empty() || some(&self.http) || stores
    }
}

fn merge<V: Clone>(all: &mut BTreeMap<String, V>, base: &BTreeMap<String, V>) {
    for (name, value) in base {
        all.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

fn merge_optional<T: Clone>(all: &mut Option<T>, base: Option<&T>, merge: impl Fn(&mut T, &T)) {
    match (all, base) {
        (Some(all), Some(base)) => merge(all, base),
        (all @ None, Some(base)) => *all = Some(base.clone()),
        (_, None) => {}
    }
}

fn list<T>(
    table: &Table<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let elements = table.get(key)?.elements()?;
    Some(elements.iter().filter_map(|item| item.accept(parse(item.string()?))).collect())
}

fn env(table: &Table<'_>) -> BTreeMap<String, EnvValue> {
    let Some(item) = table.get("env") else { return BTreeMap::new() };
    let pairs = item.pairs("a table such as { NAME = \"value\" }").unwrap_or_default();
    pairs.into_iter().filter_map(|(name, item)| variable(name, &item)).collect()
}

fn variable(name: String, item: &Item<'_>) -> Option<(String, EnvValue)> {
    if name.is_empty() || name.len() > MAX_VARIABLE || name.contains(['=', '\0']) {
        item.wrong(format!("a variable's name has 1 to {MAX_VARIABLE} bytes and no `=` in it"));
        return None;
    }
    if !item.is_table() {
        return Some((name, EnvValue::Text(plain(item)?)));
    }
    let table = item.table("text, or { from-env = \"NAME\" }")?;
    let from = table.get("from-env");
    table.finish();
    let Some(from) = from else {
        item.wrong("write text, or { from-env = \"NAME\" } for a variable of the host's");
        return None;
    };
    let host = plain(&from)?;
    if host.len() > MAX_VARIABLE {
        from.wrong(format!("a variable's name has at most {MAX_VARIABLE} bytes"));
        return None;
    }
    Some((name, EnvValue::FromHost(host)))
}

/// Text that a C program can have in its environment.
fn plain(item: &Item<'_>) -> Option<String> {
    let text = item.string()?;
    if text.contains('\0') {
        item.wrong("cannot hold a NUL character");
        return None;
    }
    Some(text.to_owned())
}

fn dirs(table: &Table<'_>, folder: &Path) -> Vec<DirGrant> {
    let Some(elements) = table.get("dirs").and_then(|item| item.elements()) else {
        return Vec::new();
    };
    let mut all: Vec<DirGrant> = Vec::new();
    for item in elements {
        let Some(dir) = dir(&item, folder) else { continue };
        if all.iter().any(|other| other.guest == dir.guest) {
            let guest = quoted(&dir.guest);
            item.wrong(format!("the plugin would see two directories as {guest}"));
            continue;
        }
        all.push(dir);
    }
    all
}

fn dir(item: &Item<'_>, folder: &Path) -> Option<DirGrant> {
    let table = item.table("a table such as { host = \"data\", guest = \"/data\" }")?;
    let (host, guest, write) = (table.get("host"), table.get("guest"), table.get("write"));
    table.finish();
    let (Some(host), Some(guest)) = (host, guest) else {
        item.wrong("`host` says which directory, `guest` where the plugin sees it; give both");
        return None;
    };
    let access = match write.map(|write| write.boolean()) {
        None | Some(Some(false)) => Access::Read,
        Some(Some(true)) => Access::Write,
        Some(None) => return None,
    };
    let path = plain(&host)?;
    if path.len() > MAX_DIRECTORY {
        host.wrong(format!("has {} bytes; a path has at most {MAX_DIRECTORY}", path.len()));
        return None;
    }
    if path.is_empty() {
        host.wrong("names no directory; `.` is the manifest's own");
        return None;
    }
    let guest = guest_path(&guest)?;
    let host = folder.join(&path);
    let root = host.ancestors().last().filter(|_| Path::new(&path).is_absolute());
    let base = root.unwrap_or(folder).to_owned();
    Some(DirGrant { host, base, guest, access, place: item.place() })
}

fn guest_path(item: &Item<'_>) -> Option<String> {
    let path = plain(item)?;
    let absolute = Path::new(&path);
    let ordinary = |part| matches!(part, Component::RootDir | Component::Normal(_));
    if !path.starts_with('/') || !absolute.components().all(ordinary) {
        item.wrong("must begin with `/` and have no `..` in it, as in \"/data\"");
        return None;
    }
    Some(path)
}

fn service(text: &str) -> Result<ServiceName, String> {
    let name = ServiceName::new(text)
        .map_err(|error| format!("names services, such as \"calc\"; {error}"))?;
    if name.as_str() == BUILTIN_SERVICE {
        return Err(format!("{BUILTIN_SERVICE} is what hosts answer themselves, and no plugin's"));
    }
    Ok(name)
}

fn store(name: &str, item: &Item<'_>) -> Option<String> {
    let store = item.string()?;
    let ordinary = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if store.is_empty() || store.len() > MAX_STORE || !store.chars().all(ordinary) {
        item.wrong(format!(
            "a store's name has 1 to {MAX_STORE} letters, digits, `-`, `_` and `.`"
        ));
        return None;
    }
    if name.len() > MAX_STORE {
        item.wrong(format!("the name that opens a store has at most {MAX_STORE} bytes"));
        return None;
    }
    Some(store.to_owned())
}

/// Bytes of a variable's name; those of people have some ten.
const MAX_VARIABLE: usize = 256;

/// Bytes of a path, as operating systems have it.
const MAX_DIRECTORY: usize = 4096;

/// As long as a service's name.
const MAX_STORE: usize = 64;
