//! What a host does for a call, piece by piece: `cargo bench --workspace --bench parts`.

use std::process::ExitCode;

use jackfield_host::parts::{Bare, there_and_back};
use jackfield_parts::Part;
use jackfield_wire::Type;
use jackfield_wire::ty::{Case, Field};

fn main() -> ExitCode {
    jackfield_parts::main(env!("CARGO_MANIFEST_DIR"), || {
        let mut parts = mapping();
        parts.extend(calls());
        parts
    })
}

/// JSON to values and back, by type.
fn mapping() -> Vec<Part> {
    let part = |(name, ty, arguments): (&str, Type, &'static str)| {
        Part::new(format!("JSON and back: {name}"), there_and_back(&ty, arguments))
    };
    let [bytes, points] = [bytes(), points()].map(|text| &*text.leak());
    let list = |item| Type::List(Box::new(item));
    let result = Type::Result { ok: Some(Box::new(Type::U32)), err: Some(Box::new(Type::String)) };
    let tuple = Type::Tuple(vec![Type::U8, Type::String]);
    let all = [
        ("bool", Type::Bool, "[true]"),
        ("s32", Type::S32, "[-123456]"),
        ("u64", Type::U64, "[18446744073709551615]"),
        ("f64", Type::F64, "[2.718281828459045]"),
        ("char", Type::Char, r#"["ö"]"#),
        ("string", Type::String, r#"["a name of some length, for a message of ~100 bytes"]"#),
        ("list<u8>, 1 KiB", list(Type::U8), bytes),
        ("tuple<u8, string>", tuple, r#"[[7, "seven"]]"#),
        ("option<string>", Type::Option(Box::new(Type::String)), "[null]"),
        ("result<u32, string>", result, r#"[{"ok": 7}]"#),
        ("enum", Type::Enum { name: None, cases: words() }, r#"["write"]"#),
        ("flags", Type::Flags { name: None, flags: words() }, r#"[["read", "execute"]]"#),
        ("variant", variant(), r#"[{"dot": {"x": 1, "y": 2.5}}]"#),
        ("record", point(), r#"[{"x": 1, "y": 2.5}]"#),
        ("list<record>, 100", list(point()), points),
    ];
    all.into_iter().map(part).collect()
}

/// Pieces of a call, and whole ones without their stream.
fn calls() -> Vec<Part> {
    let host = Bare::new();
    let [greeter, calc] = ["greeter", "calc"].map(|name| {
        let bytes = std::fs::read(jackfield_guests::plugin(name)).expect("it is checked in");
        host.compile(bytes)
    });
    let mut parts = vec![Part::new("a permit, taken and given back", host.permit())];
    for (strategy, greeting, adding, manifest) in STRATEGIES {
        host.serve(greeting, &greeter, manifest);
        host.serve(adding, &calc, manifest);
        let greet = host.call(greeting, "greet", r#"["Ada"]"#);
        let add = host.call(adding, "add", "[1, 2]");
        parts.push(Part::new(format!("a call of greeter.greet, {strategy}"), greet));
        parts.push(Part::new(format!("a call of calc.add, {strategy}"), add));
    }
    let (found, swapped) =
        (host.look_up(STRATEGIES[0].1, "greet"), host.replace("swapped", &greeter));
    parts.push(Part::new("a method looked up", found));
    parts.push(Part::new("a hot-swap: linked, its methods read, served", swapped));
    parts
}

/// Each with the names of its services and its manifest. `concurrent` runs in a task of its own,
/// beside others: the benchmark `host` measures it.
const STRATEGIES: [(&str, &str, &str, &str); 3] = [
    ("fresh", "greeter-fresh", "calc-fresh", ""),
    (
        "reuse",
        "greeter-reuse",
        "calc-reuse",
        "[instances]\nstrategy = \"reuse\"\ncalls = 1000000\n",
    ),
    ("single", "greeter-single", "calc-single", "[instances]\nstrategy = \"single\"\n"),
];

fn words() -> Vec<String> {
    ["read", "write", "execute"].map(String::from).into()
}

fn point() -> Type {
    let field = |name: &str| Field { name: name.into(), ty: Type::F64 };
    Type::Record { name: None, fields: ["x", "y"].map(field).into() }
}

fn variant() -> Type {
    let case = |(name, ty): (&str, _)| Case { name: name.into(), ty };
    let cases = [("nothing", None), ("dot", Some(point())), ("label", Some(Type::String))];
    Type::Variant { name: None, cases: cases.map(case).into() }
}

/// Arguments with a list of 1 KiB.
fn bytes() -> String {
    format!(r#"[{{"base64": "{}"}}]"#, "AAEC".repeat(1024 / 3))
}

/// Arguments with a list of 100 records.
fn points() -> String {
    format!("[[{}]]", vec![r#"{"x": 1.5, "y": -2.25}"#; 100].join(", "))
}
