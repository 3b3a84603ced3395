//! Which endpoints a call may go to at all. Pure.

use std::collections::BTreeMap;
use std::fmt;

use jackfield_wire::registry::Instance;
use semver::{Version, VersionReq};

/// What an instance must be to take a call, beside enabled and healthy. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Its service's version meets this; one without a version does not.
    pub(crate) version: Option<VersionReq>,
    /// It says all of this.
    pub(crate) metadata: BTreeMap<String, String>,
    /// It is this one: a host, an instance or an address.
    pub(crate) endpoint: Option<String>,
    /// Those of this zone come first; see [`Set`](crate::candidates::Set).
    pub(crate) zone: Option<String>,
}

impl Filter {
    /// Whether `instance` may be called. The zone is a preference and forbids nothing.
    pub(crate) fn admits(&self, instance: &Instance) -> bool {
        self.names(instance) && self.has_metadata(instance) && self.has_version(instance)
    }

    fn names(&self, instance: &Instance) -> bool {
        self.endpoint.as_ref().is_none_or(|name| {
            [instance.host.as_str(), instance.id.as_str(), instance.address.as_str()]
                .contains(&name.as_str())
        })
    }

    fn has_metadata(&self, instance: &Instance) -> bool {
        self.metadata.iter().all(|(key, value)| instance.metadata.get(key) == Some(value))
    }

    fn has_version(&self, instance: &Instance) -> bool {
        self.version.as_ref().is_none_or(|wanted| {
            let version = instance.version.as_deref().map(Version::parse);
            matches!(version, Some(Ok(version)) if wanted.matches(&version))
        })
    }
}

impl fmt::Display for Filter {
    /// What is wanted, as a person would say it: `version ^1.2 and tier=gold`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version.iter().map(|version| format!("version {version}"));
        let metadata = self.metadata.iter().map(|(key, value)| format!("{key}={value}"));
        let endpoint = self.endpoint.iter().map(|name| format!("the name or address {name}"));
        let parts: Vec<_> = endpoint.chain(version).chain(metadata).collect();
        f.write_str(&parts.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::instance;

    fn wants(version: &str) -> Filter {
        Filter { version: Some(version.parse().unwrap()), ..Filter::default() }
    }

    #[test]
    fn a_version_is_met_by_semver_and_never_by_none() {
        let mut it = instance("calc", 0);
        assert!(Filter::default().admits(&it) && !wants("*").admits(&it));
        it.version = Some("1.4.2".into());
        assert!(wants("^1.2").admits(&it) && wants("*").admits(&it));
        assert!(!wants(">=2").admits(&it) && !wants("=1.4.1").admits(&it));
        it.version = Some("yesterday's".into());
        assert!(!wants("*").admits(&it));
    }

    #[test]
    fn metadata_must_all_be_there() {
        let mut it = instance("calc", 0);
        it.metadata.insert("tier".into(), "gold".into());
        let wants = |pairs: &[(&str, &str)]| Filter {
            metadata: pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            ..Filter::default()
        };
        assert!(wants(&[("tier", "gold")]).admits(&it));
        assert!(!wants(&[("tier", "gold"), ("gpu", "a")]).admits(&it));
        assert!(!wants(&[("tier", "silver")]).admits(&it));
    }

    #[test]
    fn an_endpoint_is_named_by_host_or_instance_or_address() {
        let it = instance("calc", 3);
        for name in ["host-3", it.id.as_str(), "127.0.0.1:4003"] {
            let filter = Filter { endpoint: Some(name.into()), ..Filter::default() };
            assert!(filter.admits(&it) && !filter.admits(&instance("calc", 4)), "{name}");
        }
    }

    #[test]
    fn it_reads_as_a_person_would_say_it() {
        let mut filter = wants("^1.2");
        filter.metadata.insert("tier".into(), "gold".into());
        assert_eq!(filter.to_string(), "version ^1.2 and tier=gold");
    }
}
