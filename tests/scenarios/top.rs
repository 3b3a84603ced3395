//! `jackfield top` without a terminal: for scripts, and with nobody to ask.

use serde_json::Value;

use crate::{Cluster, stage};

#[test]
fn top_counts_what_is_called() {
    let cluster = Cluster::with(&["calc"]);
    cluster.call(&["calc.add", "1", "2"]);
    cluster.refused(&["calc.div", "1", "0"]);
    let text = cluster.run(&["top", "--json", "--every", "200ms"]).ok().unwrap();
    let picture: Value = serde_json::from_str(&text).unwrap();
    let find = |rows: &str, name: &str| {
        let rows = picture[rows].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).cloned().unwrap()
    };
    assert_eq!(find("methods", "calc.add")["calls"], 1);
    assert_eq!(find("services", "calc")["calls"], 2);
    assert_eq!(find("hosts", "host-a")["calls"], 2);
    let table = cluster.run(&["top", "add", "--once", "--view", "methods", "--every", "200ms"]);
    let table = table.ok().unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("METHODS") && lines[0].contains("P99"), "{table}");
    assert!(lines.len() == 2 && lines[1].starts_with("calc.add"), "{table}");
}

#[test]
fn top_without_a_terminal_or_a_registry_says_what_to_do() {
    let stage = stage();
    let done = stage.run(&["top"]).unwrap();
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("--once") && done.stderr.contains("--json"), "{done:?}");
    let done = stage.run(&["top", "--once", "--registry", "127.0.0.1:1"]).unwrap();
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(done.stderr.contains("jackfield registry"), "{done:?}");
}
