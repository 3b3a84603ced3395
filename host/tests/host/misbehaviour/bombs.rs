//! Files that are made to hurt whoever reads, compiles or describes them.
//!
//! Each is made here: as files they would be megabytes of one repeated line.

use std::fmt::Write as _;

use jackfield_wire::{Executed, FrameKind, Status};
use serde_json::json;

use crate::rig::{Rig, answer, wat};

/// A component around one core module, whose function `ping` gives 1.
fn around(module: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component
            (core module $m {module} (func (export "ping") (result i32) (i32.const 1)))
            (core instance $i (instantiate $m))
            (func (export "ping") (result u32) (canon lift (core func $i "ping"))))"#
    ))
}

/// What the host said of `bytes`, which must be nothing good; its neighbour does not mind.
async fn refusal(bytes: Vec<u8>) -> String {
    let rig = Rig::beside_neighbour(&[("bomb.wasm", bytes)], |_| {}).await;
    let rejected = rig.host.rejected();
    assert_eq!(rejected.len(), 1, "{:?}", rig.host.services());
    let reply = rig.call("bomb.ping", json!([])).await;
    reply.failed(Status::NotFound, Executed::No, &["bomb.wasm was rejected"]);
    rig.is_unharmed().await;
    rejected[0].reason.clone()
}

#[tokio::test]
async fn ten_thousand_tables_are_refused() {
    let reason = refusal(around(&"(table 1 funcref)".repeat(10_000))).await;
    assert!(reason.contains("table"), "{reason}");
}

#[tokio::test]
async fn a_table_that_starts_larger_than_the_limit_is_refused() {
    let reason = refusal(around("(table 4000000000 funcref)")).await;
    assert!(reason.contains("table"), "{reason}");
}

#[tokio::test]
async fn a_memory_that_starts_at_four_gigabytes_is_refused() {
    let reason = refusal(around("(memory 65536)")).await;
    assert!(reason.contains("memory"), "{reason}");
}

#[tokio::test]
async fn more_instances_than_the_limit_are_refused() {
    let instances = "(core instance (instantiate $e))".repeat(300);
    let crowd = wat(&format!(
        r#"(component
            (core module $e)
            {instances}
            (core module $m (func (export "ping") (result i32) (i32.const 1)))
            (core instance $i (instantiate $m))
            (func (export "ping") (result u32) (canon lift (core func $i "ping"))))"#
    ));
    let reason = refusal(crowd).await;
    assert!(reason.contains("instances"), "{reason}");
}

/// A component within a component, `levels` deep. In bytes, because the text form's reader has a
/// depth of its own.
fn nested(levels: usize) -> Vec<u8> {
    let header = b"\0asm\x0d\0\x01\0";
    let (mut heads, mut size) = (vec![header.to_vec()], header.len());
    for _ in 1..levels {
        let mut head = [header, &[COMPONENT_SECTION][..]].concat();
        leb(&mut head, size);
        size += head.len();
        heads.push(head);
    }
    heads.reverse();
    heads.concat()
}

#[tokio::test]
async fn components_nested_without_end_are_refused() {
    for levels in [65, 20_000, 1_000_000] {
        let reason = refusal(nested(levels)).await;
        assert!(reason.contains("deeper than 64 levels"), "{reason}");
    }
    let reason = refusal(nested(64)).await;
    assert!(reason.contains("exports no function"), "{reason}");
}

/// The number of the section of a component that holds a component.
const COMPONENT_SECTION: u8 = 4;

/// An unsigned number as WebAssembly writes it.
fn leb(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Beside `ping`, a function `take` whose parameter has the type `$t`, which `types` defines.
fn taking(types: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func (export "take") (param i32 i32))
                (func (export "ping") (result i32) (i32.const 1)))
            (core instance $i (instantiate $m))
            {types}
            (func (export "take") (param "value" $t) (canon lift (core func $i "take")
                (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
            (func (export "ping") (result u32) (canon lift (core func $i "ping"))))"#
    ))
}

#[tokio::test]
async fn types_nested_too_deep_cannot_be_called_and_the_rest_can() {
    let mut types = String::from("(type $t0 (list u8))");
    for level in 1..90 {
        write!(types, "(type $t{level} (list $t{}))", level - 1).expect("text can be written");
    }
    types.push_str("(type $t (list $t89))");
    let rig = Rig::beside_neighbour(&[("deep.wasm", taking(&types))], |_| {}).await;
    let reply = rig.call("deep.take", json!([[]])).await;
    reply.failed(Status::NotFound, Executed::No, &["deeper than 64 levels"]);
    assert_eq!(rig.call("deep.ping", json!([])).await.ok(), json!(1));
    rig.is_unharmed().await;
}

#[tokio::test]
async fn types_that_double_with_every_level_cannot_be_called_and_the_rest_can() {
    let mut types = String::from("(type $t0 (list u8))");
    for level in 1..8 {
        let before = level - 1;
        write!(types, "(type $t{level} (tuple $t{before} $t{before} $t{before} $t{before}))")
            .expect("text can be written");
    }
    types.push_str("(type $t (list $t7))");
    let rig = Rig::beside_neighbour(&[("wide.wasm", taking(&types))], |_| {}).await;
    let reply = rig.call("wide.take", json!([[]])).await;
    reply.failed(Status::NotFound, Executed::No, &["more than 10000 parts"]);
    assert_eq!(rig.call("wide.ping", json!([])).await.ok(), json!(1));
    rig.is_unharmed().await;
}

#[tokio::test]
async fn values_nested_deeper_than_their_type_are_refused_before_any_guest_runs() {
    let files = [("list.wasm", taking("(type $t (list u8))"))];
    let rig = Rig::beside_neighbour(&files, |_| {}).await;
    for open in ["[", "{\"a\":", "[{\"some\":"] {
        let arguments = format!("[{}", open.repeat(200_000));
        let raw = [(FrameKind::Positional, arguments.as_bytes())];
        for target in ["list.take", "list.ping"] {
            let mut exchange = rig.caller.start_raw(target, &raw, None).await;
            answer(&mut exchange).await.failed(Status::InvalidArgument, Executed::No, &[]);
        }
    }
    rig.is_unharmed().await;
}
