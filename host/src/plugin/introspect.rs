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
            None => self.name.starts_with("cabi") || self.is_componentize_qjs_init(),
            Some(interface) => interface == COMPONENTIZE_PY || interface.starts_with("wasi:"),
        }
    }

    /// A plugin's own `init` has other parameters.
    fn is_componentize_qjs_init(&self) -> bool {
        self.name == "init" && self.ty.params().map(|(name, _)| name).take(2).eq(["shim", "script"])
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

/// The interface that componentize-py leaves in a component. An author's own interface has a
/// package in its name, or another name.
const COMPONENTIZE_PY: &str = "exports";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HostLimits;

    fn tool_made(init_params: &str) -> Vec<(String, bool)> {
        let wat = format!(
            r#"(component
                (core module $m
                    (func (export "init") (param i32 i32))
                    (func (export "f")))
                (core instance $i (instantiate $m))
                (func $init {init_params} (canon lift (core func $i "init")))
                (func $f (canon lift (core func $i "f")))
                (instance $one (export "f" (func $f)))
                (export "init" (func $init))
                (export "exports" (instance $one))
                (export "wasi:cli/run@0.2.0" (instance $one))
                (export "demo:math/init@0.1.0" (instance $one)))"#
        );
        let engine =
            crate::engine::checking(&HostLimits::default(), crate::engine::Concurrency::Off)
                .expect("an engine");
        let bytes = wat::parse_str(wat).expect("valid WAT");
        let component = Component::new(&engine, bytes).expect("a component");
        let all = exported(&component);
        assert_eq!(version(&all).as_deref(), Some("0.1.0"));
        all.iter().map(|function| (function.qualified(), function.is_tool_made())).collect()
    }

    #[test]
    fn what_tools_leave_behind_is_told_from_what_authors_export() {
        let all = tool_made(r#"(param "shim" u32) (param "script" u32)"#);
        let expected = [
            ("init", true),
            ("exports#f", true),
            ("wasi:cli/run@0.2.0#f", true),
            ("demo:math/init@0.1.0#f", false),
        ];
        assert_eq!(all, expected.map(|(name, made)| (name.to_owned(), made)));
        let all = tool_made(r#"(param "a" u32) (param "b" u32)"#);
        assert_eq!(all[0], ("init".to_owned(), false));
    }
}
