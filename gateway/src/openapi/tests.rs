//! The document in its parts. Whether it is one by the specification is asked of a validator in the
//! scenarios.

use jackfield_wire::ty::{Field, Signature};
use jackfield_wire::{Generation, ServiceName};

use super::*;

fn method(name: &str, params: &[(&str, Type)], result: Option<Type>) -> MethodInfo {
    let field = |(name, ty): &(&str, Type)| Field { name: (*name).into(), ty: ty.clone() };
    let signature = Signature { params: params.iter().map(field).collect(), result };
    MethodInfo {
        name: name.into(),
        qualified: format!("demo:math/calc@0.1.0#{name}"),
        wit: format!("{name}: func()"),
        params_schema: signature.params_schema(),
        result_schema: signature.result_schema(),
        signature,
        docs: Some("Does *it*.\n".into()),
        hidden: name.starts_with("cabi"),
    }
}

fn service(methods: Vec<MethodInfo>) -> Arc<ServiceInfo> {
    Arc::new(ServiceInfo {
        service: ServiceName::new("calc").unwrap(),
        version: Some("0.1.0".into()),
        generation: Generation::of_digest([7; 32]),
        docs: None,
        methods,
        refused: Vec::new(),
        rolled_back_from: None,
        rolled_back_because: None,
        rejected: None,
        quarantined: None,
    })
}

fn boxed(ty: Type) -> Option<Box<Type>> {
    Some(Box::new(ty))
}

fn everything() -> Value {
    let option = Type::Option(Box::new(Type::U64));
    let nested = Type::Option(Box::new(option.clone()));
    let point = Type::Record {
        name: Some("point".into()),
        fields: vec![Field { name: "x".into(), ty: Type::F64 }],
    };
    let services = vec![service(vec![
        method("add", &[("a", Type::F64), ("b", Type::F64), ("c", option)], Some(Type::F64)),
        method(
            "div",
            &[("p", point), ("q", Type::List(Box::new(Type::U8)))],
            Some(Type::Result {
                ok: boxed(Type::Tuple(vec![Type::Char])),
                err: boxed(Type::String),
            }),
        ),
        method("reset", &[], Some(Type::Result { ok: None, err: None })),
        method("maybe", &[("x", nested)], None),
        method("demo:math/calc@0.1.0#add", &[], None),
        method("cabi-init", &[], None),
    ])];
    let failed = vec![(ServiceName::new("gone").unwrap(), "nobody there".into())];
    document(&Listing { services, failed })
}

#[test]
fn a_body_is_an_object_by_name_or_an_array_by_position() {
    let document = everything();
    let body = &document["paths"]["/call/calc/add"]["post"]["requestBody"];
    let either = &body["content"]["application/json"]["schema"]["anyOf"];
    assert_eq!((&body["required"], &either[0]["type"]), (&json!(true), &json!("object")));
    assert_eq!(either[0]["required"], json!(["a", "b"]));
    assert_eq!(either[0].get("$schema"), None);
    // The option at the end may be left out.
    assert_eq!((&either[1]["minItems"], &either[1]["items"]), (&json!(2), &json!(false)));
    assert_eq!(either[1]["prefixItems"].as_array().unwrap().len(), 3);
    let maybe = &document["paths"]["/call/calc/maybe"]["post"]["requestBody"];
    assert_eq!(maybe["required"], false);
    assert_eq!(document["paths"]["/call/calc/reset"]["post"].get("requestBody"), None);
}

#[test]
fn every_reference_leads_somewhere() {
    let document = everything();
    let text = document.to_string();
    let references: Vec<_> = text.split(r##""$ref":"#"##).skip(1).collect();
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn a_qualified_name_is_one_segment_and_a_tools_own_method_is_left_out() {
    let document = everything();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert!(paths.contains(&"/call/calc/demo%3Amath%2Fcalc%400.1.0%23add".into()), "{paths:?}");
    assert_eq!(paths.len(), 5);
    assert!(document["info"]["description"].as_str().unwrap().contains("`gone`: nobody there"));
}

#[test]
fn a_methods_own_error_has_its_schema() {
    let document = everything();
    let responses =
        |method: &str| &document["paths"][format!("/call/calc/{method}")]["post"]["responses"];
    let own = &responses("div")["422"]["content"]["application/problem+json"]["schema"]["allOf"][1];
    assert_eq!(own["properties"]["error"]["type"], "string");
    assert_eq!(responses("add").get("422"), None);
    assert_eq!(responses("maybe")["200"]["content"]["application/json"]["schema"]["type"], "null");
}
