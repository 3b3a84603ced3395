//! Where a registry keeps its set, as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use jackfield_registry::{EtcdConfig, StoreConfig};

use crate::problem::{Outcome, Problem};

/// What else can be done with a registry.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryTask {
    /// Make a damaged store one that can be opened, with every row that is sound
    Repair {
        /// The file; the registry that uses it must have ended
        #[arg(value_name = "PATH", value_hint = ValueHint::FilePath)]
        path: PathBuf,
    },
}

/// The store of a registry.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Where the set is kept: `sqlite:PATH`, a file that outlives the registry; `etcd:ADDR,ADDR`, a
    /// cluster that several registries share (`?prefix=NAME/` keeps them apart); or `memory:`
    /// [default: registry-PORT.sqlite in the state folder; `memory:` with -p 0]
    #[arg(long, value_name = "STORE", value_parser = store)]
    store: Option<StoreConfig>,
    /// The authority of the cluster's certificates, for etcd:https://NAME:PORT
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    etcd_ca: Option<PathBuf>,
    /// The certificate by which the cluster knows this registry
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires_all = ["etcd_key", "etcd_ca"])]
    etcd_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "etcd_cert")]
    etcd_key: Option<PathBuf>,
}

impl StoreArgs {
    /// Refuses half of a pair. Clap does so of what was typed, not of the environment and a file.
    pub(crate) fn check(&self) -> Outcome {
        match (&self.etcd_cert, &self.etcd_key, &self.etcd_ca) {
            (None, None, _) | (Some(_), Some(_), Some(_)) => Ok(()),
            _ => Err(Problem::usage(
                "a certificate for etcd needs its key and the cluster's authority",
            )
            .next("give --etcd-cert, --etcd-key and --etcd-ca, or only the last")),
        }
    }

    /// What was asked for, if anything.
    pub(crate) fn config(self) -> Option<StoreConfig> {
        Some(match self.store? {
            StoreConfig::Etcd(mut cluster) => {
                cluster.ca = self.etcd_ca;
                cluster.certificate = self.etcd_cert.zip(self.etcd_key);
                StoreConfig::Etcd(cluster)
            }
            other => other,
        })
    }
}

/// `memory:`, `sqlite:PATH` or `etcd:ADDR,ADDR`
fn store(text: &str) -> Result<StoreConfig, String> {
    match text.split_once(':') {
        Some(("memory", "")) => Ok(StoreConfig::Memory),
        Some(("sqlite", path)) if !path.is_empty() => Ok(StoreConfig::Sqlite(path.into())),
        Some(("etcd", cluster)) => etcd(cluster),
        _ => Err("write memory:, sqlite:PATH or etcd:ADDR,ADDR, as in \
                  sqlite:/var/lib/jackfield/registry.sqlite"
            .into()),
    }
}

/// `ADDR,ADDR` or `ADDR,ADDR?prefix=PREFIX/`
fn etcd(cluster: &str) -> Result<StoreConfig, String> {
    let (members, prefix) = match cluster.split_once('?') {
        None => (cluster, EtcdConfig::DEFAULT_PREFIX),
        Some((members, option)) => match option.strip_prefix("prefix=") {
            Some(prefix) if prefix.ends_with('/') => (members, prefix),
            _ => {
                return Err("write etcd:ADDR:PORT?prefix=NAME/, with a / at its end, as in \
                            etcd:10.0.0.1:2379?prefix=staging/"
                    .into());
            }
        },
    };
    if !members.split(',').all(is_member) {
        return Err("write etcd:ADDR:PORT,ADDR:PORT, as in etcd:10.0.0.1:2379,10.0.0.2:2379".into());
    }
    let mut config = EtcdConfig::new(members.split(','));
    config.prefix = prefix.into();
    Ok(StoreConfig::Etcd(config))
}

/// A host and a port; a scheme may stand before them.
fn is_member(text: &str) -> bool {
    let address = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    super::address(address.unwrap_or(text)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_store_is_read() {
        assert_eq!(store("memory:"), Ok(StoreConfig::Memory));
        assert_eq!(store("sqlite:a:b"), Ok(StoreConfig::Sqlite("a:b".into())));
        let members = ["10.0.0.1:2379", "https://b:2379", "[::1]:2379"];
        let etcd = store("etcd:10.0.0.1:2379,https://b:2379,[::1]:2379");
        assert_eq!(etcd, Ok(StoreConfig::Etcd(EtcdConfig::new(members))));
        let Ok(StoreConfig::Etcd(etcd)) = store("etcd:a:1,b:2?prefix=/x/") else { panic!() };
        assert_eq!((etcd.members.len(), etcd.prefix.as_str()), (2, "/x/"));
    }

    #[test]
    fn a_prefix_that_is_none_is_refused_with_what_one_looks_like() {
        for text in ["etcd:a:1?", "etcd:a:1?prefix=x", "etcd:a:1?prefix=", "etcd:a:1?x=y/"] {
            assert!(store(text).unwrap_err().contains("?prefix=staging/"), "{text}");
        }
    }

    #[test]
    fn what_is_no_store_is_refused_with_what_one_looks_like() {
        for text in ["etcd:", "etcd:a", "etcd:a:1,", "etcd:::1:2379"] {
            assert!(store(text).unwrap_err().contains("etcd:10.0.0.1:2379"), "{text}");
        }
        for text in ["", "memory", "sqlite:", "redis:x", "memory:x"] {
            assert!(store(text).unwrap_err().contains("sqlite:/var"), "{text}");
        }
    }
}
