//! Calls that cannot be answered, and what their callers are told.

use crate::Cluster;

/// Every case: the words after `call`, the exit code, and what the error must say.
fn each_is_told(cluster: &Cluster, cases: &[(&[&str], i32, &[&str])]) {
    for (args, code, parts) in cases {
        let done = cluster.refused(args);
        assert_eq!(done.code, Some(*code), "{args:?}: {done:?}");
        for part in *parts {
            assert!(done.stderr.contains(part), "{args:?} does not say {part:?}: {}", done.stderr);
        }
        assert_eq!(done.stdout, "", "{args:?}");
    }
}

#[test]
fn wrong_names_are_answered_with_the_nearest_ones() {
    let cluster = Cluster::with(&["calc", "greeter"]);
    each_is_told(
        &cluster,
        &[
            (&["calk.add", "1", "2"], NOT_FOUND, &["calk", "calc"]),
            (&["calc.ad", "1", "2"], NOT_FOUND, &["ad", "add"]),
            (&["calc.add", "1", "2", "--cc", "3"], USAGE, &["cc", "c"]),
            (&["calc"], USAGE, &["SERVICE.METHOD"]),
            (&["calc.add", "-d", r#"{"a": 1, "b": 2, "d": 3}"#], USAGE, &["\"d\"", "add: func("]),
        ],
    );
}

#[test]
fn wrong_arguments_are_answered_with_place_and_type() {
    let cluster = Cluster::with(&["calc", "shapes"]);
    let point = r#"[{"circle": {"center": {"x": "a", "y": 0}, "radius": 1}}]"#;
    each_is_told(
        &cluster,
        &[
            (&["calc.add", "1"], USAGE, &["b", "add: func("]),
            (&["calc.add", "1", "2", "3", "4"], USAGE, &["4", "add: func("]),
            (&["calc.add", "1", "2", "--a", "3"], USAGE, &["a"]),
            (&["calc.add", "-d", r#"{"a": 1, "a": 2, "b": 3}"#], USAGE, &["a"]),
            (&["calc.add", "-d", r#"["x", 2]"#], USAGE, &["$.a", "f64"]),
            (&["calc.fib", "-1"], USAGE, &["u32"]),
            (&["calc.fib", "4294967296"], USAGE, &["u32"]),
            (&["calc.fib", "NaN"], USAGE, &["u32"]),
            (&["calc.fib", "1.5"], USAGE, &["u32"]),
            (&["shapes.area", "-d", point], USAGE, &["center.x", "f64"]),
            (&["calc.add", "-d", "[1, 2"], USAGE, &["JSON"]),
            (&["calc.add", "-d", "@/no/such/file"], USAGE, &["/no/such/file"]),
        ],
    );
}

#[test]
fn a_million_nested_arrays_are_refused() {
    let cluster = Cluster::with(&["calc"]);
    let file = cluster.stage.home().join("deep.json");
    std::fs::write(&file, "[".repeat(1_000_000)).unwrap();
    let done = cluster.refused(&["calc.mean", "-d", &format!("@{}", file.display())]);
    assert_eq!(done.code, Some(USAGE), "{done:?}");
    assert_eq!(cluster.call(&["calc.add", "1", "2"]), 3.0);
}

#[test]
fn each_way_a_method_can_fail_has_its_exit_code() {
    let cluster = Cluster::with_fixtures(&[
        ("trap", "trap"),
        ("spin", "spin"),
        ("sleeper", "sleeper"),
        ("panicking", "panicking"),
    ]);
    cluster.folder.add("calc").unwrap();
    cluster.until("calc is there", |list| list.len() == 5);
    each_is_told(
        &cluster,
        &[
            (&["calc.div", "1", "0"], APPLICATION, &["division by zero"]),
            (&["trap.unreachable"], TRAPPED, &["trap"]),
            (&["panicking.panic-with", "no such luck"], TRAPPED, &["no such luck"]),
            (&["--deadline", "300ms", "spin.spin"], DEADLINE, &["300"]),
            (&["--deadline", "300ms", "sleeper.sleep-ms", "600000"], DEADLINE, &["300"]),
        ],
    );
    assert_eq!(cluster.call(&["calc.add", "1", "2"]), 3.0);
}

const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const APPLICATION: i32 = 5;
const DEADLINE: i32 = 6;
const TRAPPED: i32 = 7;
