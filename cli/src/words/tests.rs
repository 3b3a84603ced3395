//! Words by type.

use super::*;
use jackfield_wire::ty::{Case, Field};

fn field(name: &str, ty: Type) -> Field {
    Field { name: name.into(), ty }
}

fn option(ty: Type) -> Type {
    Type::Option(Box::new(ty))
}

fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

fn point() -> Type {
    let fields =
        vec![field("x", Type::F64), field("y", Type::F64), field("tag", option(Type::String))];
    Type::Record { name: Some("point".into()), fields }
}

fn shape() -> Type {
    let case = |name: &str, ty| Case { name: name.into(), ty };
    let cases =
        vec![case("empty", None), case("circle", Some(Type::F64)), case("dot", Some(point()))];
    Type::Variant { name: Some("shape".into()), cases }
}

fn rights() -> Type {
    Type::Flags { name: Some("rights".into()), flags: vec!["read".into(), "write".into()] }
}

fn color() -> Type {
    Type::Enum { name: Some("color".into()), cases: vec!["red".into(), "list".into()] }
}

fn result(ok: Option<Type>, err: Option<Type>) -> Type {
    Type::Result { ok: ok.map(Box::new), err: err.map(Box::new) }
}

#[track_caller]
fn reads(ty: &Type, pairs: &[(&str, Value)]) {
    for (text, expected) in pairs {
        assert_eq!(read_word(text, ty).as_ref(), Ok(expected), "{text} as {ty}");
    }
}

#[track_caller]
fn refuses(ty: &Type, text: &str, parts: &[&str]) {
    let error = read_word(text, ty).unwrap_err();
    assert!(!error.contains('\n'), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn a_string_is_the_word_as_it_stands() {
    reads(&Type::String, &[("Ada", "Ada".into()), ("12", "12".into()), ("\"a\"", "\"a\"".into())]);
    let ty = option(Type::String);
    reads(
        &ty,
        &[
            ("Ada", "Ada".into()),
            ("none", Value::Null),
            ("some(\"none\")", "none".into()),
            ("some day", "some day".into()),
        ],
    );
}

#[test]
fn a_char_needs_no_quotes() {
    let expected = |c: &str| Value::from(c);
    reads(&Type::Char, &[("a", expected("a")), ("'b'", expected("b")), ("\"é\"", expected("é"))]);
    reads(&Type::Char, &[("'", expected("'")), ("7", expected("7"))]);
    refuses(&Type::Char, "ab", &["expected char, got \"ab\""]);
}

#[test]
fn numbers_are_checked_by_their_range() {
    reads(&Type::U8, &[("255", json!(255)), ("3.0", json!(3)), ("1e2", json!(100))]);
    reads(&Type::U64, &[("18446744073709551615", json!(u64::MAX))]);
    reads(&Type::S64, &[("-9223372036854775808", json!(i64::MIN))]);
    refuses(&Type::U8, "256", &["expected u8 (0 to 255), got \"256\""]);
    refuses(&Type::U8, "x", &["expected u8"]);
    refuses(&Type::U64, "1e19", &["expected u64"]);
}

#[test]
fn floats_have_their_names() {
    reads(&Type::F64, &[("-1", json!(-1.0)), ("1e3", json!(1000.0))]);
    reads(&Type::F64, &[("NaN", "NaN".into()), ("nan", "NaN".into())]);
    reads(&Type::F32, &[("inf", "Infinity".into()), ("-Infinity", "-Infinity".into())]);
    refuses(&Type::F64, "1e999", &["expected f64"]);
    refuses(&Type::F64, "a", &["expected f64, got \"a\""]);
}

#[test]
fn a_name_needs_no_quotes() {
    reads(&color(), &[("red", "red".into()), ("list", "list".into()), ("%list", "list".into())]);
    refuses(&color(), "rde", &["enum color { red, %list }", "did you mean red?"]);
    reads(&shape(), &[("empty", "empty".into()), ("\"empty\"", "empty".into())]);
}

#[test]
fn json_and_wave_say_the_same() {
    let both = json!({ "x": 1.0, "y": 2 });
    reads(&point(), &[("{\"x\": 1.0, \"y\": 2}", both)]);
    reads(&point(), &[("{x: 1.0, y: 2}", json!({ "x": 1.0, "y": 2.0 }))]);
    reads(&point(), &[("{x: 1, y: 2, tag: \"a\"}", json!({ "x": 1.0, "y": 2.0, "tag": "a" }))]);
    reads(&shape(), &[("circle(2.0)", json!({ "circle": 2.0 }))]);
    reads(&shape(), &[("{\"circle\": 2.0}", json!({ "circle": 2.0 }))]);
    reads(&rights(), &[("{read, write}", json!(["read", "write"])), ("{}", json!([]))]);
    reads(&rights(), &[("[\"read\"]", json!(["read"]))]);
    reads(
        &list(Type::U8),
        &[("[1, 2]", json!([1, 2])), ("{\"base64\":\"\"}", json!({ "base64": "" }))],
    );
    reads(&list(color()), &[("[red, %list]", json!(["red", "list"]))]);
    reads(&Type::Tuple(vec![Type::U8, Type::String]), &[("(1, \"a\")", json!([1, "a"]))]);
    reads(&Type::Tuple(vec![Type::U8, Type::String]), &[("[1, \"a\"]", json!([1, "a"]))]);
}

#[test]
fn options_and_results_are_told_from_what_they_hold() {
    reads(&option(Type::U8), &[("3", json!(3)), ("some(3)", json!(3)), ("none", Value::Null)]);
    let nested = option(option(Type::U8));
    reads(
        &nested,
        &[("some(some(3))", json!({ "some": 3 })), ("some(none)", json!({ "some": null }))],
    );
    reads(&nested, &[("{\"some\": 3}", json!({ "some": 3 })), ("null", Value::Null)]);
    let ty = result(Some(Type::U8), Some(Type::String));
    reads(&ty, &[("ok(1)", json!({ "ok": 1 })), ("err(\"x\")", json!({ "err": "x" }))]);
    reads(&ty, &[("1", json!({ "ok": 1 })), ("{\"ok\":1}", json!({ "ok": 1 }))]);
    reads(&result(None, None), &[("ok", json!({ "ok": null })), ("err", json!({ "err": null }))]);
    reads(&list(option(Type::U8)), &[("[some(1), none, 2]", json!([1, null, 2]))]);
}

#[test]
fn a_fault_inside_wave_is_told_with_its_place() {
    refuses(&point(), "{x: \"a\", y: 2}", &["at x: expected f64, got \"a\""]);
    refuses(&point(), "{x: 1, z: 2}", &["no field \"z\"", "x, y, tag"]);
    refuses(&point(), "{x: 1}", &["field y: f64 is missing", "record point { x: f64"]);
    refuses(&shape(), "circel(1)", &["did you mean circle?"]);
    refuses(&shape(), "circle", &["circle carries f64"]);
    refuses(&shape(), "empty(1)", &["empty carries nothing"]);
    let pair = Type::Tuple(vec![Type::U8, Type::U8]);
    refuses(&pair, "(1, 300)", &["at [1]: expected u8 (0 to 255), got \"300\""]);
    refuses(&shape(), "dot({x: 1, y: b})", &["at dot.y: expected f64, got b"]);
    refuses(&rights(), "{raed}", &["no flag \"raed\"; did you mean read?"]);
}

#[test]
fn what_is_neither_json_nor_wave_gets_an_example() {
    refuses(&point(), "{", &["expected record point", "such as {\"", "neither JSON nor WAVE"]);
    refuses(&list(Type::Bool), &"[".repeat(100_000), &["expected list<bool>", "…"]);
    refuses(&list(Type::Bool), "", &["expected list<bool>"]);
}
