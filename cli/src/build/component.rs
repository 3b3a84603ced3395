//! Makes a core module a component, where a tool has left one: what `wasm-component-ld` does.
//!
//! The module says of itself what it offers, in sections that the bindings of its language bring
//! along. Calls of WASI's first version, as C libraries make them, go through wasmtime's adapter.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER,
};
use wit_component::{ComponentEncoder, metadata};

use crate::exit::Exit;
use crate::problem::{Outcome, Problem};

/// A component of `bytes`; what is no core module stays as it is.
///
/// # Errors
/// A module that does not say what it offers, or does not do it.
pub(super) fn of(bytes: Vec<u8>) -> Outcome<Vec<u8>> {
    if !bytes.starts_with(MODULE) {
        return Ok(bytes);
    }
    let (said, _) = metadata::decode(&bytes).map_err(|error| broken(&format!("{error:#}")))?;
    if said.is_none() {
        let what = "what was built is a core module that does not say what it offers";
        return Err(Problem::new(Exit::Failed, what).next(
            "link what the bindings bring along for that; in C: build/plugin_component_type.o",
        ));
    }
    let encoder = ComponentEncoder::default().validate(true).module(&bytes);
    let encoded = encoder
        .and_then(|encoder| encoder.adapter(PREVIEW1, ADAPTER))
        .and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| broken(&format!("{error:#}")))
}

fn broken(why: &str) -> Problem {
    Problem::new(Exit::Failed, format!("what was built cannot be made a component: {why}"))
}

/// How core modules begin: a component has another version.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[cfg(test)]
mod tests {
    use super::*;
    use wit_bindgen_core::wit_parser::Resolve;
    use wit_component::StringEncoding;

    const WIT: &str = "package a:b; world plugin { export answer: func() -> u32; }";

    /// A module that says that it offers the world above.
    fn module(wat: &str) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("plugin.wit", WIT).unwrap();
        let world = resolve.select_world(&[package], None).unwrap();
        let mut module = wat::parse_str(wat).unwrap();
        let encoding = StringEncoding::UTF8;
        wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
        module
    }

    fn refusal(bytes: Vec<u8>) -> String {
        of(bytes).unwrap_err().text().unwrap().0.to_owned()
    }

    #[test]
    fn a_module_that_does_what_it_says_becomes_a_component_that_needs_no_more() {
        let wat = r#"(module
            (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (memory (export "memory") 1)
            (func (export "answer") (result i32) call $yield))"#;
        let component = of(module(wat)).unwrap();
        assert!(!component.starts_with(MODULE));
        // Once made, it stays.
        assert_eq!(of(component.clone()).unwrap(), component);
    }

    #[test]
    fn a_module_that_says_nothing_or_does_not_do_it_is_refused_with_the_reason() {
        assert!(refusal(wat::parse_str("(module)").unwrap()).contains("does not say"));
        assert!(refusal(module("(module)")).contains("answer"));
        assert!(refusal([MODULE, b"\x01"].concat()).contains("cannot be made a component"));
        assert_eq!(of(b"hello".to_vec()).unwrap(), b"hello");
    }
}
