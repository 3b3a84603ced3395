//! Finds which imports of a component this host cannot satisfy, by name.
//!
//! Wasmtime names the first one; somebody who has to change a plugin wants them all.

use std::collections::{BTreeMap, BTreeSet};

use jackfield_wire::ServiceName;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};

use crate::guest::Guest;
use crate::manifest::Grants;

/// An import that nothing here satisfies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingImport {
    /// The interface, or the function when it is imported at the root.
    pub name: String,
    /// What is missing of the interface; empty for a function at the root.
    pub items: Vec<String>,
}

impl std::fmt::Display for MissingImport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.name)?;
        if !self.items.is_empty() {
            let shown = self.items.iter().take(MAX_ITEMS).map(String::as_str);
            write!(f, " ({}", shown.collect::<Vec<_>>().join(", "))?;
            if let Some(more @ 1..) = self.items.len().checked_sub(MAX_ITEMS) {
                write!(f, " and {more} more")?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// What of a component's imports is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingImports {
    /// The service that the component would be.
    pub service: ServiceName,
    /// What no grant gives.
    pub never: Vec<MissingImport>,
    /// What its manifest does not grant.
    pub wanted: Vec<MissingImport>,
}

impl MissingImports {
    /// The lines of a manifest that grant what a manifest can grant; nothing more is opened by
    /// them than that it links.
    pub fn grants(&self) -> String {
        let wanted = |package: &str| self.wanted.iter().any(|import| import.is_of(package));
        let mut lines = String::from("[grants]\n");
        if wanted("wasi:http") {
            lines.push_str("http = []  # add the hosts it may call: \"api.example.com\"\n");
        }
        if wanted("wasi:config") {
            lines.push_str("config = {}  # add what it asks for: name = \"value\"\n");
        }
        if wanted("wasi:keyvalue") {
            let service = &self.service;
            lines.push_str(&format!("keyvalue = {{ default = \"{service}\" }}"));
            lines.push_str("  # the name that it opens = a store of this host\n");
        }
        if wanted("jackfield:plugin") {
            lines.push_str("services = []  # add the services that it may call: \"calc\"\n");
        }
        lines
    }
}

impl std::fmt::Display for MissingImports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.never.is_empty() {
            write!(
                f,
                "imports what this host does not provide: {}; build it without",
                join(&self.never)
            )?;
        }
        if !self.wanted.is_empty() {
            let gap = if self.never.is_empty() { "" } else { "; also " };
            write!(
                f,
                "{gap}imports what its manifest does not grant: {}; to grant it, write into {}.toml \
                 beside it:\n\n{}",
                join(&self.wanted),
                self.service,
                self.grants(),
            )?;
        }
        Ok(())
    }
}

fn join(missing: &[MissingImport]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl MissingImport {
    fn is_of(&self, package: &str) -> bool {
        is_of(&self.name, package)
    }
}

/// Whether `interface` is one of `package`.
pub(super) fn is_of(interface: &str, package: &str) -> bool {
    interface.strip_prefix(package).is_some_and(|rest| rest.starts_with('/'))
}

/// Grants of each interface that can be granted, and of nothing behind them.
pub(super) fn everything() -> Grants {
    Grants {
        http: Some(Vec::new()),
        config: Some(BTreeMap::new()),
        keyvalue: Some(BTreeMap::new()),
        services: Some(BTreeSet::new()),
        ..Grants::default()
    }
}

/// The interfaces that `component` imports.
pub(super) fn interfaces(component: &Component) -> Vec<String> {
    let imports = component.component_type();
    imports.imports(component.engine()).map(|(name, _)| name.to_owned()).collect()
}

/// All imports of `component` that `linker` does not define.
pub(super) fn missing(component: &Component, linker: &Linker<Guest>) -> Vec<MissingImport> {
    let engine = component.engine();
    let mut probe = Probe { linker: linker.clone(), resources: Vec::new() };
    let ty = component.component_type();
    let mut all = Vec::new();
    for (name, import) in ty.imports(engine) {
        let ComponentItem::ComponentInstance(instance) = &import.ty else {
            if probe.is_absent(None, name, &import.ty) {
                all.push(MissingImport { name: name.into(), items: Vec::new() });
            }
            continue;
        };
        let linked = linked_name(name);
        let items: Vec<_> = instance
            .exports(engine)
            .filter(|(item, export)| probe.is_absent(Some(&linked), item, &export.ty))
            .map(|(item, _)| item.to_owned())
            .collect();
        if !items.is_empty() {
            all.push(MissingImport { name: name.into(), items });
        }
    }
    all
}

/// Finds out what a linker has by trying to define it once more.
struct Probe {
    linker: Linker<Guest>,
    /// Those that imports before this one brought. An interface that uses another one's resource
    /// names it again, and nobody has to provide it twice.
    resources: Vec<ResourceType>,
}

impl Probe {
    /// Whether `name` can still be defined in `interface`, which means that nobody has.
    fn is_absent(&mut self, interface: Option<&str>, name: &str, item: &ComponentItem) -> bool {
        let instance = match interface {
            Some(interface) => self.linker.instance(interface),
            None => Ok(self.linker.root()),
        };
        let Ok(mut instance) = instance else { return false };
        match item {
            ComponentItem::ComponentFunc(_) => instance
                .func_new(name, |_, _, _, _| Err(wasmtime::Error::msg("only a probe")))
                .is_ok(),
            ComponentItem::Resource(ty) => {
                if self.resources.contains(ty) {
                    return false;
                }
                self.resources.push(*ty);
                instance.resource(name, ResourceType::host::<()>(), |_, _| Ok(())).is_ok()
            }
            ComponentItem::Type(_) => false,
            _ => true,
        }
    }
}

/// The name under which the linker has an interface: WASI 0.2 of any patch version is there as
/// [`LINKED_WASI`].
fn linked_name(name: &str) -> String {
    match name.split_once("@0.2.") {
        // A draft is itself and no other version.
        Some((interface, patch))
            if interface.starts_with("wasi:") && patch.parse::<u32>().is_ok() =>
        {
            format!("{interface}@{LINKED_WASI}")
        }
        _ => name.to_owned(),
    }
}

/// The version of WASI in wasmtime-wasi 48; a test holds it against the linker.
const LINKED_WASI: &str = "0.2.12";

/// Functions named of one interface: an error text has to stay readable.
const MAX_ITEMS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HostLimits;

    fn missing_of(wat: &str) -> Vec<String> {
        let engine =
            crate::engine::checking(&HostLimits::default(), crate::engine::Concurrency::Off)
                .unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let component = Component::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
        missing(&component, &linker).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn wasi_of_any_patch_version_is_there() {
        let text = |version: &str| {
            format!(
                r#"(component (import "wasi:random/random@{version}"
                    (instance (export "get-random-u64" (func (result u64))))))"#
            )
        };
        for version in ["0.2.0", "0.2.3", LINKED_WASI, "0.2.99"] {
            assert!(missing_of(&text(version)).is_empty(), "{version}");
        }
    }

    #[test]
    fn a_resource_that_another_interface_brought_is_not_missing() {
        let text = r#"(component
            (import "wasi:io/error@0.2.6" (instance $error (export "error" (type (sub resource)))))
            (alias export $error "error" (type $error))
            (import "wasi:io/streams@0.2.6" (instance
                (alias outer 1 $error (type $e))
                (export "error" (type (eq $e))))))"#;
        assert!(missing_of(text).is_empty());
    }

    #[test]
    fn every_missing_interface_is_named_with_its_functions() {
        let found = missing_of(
            r#"(component
                (import "acme:db/store@1.0.0" (instance
                    (export "get" (func)) (export "put" (func))))
                (import "wasi:random/random@0.2.3" (instance
                    (export "get-random-u64" (func (result u64)))
                    (export "roll-dice" (func))))
                (import "lonely" (func)))"#,
        );
        let expected = [
            "`acme:db/store@1.0.0` (get, put)",
            "`wasi:random/random@0.2.3` (roll-dice)",
            "`lonely`",
        ];
        assert_eq!(found, expected);
    }
}
