//! What holds for every type and every value.

use jackfield_wire::Type;
use jackfield_wire::ty::Signature;
use proptest::prelude::*;
use wasmtime::component::Val;

use super::component::{function, plan_of};
use super::generate::{any_json, any_type, any_value};
use crate::value::arguments::{Argument, ArgumentReader};
use crate::value::write::Writer;

/// The JSON text of a value.
pub(super) fn write(ty: &Type, value: &Val) -> String {
    let mut writer = Writer::new(usize::MAX);
    writer.value(ty, value).expect("the value has the type");
    String::from_utf8(writer.finish()).expect("JSON is UTF-8")
}

/// The value of a JSON text, as the argument `v` of a function.
pub(super) fn read(ty: &Type, text: &str) -> Result<Val, String> {
    let signature = function(&[("v", ty.clone())], None);
    let named = format!("{{\"v\":{text}}}");
    let reader = ArgumentReader { name: "f", signature: &signature, plain_bytes: false };
    let arguments = reader.read(None, Some(named.as_bytes())).map_err(|e| e.to_string())?;
    match arguments.into_iter().next() {
        Some(Argument::Val(value)) => Ok(value),
        other => panic!("one value was expected, got {other:?}"),
    }
}

fn type_and_value() -> impl Strategy<Value = (Type, Val)> {
    any_type().prop_flat_map(|ty| {
        let value = any_value(&ty);
        (Just(ty), value)
    })
}

proptest! {
    #[test]
    fn every_value_comes_back_from_its_json((ty, value) in type_and_value()) {
        let text = write(&ty, &value);
        let back = read(&ty, &text).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&back, &value, "{} as {}", text, ty);
        prop_assert_eq!(write(&ty, &back), text);
    }

    #[test]
    fn written_text_is_json_for_others_too((ty, value) in type_and_value()) {
        let text = write(&ty, &value);
        let parsed = serde_json::from_str::<serde_json::Value>(&text);
        prop_assert!(parsed.is_ok(), "{}: {:?}", text, parsed);
    }

    #[test]
    fn the_example_of_a_type_is_accepted(ty in any_type()) {
        let text = ty.example().to_string();
        let read = read(&ty, &text);
        prop_assert!(read.is_ok(), "{} as {}: {:?}", text, ty, read);
    }

    #[test]
    fn no_json_makes_the_reader_panic(ty in any_type(), text in any_json()) {
        if let Err(error) = read(&ty, &text) {
            prop_assert!(!error.contains('\n') && error.chars().count() < 800, "{}", error);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        types in proptest::collection::vec(any_type(), 0..3),
        positional in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        named in proptest::option::of(any_json()),
    ) {
        let params = types.into_iter().zip(["n0", "n1", "n2"]).map(|(ty, name)| (name, ty));
        let signature = function(&params.collect::<Vec<_>>(), None);
        let reader = ArgumentReader { name: "f", signature: &signature, plain_bytes: true };
        let _ = reader.read(positional.as_deref(), named.as_deref().map(str::as_bytes));
    }

    #[test]
    fn what_reads_is_a_value_of_the_type(ty in any_type(), text in any_json()) {
        if let Ok(value) = read(&ty, &text) {
            let canonical = write(&ty, &value);
            prop_assert_eq!(read(&ty, &canonical), Ok(value), "{} as {}", text, ty);
        }
    }
}

proptest! {
    // Each case compiles a component.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_component_shows_the_types_it_was_made_of(
        types in proptest::collection::vec(any_type(), 1..2), result in any_type(),
    ) {
        let params: Vec<_> = types.iter().map(|ty| ("p", ty.clone())).collect();
        for signature in [function(&params, None), function(&[], Some(result))] {
            let plan = plan_of(&signature);
            prop_assert_eq!(plan.signature(), &signature);
        }
    }
}

#[test]
fn a_million_open_brackets_are_refused() {
    let text = "[".repeat(1_000_000);
    let mut ty = Type::U8;
    for _ in 0..60 {
        ty = Type::List(Box::new(ty));
    }
    for ty in [ty, Type::String, Type::List(Box::new(Type::U8))] {
        let error = read(&ty, &text).unwrap_err();
        assert!(error.len() < 400, "{error}");
    }
    let signature = Signature { params: vec![], result: None };
    let reader = ArgumentReader { name: "f", signature: &signature, plain_bytes: false };
    assert!(reader.read(Some(text.as_bytes()), None).is_err());
}

#[test]
fn the_deepest_type_that_loads_can_be_read_and_written() {
    let mut ty = Type::U8;
    let mut value = Val::U8(1);
    for _ in 0..62 {
        ty = Type::Option(Box::new(ty));
        value = Val::Option(Some(Box::new(value)));
    }
    let ty = Type::List(Box::new(ty));
    let value = Val::List(vec![value]);
    plan_of(&function(&[("v", ty.clone())], None));
    let text = write(&ty, &value);
    assert_eq!(read(&ty, &text), Ok(value));
}

#[test]
fn more_values_than_the_limit_are_refused() {
    let text = format!("[{}0]", "0,".repeat(2_000_000));
    let error = read(&Type::List(Box::new(Type::U16)), &text).unwrap_err();
    assert!(error.ends_with("more than 2000000 values in one call"), "{error}");
}

#[test]
fn a_result_past_the_limit_is_refused() {
    let text = Val::String("x".repeat(100));
    let mut writer = Writer::new(101);
    let error = writer.value(&Type::String, &text).unwrap_err();
    assert_eq!(error.to_string(), "the result takes more than 101 bytes of JSON");
    assert!(Writer::new(102).value(&Type::String, &text).is_ok());
}
