//! A plugin that calls another service, over a real registry.

use jackfield_harness::eventually_blocking;
use serde_json::{Value, json};

use jackfield_harness::Process;

use crate::{Cluster, stage};

/// A host over the till, which may call itself and what `others` lists, and another host over those.
fn shop(others: &[(&str, &str)]) -> (Cluster, Process) {
    let stage = stage();
    let (folder, elsewhere) = (stage.folder("host-a").unwrap(), stage.folder("host-b").unwrap());
    let services: Vec<_> = others.iter().map(|(name, _)| *name).chain(["till"]).collect();
    let manifest = format!("[grants]\nservices = {services:?}\n");
    std::fs::write(folder.path().join("till.toml"), manifest).unwrap();
    folder.add("till").unwrap();
    for (service, fixture) in others {
        match *fixture {
            "" => elsewhere.add(service).unwrap(),
            fixture => elsewhere.put_fixture(service, fixture).unwrap(),
        }
    }
    let registry = stage.registry().unwrap();
    let host = stage.host(&folder, registry.address()).unwrap();
    let other = stage.host(&elsewhere, registry.address()).unwrap();
    let cluster = Cluster { host, registry, folder, stage };
    let all = others.len() + 1;
    eventually_blocking("all are listed", || (cluster.healthy().len() == all).then_some(()));
    (cluster, other)
}

/// What the till says of a call that failed, as its own error.
#[track_caller]
fn failed(cluster: &Cluster, args: &[&str]) -> String {
    let failed = cluster.refused(args);
    assert_eq!(failed.code, Some(5), "{failed:?}");
    failed.stderr
}

#[test]
fn a_plugin_calls_another_service_wherever_it_is() {
    let (cluster, _other) = shop(&[("calc", "")]);
    let total = cluster.call(&["till.total", "[1, 2, 3]", "--tax", "25"]);
    assert_eq!(total, json!(7.5), "{}", cluster.host.log());
    let log = cluster.host.log();
    assert!(log.contains(r#"context={"prices":"3","total":"7.5"} text=added up"#), "{log}");
    let text = failed(&cluster, &["till.ask", "calc.div", "[1, 0]"]);
    assert!(text.contains("Application (executed)") && text.contains("division by zero"), "{text}");
    let text = failed(&cluster, &["till.ask", "text.slug", "[]"]);
    assert!(text.contains(r#"write into till.toml, below [grants]: services = ["#), "{text}");
}

#[test]
fn a_service_whose_host_is_gone_is_told_and_found_again() {
    let (cluster, other) = shop(&[("calc", "")]);
    let sum = ["till.ask", "calc.add", "[1, 2]"];
    assert_eq!(cluster.call(&sum), json!("3.0"));
    other.kill().unwrap();
    let text = failed(&cluster, &sum);
    assert!(text.contains("Unavailable") && text.contains("calc"), "{text}");
    cluster.folder.add("calc").unwrap();
    cluster.until_call(&sum, &json!("3.0"));
}

#[test]
fn a_host_that_never_found_a_registry_says_so_to_its_plugins() {
    let stage = stage();
    let folder = stage.folder("host-a").unwrap();
    std::fs::write(folder.path().join("till.toml"), "grants.services = [\"calc\"]").unwrap();
    folder.add("till").unwrap();
    let registry = stage.registry().unwrap();
    let nowhere = registry.address();
    registry.kill().unwrap();
    let host = stage.host(&folder, nowhere).unwrap();
    let at = host.address().to_string();
    eventually_blocking("the till says what is missing", || {
        let done = stage.run(&["call", "--direct", &at, "till.ask", "calc.add", "[1, 2]"]).unwrap();
        let said =
            ["Unavailable (not executed)", "cannot call other services", &nowhere.to_string()]
                .iter()
                .all(|text| done.stderr.contains(*text));
        said.then_some(())
    });
}

#[test]
fn a_call_of_another_service_ends_by_its_own_deadline_or_by_that_of_its_caller() {
    let (cluster, other) = shop(&[("sleeper", "sleeper")]);
    let text = failed(&cluster, &["till.ask", "sleeper.sleep-for-ever", "", "100"]);
    assert!(text.contains("DeadlineExceeded") && text.contains("100"), "{text}");
    let late = cluster.refused(&["till.ask", "sleeper.sleep-for-ever", "", "--deadline", "300ms"]);
    assert_eq!(late.code, Some(6), "{late:?}");
    // Both sleep no longer, or the host would wait for them.
    other.terminate().unwrap();
    eventually_blocking("no call was cut off", || {
        other.log().contains("stopped: no call was cut off").then_some(())
    });
}

#[test]
fn who_is_called_sees_the_host_and_the_time_of_the_first_caller() {
    let (cluster, _other) = shop(&[]);
    let about = cluster.call(&["till.ask", "till.about-call", "", "--deadline", "8s"]);
    let about: Value = serde_json::from_str(about.as_str().unwrap()).unwrap();
    assert!(about["caller"].as_str().unwrap().ends_with("/host/host-a"), "{about}");
    assert!(about["time-left"].as_u64().unwrap() <= 8000, "{about}");
}

#[test]
fn a_plugin_that_calls_itself_without_end_is_stopped() {
    let (cluster, _other) = shop(&[]);
    let mut arguments = json!(["till.about-call", ""]);
    for _ in 0..10 {
        arguments = json!(["till.ask", arguments.to_string()]);
    }
    let [target, inner] = [0, 1].map(|index| arguments[index].as_str().unwrap().to_owned());
    let stopped = cluster.refused(&["till.ask", &target, &inner]);
    assert!(stopped.stderr.contains("most often in a circle"), "{stopped:?}");
}
