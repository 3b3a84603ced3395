//! A plugin that calls another service, over a real registry.

use jackfield_harness::eventually_blocking;
use serde_json::{Value, json};

use crate::{Cluster, stage};

/// A host over the till, which may call the calculator and itself, and the calculator.
fn shop() -> Cluster {
    let stage = stage();
    let folder = stage.folder("host-a").unwrap();
    let manifest = "grants.services = [\"calc\", \"till\"]\n";
    std::fs::write(folder.path().join("till.toml"), manifest).unwrap();
    folder.add("calc").unwrap();
    folder.add("till").unwrap();
    let registry = stage.registry().unwrap();
    let host = stage.host(&folder, registry.address()).unwrap();
    let cluster = Cluster { host, registry, folder, stage };
    eventually_blocking("both are listed", || (cluster.healthy().len() == 2).then_some(()));
    cluster
}

#[test]
fn a_plugin_calls_another_service_wherever_it_is() {
    let cluster = shop();
    let total = cluster.call(&["till.total", "[1, 2, 3]", "--tax", "25"]);
    assert_eq!(total, json!(7.5), "{}", cluster.host.log());
    let log = cluster.host.log();
    assert!(log.contains(r#"context={"prices":"3","total":"7.5"} text=added up"#), "{log}");
    let failed = cluster.refused(&["till.ask", "calc.div", "[1, 0]"]);
    assert_eq!(failed.code, Some(5), "{failed:?}");
    assert!(failed.stderr.contains("Application (executed)"), "{failed:?}");
    assert!(failed.stderr.contains("division by zero"), "{failed:?}");
}

#[test]
fn who_is_called_sees_the_host_and_the_time_of_the_first_caller() {
    let cluster = shop();
    let about = cluster.call(&["till.ask", "till.about-call", "", "--deadline", "8s"]);
    let about: Value = serde_json::from_str(about.as_str().unwrap()).unwrap();
    assert!(about["caller"].as_str().unwrap().ends_with("/host/host-a"), "{about}");
    assert!(about["time-left"].as_u64().unwrap() <= 8000, "{about}");
}

#[test]
fn a_plugin_that_calls_itself_without_end_is_stopped() {
    let cluster = shop();
    let mut arguments = json!(["till.about-call", ""]);
    for _ in 0..10 {
        arguments = json!(["till.ask", arguments.to_string()]);
    }
    let [target, inner] = [0, 1].map(|index| arguments[index].as_str().unwrap().to_owned());
    let stopped = cluster.refused(&["till.ask", &target, &inner]);
    assert!(stopped.stderr.contains("most often in a circle"), "{stopped:?}");
}
