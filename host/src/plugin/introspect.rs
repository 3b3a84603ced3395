//! Reads what a component offers from its own type: every exported function, at the root or inside
//! an exported instance.
//!
//! It decides nothing about values: whether a function's types can travel is `value`'s word.

use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

/// One exported function.
pub(super) struct Exported {
    /// Its own name.
    pub(super) name: String,
    /// The instance that exports it; `None` at the root.
    pub(super) interface: Option<String>,
    /// Its type.
    pub(super) ty: ComponentFunc,
    /// Where an instance has it.
    pub(super) index: ComponentExportIndex,
}

impl Exported {
    /// `demo:math/calc@0.1.0#add`; the plain name at the root.
    pub(super) fn qualified(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether a tool made it for its own use.
    pub(super) fn is_tool_made(&self) -> bool {
        match self.interface.as_deref() {
            None => self.name.starts_with("cabi") || self.name == "init",
            Some(interface) => {
                interface == "exports"
                    || interface.starts_with("wasi:")
                    || interface.starts_with("componentize-")
            }
        }
    }
}

/// All exported functions of `component`, in its order.
pub(super) fn exported(component: &Component) -> Vec<Exported> {
    let engine = component.engine();
    let mut all = Vec::new();
    for (name, export) in component.component_type().exports(engine) {
        match export.ty {
            ComponentItem::ComponentFunc(ty) => {
                if let Some(index) = component.get_export_index(None, name) {
                    all.push(Exported { name: name.into(), interface: None, ty, index });
                }
            }
            ComponentItem::ComponentInstance(instance) => {
                let parent = component.get_export_index(None, name);
                walk(component, (name, parent), &instance, &mut all, MAX_DEPTH);
            }
            _ => {}
        }
    }
    all
}

fn walk(
    component: &Component,
    (path, parent): (&str, Option<ComponentExportIndex>),
    instance: &ComponentInstance,
    all: &mut Vec<Exported>,
    depth: usize,
) {
    let Some(parent) = parent.filter(|_| depth > 0) else { return };
    for (name, export) in instance.exports(component.engine()) {
        let Some(index) = component.get_export_index(Some(&parent), name) else { continue };
        match export.ty {
            ComponentItem::ComponentFunc(ty) => {
                all.push(Exported { name: name.into(), interface: Some(path.into()), ty, index });
            }
            ComponentItem::ComponentInstance(inner) => {
                let path = format!("{path}/{name}");
                walk(component, (&path, Some(index)), &inner, all, depth - 1);
            }
            _ => {}
        }
    }
}

/// The version that all exported interfaces of a package agree on: `0.1.0` of
/// `demo:math/calc@0.1.0`.
pub(super) fn version(exported: &[Exported]) -> Option<String> {
    let mut versions = exported
        .iter()
        .filter(|function| !function.is_tool_made())
        .filter_map(|function| function.interface.as_deref()?.split_once('@'))
        .map(|(_, version)| version);
    let first = versions.next()?;
    versions.all(|other| other == first).then(|| first.to_owned())
}

/// Instances in instances: WIT knows one level.
const MAX_DEPTH: usize = 4;
