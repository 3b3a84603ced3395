//! Files that are no plugins.

use serde_json::Value;

use crate::{Cluster, stage};

#[test]
fn each_bad_file_is_named_with_its_reason_and_stops_nothing_else() {
    let cluster = Cluster::with(&["calc"]);
    let calc = std::fs::read(jackfield_guests::plugin("calc")).unwrap();
    let bad: [(&str, Vec<u8>, &str); 4] = [
        ("truncated", calc[..calc.len() / 2].to_vec(), "cut while it was copied"),
        ("text", b"hello".to_vec(), "not a wasm file"),
        ("core", jackfield_guests::fixture("core-module"), "component"),
        ("importer", jackfield_guests::fixture("unknown-import"), "acme:db/store"),
    ];
    for (name, bytes, reason) in &bad {
        let file = cluster.stage.home().join(format!("{name}.wasm"));
        std::fs::write(&file, bytes).unwrap();
        let done = cluster.stage.run(&["check", &file.to_string_lossy()]).unwrap();
        assert_ne!(done.code, Some(0), "{done:?}");
        let said = format!("{}{}", done.stdout, done.stderr);
        assert!(said.contains(reason), "{name}: {said}");
        cluster.folder.put(name, bytes).unwrap();
    }
    for (name, _, reason) in &bad {
        cluster.until("each rejected file is shown by ls", |list| {
            let shown = list.iter().find(|i| i["service"] == *name);
            shown.is_some_and(|i| i["metadata"]["rejected"].to_string().contains(reason))
        });
    }
    assert_eq!(cluster.call(&["calc.add", "1", "2"]), Value::from(3.0));
}

#[test]
fn functions_that_cannot_travel_are_listed_with_the_reason_and_the_rest_is_served() {
    let cluster = Cluster::with_fixtures(&[("store", "resource")]);
    let text = cluster.run(&["describe", "store"]).ok().unwrap();
    assert!(text.contains("resource"), "{text}");
    let check = cluster.folder.path().join("store.wasm");
    let check = cluster.stage.run(&["check", &check.to_string_lossy()]).unwrap().ok().unwrap();
    assert!(check.contains("resource"), "{check}");
}

#[test]
fn a_folder_that_is_not_there_or_not_a_folder_is_refused_with_what_to_do() {
    let stage = stage();
    let file = stage.home().join("file");
    std::fs::write(&file, "").unwrap();
    for folder in [stage.home().join("missing"), file] {
        let folder = folder.to_string_lossy().into_owned();
        let done = stage.run(&["host", &folder]).unwrap();
        assert_ne!(done.code, Some(0));
        assert!(done.stderr.contains(&folder), "{done:?}");
    }
}

#[test]
fn check_tells_what_a_good_file_serves() {
    let stage = stage();
    let calc = jackfield_guests::plugin("calc");
    let text = stage.run(&["check", &calc.to_string_lossy()]).unwrap().ok().unwrap();
    assert!(text.contains("add: func(a: f64, b: f64, c: option<f64>) -> f64"), "{text}");
}
