//! What a host tells a registry of its catalog. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jackfield_wire::name::{InstanceId, Namespace, ServiceName};
use jackfield_wire::reflect::MethodInfo;
use jackfield_wire::registry::{Instance, MethodSummary};

use super::metadata::InstanceMetadata;
use crate::catalog::{RejectedFile, Snapshot};
use crate::plugin::{Method, Plugin};

/// Which host, and where clients reach it.
#[derive(Clone, Debug)]
pub(crate) struct HostPlace {
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
    pub(crate) namespace: Namespace,
    pub(crate) zone: Option<String>,
    pub(crate) metadata: InstanceMetadata,
}

impl HostPlace {
    /// An instance for each service; for a file that never served, one that nobody may call and
    /// that says why. Those that serve come first, as far as a registry has room for one host's.
    pub(super) fn instances(&self, snapshot: &Snapshot) -> BTreeMap<InstanceId, Instance> {
        let served = snapshot.plugins().map(|plugin| self.serving(snapshot, plugin));
        let refused = snapshot.rejected().filter_map(|file| self.refused(snapshot, file));
        let all = served.chain(refused).take(MAX_INSTANCES);
        all.map(|instance| (instance.id.clone(), instance)).collect()
    }

    fn serving(&self, snapshot: &Snapshot, plugin: &Plugin) -> Instance {
        let mut instance = self.instance(plugin.service().clone());
        instance.version = plugin.version().filter(|v| v.len() <= MAX_WORD).map(str::to_owned);
        instance.generation = Some(plugin.generation());
        let shown = plugin.methods().iter().map(Method::info).filter(|info| !info.hidden);
        instance.methods = summaries(shown);
        if instance.methods.len() < plugin.methods().len() {
            let total = plugin.methods().len().to_string();
            instance.metadata.insert(METHODS.into(), total);
        }
        if let Some(rejected) = snapshot.rejection_of(plugin.service().as_str()) {
            instance.metadata.insert(REJECTED.into(), cut(&rejected.reason));
        }
        if let Some(from) = snapshot.instead_of(plugin.service().as_str()) {
            instance.metadata.insert(ROLLED_BACK.into(), from.short());
        }
        if let Some(because) = snapshot.given_up_because(plugin.service().as_str()) {
            instance.metadata.insert(GIVEN_UP.into(), cut(because));
        }
        if let Some(told) = plugin.watch().quarantine() {
            // It stays healthy for the registry: somebody has to make the calls of its trial.
            instance.metadata.insert(QUARANTINED.into(), cut(&told.reason()));
        }
        instance
    }

    fn refused(&self, snapshot: &Snapshot, file: &RejectedFile) -> Option<Instance> {
        let service = file.service.clone()?;
        if snapshot.plugin(service.as_str()).is_some() {
            return None;
        }
        let mut instance = Instance { enabled: false, ..self.instance(service) };
        instance.metadata.insert(REJECTED.into(), cut(&file.reason));
        Some(instance)
    }

    fn instance(&self, service: ServiceName) -> Instance {
        let new = Instance::new(service, &self.host, self.address.to_string());
        let metadata = self.metadata.to_map();
        Instance { zone: self.zone.clone(), metadata, ..new.in_namespace(self.namespace.clone()) }
    }
}

/// As many summaries as a registry takes, and none that it would not: one of those would cost the
/// whole instance its place. The host itself tells the rest.
fn summaries<'a>(methods: impl Iterator<Item = &'a MethodInfo>) -> Vec<MethodSummary> {
    let mut room = MAX_METHODS_BYTES;
    methods
        .filter(|info| info.name.len() <= MAX_METHOD_NAME && info.wit.len() <= MAX_SIGNATURE)
        .take(MAX_METHODS)
        .map(|info| MethodSummary { name: info.name.clone(), wit: info.wit.clone() })
        .take_while(|summary| {
            let bytes = summary.name.len() + summary.wit.len() + 16;
            room.checked_sub(bytes).inspect(|left| room = *left).is_some()
        })
        .collect()
}

/// As much of a reason as everybody is told.
pub(crate) fn cut(reason: &str) -> String {
    reason[..reason.floor_char_boundary(MAX_REASON)].to_owned()
}

/// Every key under which a host says something itself: operators may not use them.
pub(super) const OWN_KEYS: [&str; 5] = [METHODS, REJECTED, QUARANTINED, ROLLED_BACK, GIVEN_UP];

/// The metadata key of how many methods there are, where not all are told.
const METHODS: &str = "methods";

/// The metadata key of why a file does not serve.
const REJECTED: &str = "rejected";

/// The metadata key of why a plugin's calls are refused for a while.
const QUARANTINED: &str = "quarantined";

/// The metadata key of the generation that does not serve because the one before it does again.
const ROLLED_BACK: &str = "rolled-back-from";

/// The metadata key of what that generation did, when nobody ordered to leave it.
const GIVEN_UP: &str = "rolled-back-because";

/// Bytes of a reason; a registry takes 4 KiB of metadata from an instance, of which 2 KiB are the
/// operator's.
const MAX_REASON: usize = 500;

/// Instances that a registry takes from one host.
const MAX_INSTANCES: usize = 256;

/// Bytes of a version that a registry takes.
const MAX_WORD: usize = 128;

/// Bytes of a method's name that a registry takes.
const MAX_METHOD_NAME: usize = 512;

/// Bytes of a signature that a registry takes.
const MAX_SIGNATURE: usize = 16 << 10;

/// Methods of one instance that a registry takes.
const MAX_METHODS: usize = 1024;

/// Bytes of their names and signatures, well below the 128 KiB that a registry takes of an
/// instance.
const MAX_METHODS_BYTES: usize = 96 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use jackfield_wire::ty::Signature;

    fn place() -> HostPlace {
        HostPlace {
            host: "host-1".into(),
            address: ([127, 0, 0, 1], 4433).into(),
            namespace: Namespace::default(),
            zone: None,
            metadata: InstanceMetadata::new([("tier".into(), "gold".into())]).unwrap(),
        }
    }

    fn reject(catalog: &Catalog, service: ServiceName, reason: String) {
        let file = format!("{service}.wasm");
        let rejected = RejectedFile { file: file.clone(), service: Some(service), reason };
        catalog.reject(file, rejected);
    }

    #[test]
    fn no_more_instances_are_told_than_a_registry_takes() {
        let catalog = Catalog::new();
        for n in 0..MAX_INSTANCES + 5 {
            reject(&catalog, ServiceName::new(format!("broken-{n}")).unwrap(), "bad".into());
        }
        assert_eq!(place().instances(&catalog.now()).len(), MAX_INSTANCES);
    }

    #[test]
    fn a_file_that_never_served_is_told_but_not_callable() {
        let catalog = Catalog::new();
        let service = ServiceName::new("broken").unwrap();
        let reason = "x".repeat(2 * MAX_REASON);
        reject(&catalog, service, reason);
        let instances = place().instances(&catalog.now());
        let instance = instances.values().next().unwrap();
        assert_eq!(instance.id.as_str(), "broken@host-1");
        assert!(!instance.is_available());
        assert_eq!(instance.metadata[REJECTED].len(), MAX_REASON);
        assert_eq!(instance.metadata["tier"], "gold");
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let text = format!("x{}", "é".repeat(MAX_REASON));
        assert_eq!(cut(&text).len(), MAX_REASON - 1);
        assert_eq!(cut("short"), "short");
    }

    fn method(name: &str, wit: usize) -> MethodInfo {
        MethodInfo {
            name: name.into(),
            qualified: "f".into(),
            signature: Signature { params: vec![], result: None },
            wit: "x".repeat(wit),
            params_schema: serde_json::Value::Null,
            result_schema: None,
            docs: None,
            hidden: false,
        }
    }

    #[test]
    fn signatures_that_a_registry_would_not_take_are_left_out_and_the_others_told() {
        let all = [method("giant", MAX_SIGNATURE + 1), method(&"n".repeat(600), 1), method("f", 1)];
        let told = summaries(all.iter());
        assert_eq!(told.iter().map(|method| method.name.as_str()).collect::<Vec<_>>(), ["f"]);
    }

    #[test]
    fn signatures_without_end_are_cut() {
        let all: Vec<_> = (0..20).map(|_| method("f", 10 << 10)).collect();
        assert_eq!(summaries(all.iter()).len(), 9);
    }
}
