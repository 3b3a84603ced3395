//! What a plugin was granted, opened: once when it loads, and handed to each of its stores.
//!
//! A directory is held open, so that nobody can put another one in its place; a variable of the
//! host's is read once. Ends with the plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::{Failure, ServiceName, Status};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};
use wasmtime_wasi_config::WasiConfigVariables;

use super::directory::Directory;
use super::http::Allowed;
use super::keyvalue::{Store, Stores};
use super::network::{Granted, Network};
use super::{Output, Resolver};
use crate::manifest::{Access, DirGrant, EnvValue, Grants};
use crate::services::{Outgoing, OutgoingCall, Services};

/// The opened grants of one plugin.
pub(crate) struct Capabilities {
    env: Vec<(String, String)>,
    files: WasiFilesystemCtx,
    network: Option<Arc<Granted>>,
    http: Arc<Allowed>,
    config: WasiConfigVariables,
    keyvalue: BTreeMap<String, Arc<Store>>,
    services: OtherServices,
}

/// The services that a plugin may call.
pub(crate) struct OtherServices {
    names: BTreeSet<ServiceName>,
    way: Option<Arc<dyn Services>>,
}

impl OtherServices {
    pub(super) fn include(&self, service: &ServiceName) -> bool {
        self.names.contains(service)
    }

    /// What to tell the author of the plugin `own`, which calls `service` and may not.
    pub(super) fn lines_that_grant(&self, service: &ServiceName, own: &str) -> String {
        if service.as_str() == BUILTIN_SERVICE {
            return format!("{service} is what hosts answer themselves, and no plugin may call it");
        }
        let names = self.names.iter().chain([service]).map(ServiceName::as_str);
        let all = names.map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        format!(
            "{own} may not call {service}; to let it, write into {own}.toml, below [grants]: \
             services = [{all}]"
        )
    }

    /// Begins a call of one of them.
    ///
    /// # Errors
    /// Where no calls go out at all.
    pub(super) fn begin(&self, call: OutgoingCall) -> Result<Outgoing, Failure> {
        match &self.way {
            Some(way) => Ok(way.call(call)),
            None => Err(Failure::not_executed(Status::Unavailable, NO_WAY)),
        }
    }
}

/// A grant that cannot be given. The plugin does not load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The directory cannot be opened.
    #[error("{place}: the directory {path} cannot be granted: {reason}")]
    Directory {
        /// Where it is granted.
        place: crate::manifest::Place,
        /// The directory.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host's own environment has no such variable.
    #[error(
        "the variable {name} is to come from the host's {from}, which {reason}; set it where the \
         host starts"
    )]
    Variable {
        /// The variable of the plugin.
        name: String,
        /// The variable of the host.
        from: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There are as many stores as there may be.
    #[error(
        "the store {name:?} would be one more than the {limit} that a host keeps; use one that is \
         there"
    )]
    Stores {
        /// The store.
        name: String,
        /// The limit.
        limit: usize,
    },
}

impl Capabilities {
    /// Opens what `grants` names; stores and the resolver are those of the host.
    ///
    /// # Errors
    /// Names what cannot be opened, and why.
    pub(crate) fn open(
        grants: &Grants,
        stores: &Stores,
        (resolver, way): (&Resolver, Option<&Arc<dyn Services>>),
    ) -> Result<Self, GrantError> {
        let stored = grants.keyvalue.iter().flatten();
        let store = |(name, store): (&String, &String)| Ok((name.clone(), stores.open(store)?));
        let resolver = resolver.for_plugin();
        let http = Allowed::new(grants.http.clone().unwrap_or_default(), resolver.clone());
        let network = (!grants.network.is_empty()).then(|| Granted::new(&grants.network, resolver));
        Ok(Self {
            env: grants.env.iter().map(variable).collect::<Result<_, _>>()?,
            files: files(&grants.dirs)?,
            network: network.map(Arc::new),
            http: Arc::new(http),
            config: config(grants),
            keyvalue: stored.map(store).collect::<Result<_, _>>()?,
            services: OtherServices {
                names: grants.services.clone().unwrap_or_default(),
                way: way.cloned(),
            },
        })
    }

    /// WASI for one store, printing to `output`; and its network.
    pub(super) fn wasi(&self, output: &Output) -> (WasiCtx, Network) {
        let mut builder = WasiCtx::builder();
        builder.stdout(output.stdout()).stderr(output.stderr()).max_random_size(MAX_RANDOM);
        builder.envs(&self.env);
        let network = Network::new(self.network.clone());
        network.allow(&mut builder);
        let mut wasi = builder.build();
        *wasi.filesystem() = self.files.clone();
        (wasi, network)
    }

    pub(super) fn http(&self) -> &Arc<Allowed> {
        &self.http
    }

    pub(super) fn config(&self) -> &WasiConfigVariables {
        &self.config
    }

    pub(super) fn services(&self) -> &OtherServices {
        &self.services
    }

    pub(super) fn store(&self, name: &str) -> Option<&Arc<Store>> {
        self.keyvalue.get(name)
    }
}

fn variable((name, value): (&String, &EnvValue)) -> Result<(String, String), GrantError> {
    let EnvValue::FromHost(from) = value else {
        let EnvValue::Text(text) = value else { unreachable!("there are two kinds") };
        return Ok((name.clone(), text.clone()));
    };
    let failed = |reason| GrantError::Variable { name: name.clone(), from: from.clone(), reason };
    match std::env::var(from) {
        Ok(text) => Ok((name.clone(), text)),
        Err(std::env::VarError::NotPresent) => Err(failed("is not set")),
        Err(std::env::VarError::NotUnicode(_)) => Err(failed("is not UTF-8")),
    }
}

fn files(dirs: &[DirGrant]) -> Result<WasiFilesystemCtx, GrantError> {
    let mut builder = WasiCtxBuilder::new();
    for dir in dirs {
        let failed = |reason: String| GrantError::Directory {
            place: dir.place,
            path: dir.host.display().to_string(),
            reason,
        };
        let directory = Directory::open(dir).map_err(failed)?;
        let access = match dir.access {
            Access::Read => FsPerms::ReadOnly,
            Access::Write => FsPerms::ReadWrite,
        };
        builder
            .preopened_dir(directory.path(), &dir.guest, access)
            .map_err(|error| failed(format!("{error:#}")))?;
    }
    Ok(builder.build().filesystem().clone())
}

fn config(grants: &Grants) -> WasiConfigVariables {
    let mut variables = WasiConfigVariables::new();
    for (name, value) in grants.config.iter().flatten() {
        variables.insert(name, value);
    }
    variables
}

/// Said where calls of other services go nowhere.
const NO_WAY: &str = "no other service can be called from here: the plugin is being tried without \
                      a network, or runs in a program that gave its host no way to";

/// Random bytes that a guest may ask for at once: the host makes them before the guest's memory
/// is asked whether they fit.
const MAX_RANDOM: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use std::path::Path;

    fn open(text: &str, folder: &Path) -> Result<Capabilities, GrantError> {
        let grants = Manifest::parse(text, folder).expect("it holds").grants;
        Capabilities::open(&grants, &Stores::default(), (&Resolver::system(), None))
    }

    #[test]
    fn a_directory_must_be_there_and_be_one_itself() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let grant = |host: &str| {
            let text = format!("grants.dirs = [{{ host = \"{host}\", guest = \"/x\" }}]");
            open(&text, folder.path()).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(grant("data"), Ok(()));
        let missing = grant("missing").unwrap_err();
        assert!(missing.starts_with("line 1, column 16: the directory "), "{missing}");
        assert!(missing.contains("/missing is not there; make it"), "{missing}");
        assert!(grant("file").unwrap_err().contains("file is a file"));
    }

    #[test]
    fn a_variable_of_the_hosts_must_be_set() {
        let folder = Path::new("/");
        let error = open("grants.env = { A = { from-env = \"NO_SUCH_VARIABLE\" } }", folder);
        let error = error.map(drop).unwrap_err().to_string();
        assert!(error.contains("NO_SUCH_VARIABLE, which is not set"), "{error}");
        let path = open("grants.env = { A = { from-env = \"PATH\" } }", folder).unwrap();
        assert_eq!(path.env[0].1, std::env::var("PATH").unwrap());
    }
}
