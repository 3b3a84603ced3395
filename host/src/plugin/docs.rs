//! Documentation that a binary carries: WIT text in the custom section `jackfield:wit`.
//!
//! The component encoding drops comments and the names of types, so a plugin that wants them seen
//! brings its WIT along as text. It is read for people alone: what can be called, and with which
//! types, comes from the component's own type. Text that does not parse is left out.

use std::collections::HashMap;

use wit_parser::{Docs, Function, UnresolvedPackage, UnresolvedPackageGroup, WorldItem};

use super::binary::{append_custom_section, custom_sections};

/// What a binary says of itself.
#[derive(Debug, Default)]
pub(super) struct Documentation {
    plugin: Option<String>,
    /// By the qualified name of the method.
    methods: HashMap<String, String>,
}

impl Documentation {
    /// Reads it out of a component's bytes.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut docs = Self::default();
        for section in custom_sections(bytes, SECTION) {
            let text = std::str::from_utf8(section).ok().filter(|text| text.len() <= MAX_TEXT);
            match text.map(|text| UnresolvedPackageGroup::parse(SECTION, text)) {
                Some(Ok(group)) => {
                    group.nested.iter().chain([&group.main]).for_each(|package| docs.add(package));
                }
                _ => tracing::debug!("a {SECTION} section is not WIT text; it is left out"),
            }
        }
        docs
    }

    /// Of the plugin as a whole.
    pub(super) fn plugin(&self) -> Option<&str> {
        self.plugin.as_deref()
    }

    /// Of the method with this qualified name.
    pub(super) fn method(&self, qualified: &str) -> Option<&str> {
        self.methods.get(qualified).map(String::as_str)
    }

    fn add(&mut self, package: &UnresolvedPackage) {
        for (_, interface) in &package.interfaces {
            let Some(name) = &interface.name else { continue };
            let id = package.name.interface_id(name);
            self.add_functions(Some(&id), interface.functions.values());
            self.offer_plugin(&interface.docs);
        }
        for (_, world) in &package.worlds {
            self.offer_plugin(&world.docs);
            let functions = world.exports.values().filter_map(|item| match item {
                WorldItem::Function(function) => Some(function),
                _ => None,
            });
            self.add_functions(None, functions);
        }
        self.offer_plugin(&package.docs);
    }

    fn add_functions<'a>(
        &mut self,
        interface: Option<&str>,
        functions: impl Iterator<Item = &'a Function>,
    ) {
        for function in functions {
            if let Some(text) = text(&function.docs) {
                let qualified = match interface {
                    Some(interface) => format!("{interface}#{}", function.name),
                    None => function.name.clone(),
                };
                self.methods.insert(qualified, text);
            }
        }
    }

    /// The last that says anything wins: the package over its worlds over its interfaces.
    fn offer_plugin(&mut self, docs: &Docs) {
        if let Some(text) = text(docs) {
            self.plugin = Some(text);
        }
    }
}

/// The component with WIT text in it, from which people are told names and documentation. A
/// component that carries some already is left as it is; so is what is no component.
pub fn documented(mut component: Vec<u8>, wit: &str) -> Vec<u8> {
    if !custom_sections(&component, SECTION).is_empty() || wit.len() > MAX_TEXT {
        return component;
    }
    append_custom_section(&mut component, SECTION, wit.as_bytes());
    component
}

fn text(docs: &Docs) -> Option<String> {
    let text = docs.contents.as_deref()?.trim();
    (!text.is_empty()).then(|| jackfield_wire::status::printable(text))
}

/// The custom section's name. Its content is WIT text in UTF-8.
const SECTION: &str = "jackfield:wit";

/// The longest text that is parsed: documentation is not worth more of a load's time.
const MAX_TEXT: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn component_with(wit: &str) -> Vec<u8> {
        let wit: String = wit.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        wat::parse_str(format!(r#"(component (core module (@custom "jackfield:wit" "{wit}")))"#))
            .unwrap()
    }

    #[test]
    fn comments_of_root_functions_and_of_interfaces_are_found() {
        let docs = Documentation::read(&component_with(
            "package demo:text@0.1.0;
            interface words {
                /// Counts words.
                count: func(text: string) -> u32;
            }
            /// Text tools.
            world text {
                import wasi:cli/environment@0.2.0;
                export words;
                /// Says hello.
                export hello: func() -> string;
            }",
        ));
        assert_eq!(docs.plugin(), Some("Text tools."));
        assert_eq!(docs.method("hello"), Some("Says hello."));
        assert_eq!(docs.method("demo:text/words@0.1.0#count"), Some("Counts words."));
        assert_eq!(docs.method("demo:text/words@0.1.0#other"), None);
    }

    #[test]
    fn a_component_is_documented_once() {
        let plain = wat::parse_str("(component)").unwrap();
        let once = documented(plain, "package a:b; world w { /// Hi.\n export f: func(); }");
        assert_eq!(Documentation::read(&once).method("f"), Some("Hi."));
        assert_eq!(documented(once.clone(), "package a:b; /// Other.\n world w {}"), once);
        assert!(wat::parse_bytes(&once).is_ok());
        assert_eq!(documented(b"hello".to_vec(), "package a:b;"), b"hello");
    }

    #[test]
    fn text_that_is_not_wit_is_left_out() {
        let docs = Documentation::read(&component_with("interface {{{"));
        assert_eq!(docs.plugin(), None);
    }
}
