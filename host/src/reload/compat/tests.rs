use super::*;

fn option(ty: Type) -> Type {
    Type::Option(Box::new(ty))
}

fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

fn field(name: &str, ty: Type) -> Field {
    Field { name: name.into(), ty }
}

fn record_of(fields: &[(&str, Type)]) -> Type {
    let fields = fields.iter().map(|(name, ty)| field(name, ty.clone())).collect();
    Type::Record { name: None, fields }
}

fn enum_of(cases: &[&str]) -> Type {
    Type::Enum { name: Some("e".into()), cases: cases.iter().map(|&case| case.into()).collect() }
}

fn variant_of(cases: &[(&str, Option<Type>)]) -> Type {
    let case = |(name, ty): &(&str, Option<Type>)| Case { name: (*name).into(), ty: ty.clone() };
    Type::Variant { name: None, cases: cases.iter().map(case).collect() }
}

fn takes(params: &[(&str, Type)]) -> Signature {
    let params = params.iter().map(|(name, ty)| field(name, ty.clone())).collect();
    Signature { params, result: None }
}

fn gives(result: Type) -> Signature {
    Signature { params: Vec::new(), result: Some(result) }
}

/// Types of which the second takes all that the first does, and the first gives all that the
/// second gives, but not the other way round.
fn widenings() -> Vec<(Type, Type)> {
    vec![
        (Type::U8, Type::U64),
        (Type::U8, Type::S16),
        (Type::S16, Type::S32),
        (Type::U32, Type::F64),
        (Type::F32, Type::F64),
        (Type::Char, Type::String),
        (Type::U32, option(Type::U32)),
        (list(Type::U16), list(Type::U32)),
        (enum_of(&["a"]), enum_of(&["b", "a"])),
        (variant_of(&[("a", None)]), variant_of(&[("a", None), ("b", Some(Type::Bool))])),
        (record_of(&[("x", Type::S8)]), record_of(&[("x", Type::S32)])),
        (Type::Tuple(vec![Type::S8]), Type::Tuple(vec![Type::S32])),
    ]
}

/// Types of which neither does for the other.
fn strangers() -> Vec<(Type, Type)> {
    vec![
        (Type::U32, Type::S32),
        (Type::U64, Type::F64),
        (Type::U32, Type::F32),
        (Type::String, Type::U32),
        (list(Type::U8), list(Type::U16)),
        (option(Type::U8), option(option(Type::U8))),
        (Type::U8, option(option(Type::U8))),
        (Type::Tuple(vec![Type::U8]), Type::Tuple(vec![Type::U8, Type::U8])),
        (enum_of(&["a"]), enum_of(&["b"])),
        (variant_of(&[("a", None)]), variant_of(&[("a", Some(Type::Bool))])),
        (record_of(&[("x", Type::U8)]), record_of(&[("y", Type::U8)])),
    ]
}

#[test]
fn what_is_taken_may_widen_and_what_is_given_may_narrow() {
    for (narrow, wide) in widenings() {
        let (n, w) = (takes(&[("a", narrow.clone())]), takes(&[("a", wide.clone())]));
        assert!(goes_on(&n, &w), "taken: {narrow:?} to {wide:?}");
        assert!(!goes_on(&w, &n), "taken: {wide:?} to {narrow:?}");
        assert!(goes_on(&gives(wide.clone()), &gives(narrow.clone())), "{wide:?} to {narrow:?}");
        assert!(!goes_on(&gives(narrow.clone()), &gives(wide.clone())), "{narrow:?} to {wide:?}");
    }
}

#[test]
fn types_that_have_nothing_to_do_with_each_other_fit_nowhere() {
    for (one, other) in strangers() {
        for (old, new) in [(&one, &other), (&other, &one)] {
            let (from, to) = (takes(&[("a", old.clone())]), takes(&[("a", new.clone())]));
            assert!(!goes_on(&from, &to), "taken: {old:?} to {new:?}");
            assert!(!goes_on(&gives(old.clone()), &gives(new.clone())), "{old:?} to {new:?}");
        }
    }
}

#[test]
fn every_type_fits_itself_whatever_it_is_called() {
    for (one, other) in widenings().into_iter().chain(strangers()) {
        for ty in [one, other] {
            assert!(goes_on(&takes(&[("a", ty.clone())]), &takes(&[("a", ty.clone())])));
            assert!(goes_on(&gives(ty.clone()), &gives(ty)));
        }
    }
    let named = |name: &str| Type::Flags { name: Some(name.into()), flags: vec!["a".into()] };
    assert!(goes_on(&gives(named("old")), &gives(named("new"))));
}

#[test]
fn records_take_more_options_and_give_more_fields() {
    let old = record_of(&[("x", Type::U8)]);
    let optional = record_of(&[("y", option(Type::U8)), ("x", Type::U8)]);
    let needed = record_of(&[("x", Type::U8), ("y", Type::U8)]);
    let taken = |ty: &Type| takes(&[("a", ty.clone())]);
    assert!(goes_on(&taken(&old), &taken(&optional)));
    assert!(!goes_on(&taken(&old), &taken(&needed)));
    assert!(!goes_on(&taken(&optional), &taken(&old)));
    assert!(goes_on(&gives(old.clone()), &gives(needed.clone())));
    assert!(!goes_on(&gives(needed), &gives(old)));
}

#[test]
fn parameters_keep_their_names_and_places_and_new_ones_may_be_left_out() {
    let old = takes(&[("a", Type::U8), ("b", Type::U8)]);
    let with = |last: (&str, Type)| takes(&[("a", Type::U8), ("b", Type::U8), last]);
    assert!(goes_on(&old, &with(("c", option(Type::U8)))));
    assert!(!goes_on(&old, &with(("c", Type::U8))));
    assert!(!goes_on(&with(("c", option(Type::U8))), &old));
    assert!(!goes_on(&old, &takes(&[("b", Type::U8), ("a", Type::U8)])));
    assert!(!goes_on(&takes(&[]), &gives(Type::U8)));
}

#[test]
fn each_method_that_breaks_is_named_with_what_it_was_and_is() {
    let method = |name: &str, wit: &str, signature| MethodInfo {
        name: name.into(),
        qualified: name.into(),
        signature,
        wit: wit.into(),
        params_schema: serde_json::Value::Null,
        result_schema: None,
        docs: None,
        hidden: name == "init",
    };
    let old = [
        method("add", "add: func() -> u8", gives(Type::U8)),
        method("sub", "sub: func() -> u8", gives(Type::U8)),
        method("mul", "mul: func() -> u8", gives(Type::U8)),
        method("init", "init: func()", takes(&[])),
    ];
    let new = [
        method("add", "add: func() -> string", gives(Type::String)),
        method("mul", "mul: func() -> u8", gives(Type::U8)),
        method("more", "more: func()", takes(&[])),
    ];
    let find = |name: &str| new.iter().find(|method| method.name == name);
    let found = super::list(&broken(old.iter(), find));
    let expected = "`add` was `add: func() -> u8` and is `add: func() -> string`; `sub` is gone \
                    (it was `sub: func() -> u8`)";
    assert_eq!(found, expected);
}

#[test]
fn a_version_announces_a_break_as_semantic_versions_do() {
    for (old, new, announced) in [
        ("1.2.3", "2.0.0", true),
        ("1.2.3", "1.3.0", false),
        ("0.2.3", "0.3.0", true),
        ("0.2.3", "0.2.4", false),
        ("0.2.3", "1.0.0", true),
        ("2.0.0", "1.0.0", false),
        ("2.0.0", "no version", false),
    ] {
        assert_eq!(is_announced(Some(old), Some(new)), announced, "{old} to {new}");
    }
    assert!(!is_announced(None, Some("1.0.0")));
    assert!(advice(Some("0.2.3")).ends_with("from 0.2.3 to 0.3.0"));
    assert!(advice(Some("1.2.3")).ends_with("from 1.2.3 to 2.0.0"));
}
