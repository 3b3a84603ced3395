//! The published vectors, `docs/json-mapping-vectors.json`.

use jackfield_wire::Type;
use jackfield_wire::ty::Signature;
use serde::Deserialize;

use super::properties::{read, write};
use crate::value::arguments::{Argument, ArgumentReader};

const VECTORS: &str = include_str!("../../../../docs/json-mapping-vectors.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    values: Vec<OfType>,
    calls: Vec<OfSignature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfType {
    wit: String,
    #[serde(rename = "type")]
    ty: Type,
    cases: Vec<ValueCase>,
}

/// JSON text in, and canonical JSON text out or an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueCase {
    #[serde(rename = "in")]
    input: String,
    out: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSignature {
    wit: String,
    signature: Signature,
    cases: Vec<CallCase>,
}

/// Arguments in, and the canonical text of each or an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallCase {
    positional: Option<String>,
    named: Option<String>,
    values: Option<Vec<String>>,
    error: Option<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).expect("the vectors are well-formed")
}

#[test]
fn every_vector_of_a_value_holds() {
    let mut wrong = Vec::new();
    for OfType { wit, ty, cases } in vectors().values {
        assert_eq!(ty.to_wit(), wit);
        for ValueCase { input, out, error } in cases {
            let expected = out.ok_or_else(|| error.expect("a vector has `out` or `error`"));
            let got = read(&ty, &input).map(|value| write(&ty, &value));
            if !agree(&got, &expected) {
                wrong.push(format!("{wit}: {input}\n  got      {got:?}\n  expected {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_vector_of_a_call_holds() {
    let mut wrong = Vec::new();
    for OfSignature { wit, signature, cases } in vectors().calls {
        assert_eq!(signature.to_wit("f"), wit);
        for case in cases {
            let error = case.error.clone();
            let expected = case.values.clone().ok_or_else(|| error.expect("`values` or `error`"));
            let got = arguments(&signature, &case);
            if !agree(&got, &expected) {
                let (positional, named) = (case.positional, case.named);
                wrong.push(format!(
                    "{wit}: {positional:?} {named:?}\n  got      {got:?}\n  expected {expected:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// An error that ends in `…` is the beginning of one.
fn agree<T: PartialEq>(got: &Result<T, String>, expected: &Result<T, String>) -> bool {
    match (got, expected) {
        (Err(got), Err(expected)) => match expected.strip_suffix('…') {
            Some(start) if got.len() > start.len() => got.starts_with(start),
            _ => got == expected,
        },
        _ => got == expected,
    }
}

fn arguments(signature: &Signature, case: &CallCase) -> Result<Vec<String>, String> {
    let reader = ArgumentReader { name: "f", signature, plain_bytes: false };
    let bytes = |text: &Option<String>| text.clone().map(String::into_bytes);
    let (positional, named) = (bytes(&case.positional), bytes(&case.named));
    let read = reader.read(positional.as_deref(), named.as_deref());
    let pairs = signature.params.iter().zip(read.map_err(|e| e.to_string())?);
    let texts = pairs.map(|(param, argument)| match argument {
        Argument::Val(value) => write(&param.ty, &value),
        Argument::Bytes(_) => panic!("bytes were not asked for"),
    });
    Ok(texts.collect())
}
