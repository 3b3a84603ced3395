//! Types, values of them, and JSON that may or may not fit, for property tests.

use std::collections::HashMap;

use jackfield_wire::Type;
use jackfield_wire::ty::{Case, Field};
use proptest::collection::vec;
use proptest::prelude::*;
use wasmtime::component::Val;

/// Any type that can travel, its records, variants, enums and flags named so that equal
/// structures have equal names and others have not.
pub(super) fn any_type() -> BoxedStrategy<Type> {
    let leaf = prop_oneof![
        8 => proptest::sample::select(SCALARS),
        1 => names(1..6).prop_map(|cases| Type::Enum { name: None, cases }),
        1 => names(1..33).prop_map(|flags| Type::Flags { name: None, flags }),
    ];
    let ty = leaf.prop_recursive(5, 24, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let side = proptest::option::of(boxed.clone());
        prop_oneof![
            2 => boxed.clone().prop_map(Type::List),
            2 => boxed.prop_map(Type::Option),
            1 => vec(inner.clone(), 1..4).prop_map(Type::Tuple),
            1 => (side.clone(), side).prop_map(|(ok, err)| Type::Result { ok, err }),
            2 => vec(inner.clone(), 1..5).prop_map(record),
            2 => vec(proptest::option::of(inner), 1..5).prop_map(variant),
        ]
    });
    ty.prop_map(|ty| with_names(ty, &mut HashMap::new())).boxed()
}

/// Any value of a type.
pub(super) fn any_value(ty: &Type) -> BoxedStrategy<Val> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Type::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        Type::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        Type::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        Type::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        Type::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        Type::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        Type::S64 => any::<i64>().prop_map(Val::S64).boxed(),
        Type::U64 => any::<u64>().prop_map(Val::U64).boxed(),
        Type::F32 => any::<u32>().prop_map(|bits| Val::Float32(f32::from_bits(bits))).boxed(),
        Type::F64 => any::<u64>().prop_map(|bits| Val::Float64(f64::from_bits(bits))).boxed(),
        Type::Char => any::<char>().prop_map(Val::Char).boxed(),
        Type::String => any::<String>().prop_map(Val::String).boxed(),
        other => any_compound(other),
    }
}

fn any_compound(ty: &Type) -> BoxedStrategy<Val> {
    match ty {
        Type::List(item) => vec(any_value(item), 0..4).prop_map(Val::List).boxed(),
        Type::Tuple(items) => all(items.iter()).prop_map(Val::Tuple).boxed(),
        Type::Option(item) => {
            let value = proptest::option::of(any_value(item).prop_map(Box::new));
            value.prop_map(Val::Option).boxed()
        }
        Type::Result { ok, err } => {
            let ok = any_payload(ok.as_deref()).prop_map(|value| Val::Result(Ok(value)));
            let err = any_payload(err.as_deref()).prop_map(|value| Val::Result(Err(value)));
            prop_oneof![ok, err].boxed()
        }
        Type::Record { fields, .. } => {
            let names: Vec<_> = fields.iter().map(|field| field.name.clone()).collect();
            let values = all(fields.iter().map(|field| &field.ty));
            values
                .prop_map(move |values| Val::Record(names.iter().cloned().zip(values).collect()))
                .boxed()
        }
        Type::Variant { cases, .. } => {
            let case = |case: &Case| {
                let name = case.name.clone();
                let payload = any_payload(case.ty.as_ref());
                payload.prop_map(move |value| Val::Variant(name.clone(), value)).boxed()
            };
            proptest::strategy::Union::new(cases.iter().map(case)).boxed()
        }
        Type::Enum { cases, .. } => {
            proptest::sample::select(cases.clone()).prop_map(Val::Enum).boxed()
        }
        Type::Flags { flags, .. } => {
            let count = flags.len();
            proptest::sample::subsequence(flags.clone(), 0..=count).prop_map(Val::Flags).boxed()
        }
        other => panic!("{other} is a scalar"),
    }
}

fn any_payload(ty: Option<&Type>) -> BoxedStrategy<Option<Box<Val>>> {
    match ty {
        Some(ty) => any_value(ty).prop_map(|value| Some(Box::new(value))).boxed(),
        None => Just(None).boxed(),
    }
}

fn all<'a>(types: impl Iterator<Item = &'a Type>) -> BoxedStrategy<Vec<Val>> {
    types.map(any_value).collect::<Vec<_>>().boxed()
}

/// Text that looks like JSON, of the kind that the mapping deals in.
pub(super) fn any_json() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|v| v.to_string()),
        any::<i64>().prop_map(|v| v.to_string()),
        any::<f64>().prop_map(|v| format!("{v:?}")),
        "\"(n[0-5]|ok|NaN|[0-9]{0,21}|\\PC{0,3})\"",
        "\\PC{0,4}",
    ];
    let key = prop_oneof!["n[0-5]", Just("ok".to_owned()), Just("some".to_owned())];
    leaf.prop_recursive(5, 24, 4, move |inner| {
        let entry =
            (key.clone(), inner.clone()).prop_map(|(key, value)| format!("{key:?}:{value}"));
        prop_oneof![
            vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec(entry, 0..4).prop_map(|items| format!("{{{}}}", items.join(","))),
        ]
    })
    .boxed()
}

fn names(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    count.prop_map(|count| (0..count).map(|i| format!("n{i}")).collect())
}

fn record(types: Vec<Type>) -> Type {
    let fields = types.into_iter().enumerate();
    let fields = fields.map(|(i, ty)| Field { name: format!("n{i}"), ty }).collect();
    Type::Record { name: None, fields }
}

fn variant(types: Vec<Option<Type>>) -> Type {
    let cases = types.into_iter().enumerate();
    let cases = cases.map(|(i, ty)| Case { name: format!("n{i}"), ty }).collect();
    Type::Variant { name: None, cases }
}

/// Names every type that needs it, after its structure.
fn with_names(ty: Type, known: &mut HashMap<Type, String>) -> Type {
    let boxed = |ty: Box<Type>, known: &mut _| Box::new(with_names(*ty, known));
    let mut ty = match ty {
        Type::List(item) => Type::List(boxed(item, known)),
        Type::Option(item) => Type::Option(boxed(item, known)),
        Type::Tuple(items) => {
            Type::Tuple(items.into_iter().map(|item| with_names(item, known)).collect())
        }
        Type::Result { ok, err } => {
            Type::Result { ok: ok.map(|ty| boxed(ty, known)), err: err.map(|ty| boxed(ty, known)) }
        }
        Type::Record { name, mut fields } => {
            fields.iter_mut().for_each(|field| field.ty = with_names(field.ty.clone(), known));
            Type::Record { name, fields }
        }
        Type::Variant { name, mut cases } => {
            for case in &mut cases {
                case.ty = case.ty.take().map(|ty| with_names(ty, known));
            }
            Type::Variant { name, cases }
        }
        other => other,
    };
    let next = format!("t{}", known.len());
    let structure = ty.clone();
    if let Type::Record { name, .. }
    | Type::Variant { name, .. }
    | Type::Enum { name, .. }
    | Type::Flags { name, .. } = &mut ty
    {
        *name = Some(known.entry(structure).or_insert(next).clone());
    }
    ty
}

const SCALARS: &[Type] = &[
    Type::Bool,
    Type::S8,
    Type::U8,
    Type::S16,
    Type::U16,
    Type::S32,
    Type::U32,
    Type::S64,
    Type::U64,
    Type::F32,
    Type::F64,
    Type::Char,
    Type::String,
];
