//! What the vectors cannot hold: bytes that are no text, and arguments for another method.

use jackfield_wire::Type;

use super::component::{function, plan_of};
use crate::value::MethodPlan;

fn error(plan: &MethodPlan, positional: &[u8]) -> String {
    plan.prepare(Some(positional), None).expect_err("these do not fit").to_string()
}

#[test]
fn invalid_utf8_is_told_with_its_place() {
    let plan = plan_of(&function(&[("text", Type::String)], None));
    let error = error(&plan, b"[\"\xff\xfe\"]");
    assert!(error.starts_with("at $.text: not valid JSON: invalid unicode"), "{error}");
}

#[test]
fn truncated_text_is_told_with_its_place() {
    let plan = plan_of(&function(&[("a", Type::F64), ("b", Type::F64)], None));
    let error = error(&plan, b"[1, ");
    assert!(error.starts_with("at $.b: not valid JSON: EOF"), "{error}");
}

#[test]
fn text_after_the_end_is_refused() {
    let plan = plan_of(&function(&[("a", Type::F64)], None));
    let error = error(&plan, b"[1] 2");
    assert!(error.contains("trailing characters"), "{error}");
}

#[test]
fn arguments_that_are_no_array_are_refused() {
    let plan = plan_of(&function(&[("a", Type::F64)], None));
    let error = error(&plan, b"{\"a\": 1}");
    assert!(error.contains("expected a JSON array of positional arguments"), "{error}");
}

#[test]
fn bytes_of_a_typed_shape_are_checked_alike() {
    let bytes = Type::List(Box::new(Type::U8));
    let typed = plan_of(&function(&[("data", bytes.clone())], Some(Type::U32)));
    let dynamic = plan_of(&function(&[("data", bytes)], Some(Type::F64)));
    assert!(typed.is_typed() && !dynamic.is_typed());
    for text in [
        "[256]",
        "[1,\"a\"]",
        "[{}]",
        "[null]",
        "[\"aGk=\"]",
        "[[256]]",
        "[{\"base64\":3}]",
        "[{\"base64\":\"a\"}]",
        "[{\"base64\":\"\",\"b\":1}]",
        "[{\"bas64\":\"\"}]",
        "[true]",
        "[1.5]",
    ] {
        assert_eq!(error(&typed, text.as_bytes()), error(&dynamic, text.as_bytes()), "{text}");
    }
}
