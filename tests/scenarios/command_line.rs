//! What people see and scripts read.

use serde_json::Value;

use crate::{Cluster, stage};

#[test]
fn a_port_that_is_taken_is_named() {
    let cluster = Cluster::with(&["calc"]);
    let port = cluster.registry.address().port().to_string();
    let done = cluster.stage.run(&["registry", "-p", &port]).unwrap();
    assert_ne!(done.code, Some(0), "{done:?}");
    assert!(done.stderr.contains(&port) && done.stderr.contains("in use"), "{done:?}");
}

#[test]
fn ls_lists_for_people_and_for_programs() {
    let cluster = Cluster::with(&["calc", "text"]);
    let table = cluster.run(&["ls"]).ok().unwrap();
    for part in ["calc", "text", "host-a", "healthy"] {
        assert!(table.contains(part), "{part} is missing in\n{table}");
    }
    assert!(!table.contains('\u{1b}'), "colours although nobody looks:\n{table}");
    let long = cluster.run(&["ls", "-l"]).ok().unwrap();
    assert!(long.contains("add: func(a: f64, b: f64, c: option<f64>) -> f64"), "{long}");
    let json: Value = serde_json::from_str(&cluster.run(&["ls", "--json"]).ok().unwrap()).unwrap();
    assert_eq!(json.as_array().map(Vec::len), Some(2));
}

#[test]
fn describe_gives_types_schema_docs_and_a_line_that_works() {
    let cluster = Cluster::with(&["calc", "shapes"]);
    let text = cluster.run(&["describe", "calc.add"]).ok().unwrap();
    assert!(text.contains("add: func(a: f64, b: f64, c: option<f64>) -> f64"), "{text}");
    let example = text.lines().find_map(|line| line.trim().strip_prefix("jackfield call "));
    let example: Vec<_> =
        example.unwrap_or_else(|| panic!("no example in\n{text}")).split(' ').collect();
    cluster.call(&example);
    let json = cluster.run(&["describe", "calc.add", "--json"]).ok().unwrap();
    let method: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(method["params_schema"]["required"], serde_json::json!(["a", "b"]));
    assert!(method["docs"].as_str().is_some_and(|docs| !docs.is_empty()), "{method}");
    let shapes = cluster.run(&["describe", "shapes"]).ok().unwrap();
    assert!(shapes.contains("record point { x: f64, y: f64 }"), "{shapes}");
}

#[test]
fn dev_serves_a_folder_in_one_process_and_prints_a_call_line_that_works() {
    let stage = stage();
    let folder = stage.folder("plugins").unwrap();
    folder.add("calc").unwrap();
    let dev = stage.spawn("dev", &["dev", "-p", "0"]).unwrap();
    let sum = stage.run_at(dev.address(), &["call", "calc.add", "1", "2"]).unwrap();
    assert_eq!(sum.ok().unwrap().trim(), "3.0");
    dev.terminate().unwrap();
    assert_eq!(dev.wait().unwrap().code(), Some(0));
}

#[test]
fn dev_without_a_folder_says_what_to_do() {
    let stage = stage();
    let done = stage.run(&["dev", "-p", "0"]).unwrap();
    assert_ne!(done.code, Some(0));
    assert!(done.stderr.contains("plugins") && done.stderr.contains("mkdir"), "{done:?}");
}

#[test]
fn completions_know_services_and_methods() {
    let cluster = Cluster::with(&["calc"]);
    for shell in ["bash", "zsh", "fish"] {
        let script = cluster.stage.run(&["completions", shell]).unwrap().ok().unwrap();
        assert!(script.contains("jackfield"), "{script}");
    }
}
