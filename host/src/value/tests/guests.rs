//! Values through real components.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, Instance, Linker};
use wasmtime::{Engine, Store};

use super::super::{Answer, CallError, MethodPlan, TypeNames};

/// One instance of a fixture and the interface that is called.
struct Guest {
    engine: Engine,
    component: Component,
    names: TypeNames,
    interface: &'static str,
}

impl Guest {
    fn new(bytes: &[u8], interface: &'static str) -> Self {
        let engine = Engine::default();
        let component = Component::new(&engine, bytes).unwrap_or_else(|e| panic!("{e:#}"));
        let names = TypeNames::of(&component, &engine);
        Self { engine, component, names, interface }
    }

    fn echo() -> Self {
        Self::new(&jackfield_guests::fixture("echo"), "demo:echo/echo@0.1.0")
    }

    /// Where the interface is; `None` for the root, which has no name.
    fn index(&self) -> Option<ComponentExportIndex> {
        self.component.get_export_index(None, self.interface)
    }

    fn plan(&self, name: &str) -> MethodPlan {
        let interface = self.index();
        let item = self.component.get_export(interface.as_ref(), name);
        match item.unwrap_or_else(|| panic!("no function {name}")).0 {
            ComponentItem::ComponentFunc(function) => {
                MethodPlan::new(name, &function, Some(self.interface), &self.names)
                    .unwrap_or_else(|e| panic!("{name}: {e}"))
            }
            other => panic!("{name} is {other:?}"),
        }
    }

    /// Calls a function in a fresh instance.
    fn call(&self, name: &str, positional: &str, limit: usize) -> Result<Answer, CallError> {
        self.call_by(&self.plan(name), name, positional, limit)
    }

    fn call_by(
        &self,
        plan: &MethodPlan,
        name: &str,
        positional: &str,
        limit: usize,
    ) -> Result<Answer, CallError> {
        let prepared = plan
            .prepare(Some(positional.as_bytes()), None)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut store = Store::new(&self.engine, ());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let linker = Linker::new(&self.engine);
            let instance: Instance =
                linker.instantiate_async(&mut store, &self.component).await.unwrap();
            let interface = self.index();
            let index = self.component.get_export_index(interface.as_ref(), name).unwrap();
            let function = instance.get_func(&mut store, index).unwrap();
            plan.call(&mut store, function, prepared, limit).await
        })
    }

    fn ok(&self, name: &str, positional: &str) -> String {
        match self.call(name, positional, 1 << 20) {
            Ok(Answer::Ok(json)) => String::from_utf8(json).unwrap(),
            other => panic!("{name}{positional}: {other:?}"),
        }
    }
}

#[test]
fn every_type_comes_back_from_a_guest_as_it_went_in() {
    let guest = Guest::echo();
    let interface = guest.component.get_export_index(None, guest.interface).unwrap();
    let ComponentItem::ComponentInstance(instance) =
        guest.component.get_export(None, guest.interface).unwrap().0
    else {
        panic!("{interface:?} is not an instance");
    };
    let names = instance.exports(&guest.engine).map(|(name, _)| name.to_owned());
    let echoes: Vec<_> = names.filter(|name| name.starts_with("echo-")).collect();
    assert!(echoes.len() > 40, "{echoes:?}");
    for name in echoes {
        let plan = guest.plan(&name);
        let example = plan.signature().params[0].ty.example();
        let answer = match guest.call(&name, &format!("[{example}]"), 1 << 20) {
            Ok(Answer::Ok(json) | Answer::Application(json)) => json,
            other => panic!("{name}: {other:?}"),
        };
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        // A result is taken apart at the top: its `ok` side is the answer.
        let is_result =
            matches!(plan.signature().result, Some(jackfield_wire::Type::Result { .. }));
        let expected = if is_result { &example["ok"] } else { &example };
        assert_eq!(&answer, expected, "{name}");
    }
}

#[test]
fn the_edges_of_numbers_survive_a_guest() {
    let guest = Guest::echo();
    for (name, text) in [
        ("echo-u64", "\"18446744073709551615\""),
        ("echo-u64", "9007199254740991"),
        ("echo-s64", "\"-9223372036854775808\""),
        ("echo-f64", "\"NaN\""),
        ("echo-f64", "5e-324"),
        ("echo-f32", "0.1"),
        ("echo-f32", "\"-Infinity\""),
        ("echo-char", "\"🦀\""),
        ("echo-deep-option", "{\"some\":{\"some\":null}}"),
    ] {
        assert_eq!(guest.ok(name, &format!("[{text}]")), text, "{name}");
    }
    assert_eq!(guest.ok("nothing", "[]"), "null");
    assert_eq!(guest.ok("options", "[1,\"x\"]"), "[true,false,false]");
}

#[test]
fn a_result_is_taken_apart_at_the_top() {
    let guest = Guest::echo();
    let answer = guest.call("echo-result", "[{\"err\":\"no\"}]", 100).unwrap();
    assert_eq!(answer, Answer::Application(b"\"no\"".to_vec()));
    assert_eq!(guest.ok("echo-result", "[{\"ok\":7}]"), "7");
    let answer = guest.call("echo-result-unit", "[{\"err\":null}]", 100).unwrap();
    assert_eq!(answer, Answer::Application(b"null".to_vec()));
}

#[test]
fn bytes_take_a_typed_shape_where_one_is_listed() {
    let guest = Guest::echo();
    for name in ["echo-bytes", "count-bytes", "zeros"] {
        assert!(guest.plan(name).is_typed(), "{name}");
    }
    for name in ["echo-string", "echo-bytes-list", "mixed"] {
        assert!(!guest.plan(name).is_typed(), "{name}");
    }
    assert_eq!(guest.ok("echo-bytes", "[[104,105]]"), "{\"base64\":\"aGk=\"}");
    assert_eq!(guest.ok("count-bytes", "[{\"base64\":\"aGk=\"}]"), "2");
    assert_eq!(guest.ok("zeros", "[3]"), "{\"base64\":\"AAAA\"}");
    assert_eq!(
        guest.ok("echo-bytes-list", "[[[104,105],[]]]"),
        "[{\"base64\":\"aGk=\"},{\"base64\":\"\"}]"
    );
}

#[test]
fn a_result_larger_than_the_limit_is_refused_by_size() {
    let error = Guest::echo().call("zeros", "[1000000]", 1000).unwrap_err();
    assert!(matches!(&error, CallError::Result(_)), "{error}");
    assert_eq!(error.to_string(), "the result takes more than 1000 bytes of JSON");
}

/// A guest whose functions take two texts or byte lists and give the second when the first is
/// empty, and otherwise the first as the other case of whatever they return.
fn choosing() -> Guest {
    let functions = CHOICES.map(|(name, types)| {
        format!(
            "(func (export \"{name}\") {types} (canon lift (core func $m \"choose\")
                (memory (core memory $m \"memory\")) (realloc (core func $m \"realloc\"))))"
        )
    });
    let wat = format!(
        "(component
            (core module $choose
                (memory (export \"memory\") 2)
                (global $free (mut i32) (i32.const 1024))
                (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)
                    (global.get $free)
                    (global.set $free (i32.add (global.get $free) (local.get 3))))
                (func (export \"choose\") (param i32 i32 i32 i32) (result i32)
                    (i32.store (i32.const 0) (i32.ne (local.get 1) (i32.const 0)))
                    (i32.store (i32.const 4)
                        (select (local.get 0) (local.get 2) (local.get 1)))
                    (i32.store (i32.const 8)
                        (select (local.get 1) (local.get 3) (local.get 1)))
                    (i32.const 0)))
            (core instance $m (instantiate $choose))
            {})",
        functions.concat()
    );
    Guest::new(&wat::parse_str(wat).unwrap(), "")
}

/// Functions of [`choosing`] with the types they give to what they do.
const CHOICES: [(&str, &str); 4] = [
    (
        "bytes-or-text",
        "(param \"a\" string) (param \"b\" (list u8)) (result (result (list u8) (error string)))",
    ),
    (
        "text-or-text",
        "(param \"a\" string) (param \"b\" (list u8)) (result (result string (error string)))",
    ),
    (
        "nothing-or-text",
        "(param \"a\" string) (param \"b\" (list u8)) (result (result (error string)))",
    ),
    ("maybe-bytes", "(param \"a\" (list u8)) (param \"b\" string) (result (option (list u8)))"),
];

#[test]
fn a_typed_shape_answers_as_values_one_by_one_do() {
    let guest = choosing();
    for (name, types) in CHOICES {
        let (typed, dynamic) = (guest.plan(name), guest.plan(name).through_val());
        assert!(typed.is_typed(), "{name}: {types}");
        for (a, b) in [("", "second"), ("first", ""), ("", ""), ("first", "second")] {
            let bytes = |text: &str| format!("{:?}", text.as_bytes());
            let positional = if name == "maybe-bytes" {
                format!("[{},{b:?}]", bytes(a))
            } else {
                format!("[{a:?},{}]", bytes(b))
            };
            let answer = guest.call_by(&typed, name, &positional, 1000).unwrap();
            let same = guest.call_by(&dynamic, name, &positional, 1000).unwrap();
            assert_eq!(answer, same, "{name}{positional}");
        }
    }
    let error = guest.call("bytes-or-text", "[\"no\",[]]", 100).unwrap();
    assert_eq!(error, Answer::Application(b"\"no\"".to_vec()));
    let bytes = guest.call("bytes-or-text", "[\"\",[104,105]]", 100).unwrap();
    assert_eq!(bytes, Answer::Ok(b"{\"base64\":\"aGk=\"}".to_vec()));
}

#[test]
fn arguments_of_another_method_are_refused() {
    let guest = choosing();
    let prepared = guest.plan("maybe-bytes").prepare(Some(b"[[],\"\"]"), None).unwrap();
    let plan = guest.plan("bytes-or-text");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(async {
        let mut store = Store::new(&guest.engine, ());
        let linker = Linker::new(&guest.engine);
        let instance = linker.instantiate_async(&mut store, &guest.component).await.unwrap();
        let function = instance.get_func(&mut store, "bytes-or-text").unwrap();
        plan.call(&mut store, function, prepared, 100).await.unwrap_err()
    });
    assert_eq!(error.to_string(), "the arguments were prepared for another method");
}
