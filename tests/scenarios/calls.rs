//! Calls that work.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::{Cluster, stage};

#[test]
fn words_options_and_json_say_the_same() {
    let cluster = Cluster::with(&["calc", "greeter"]);
    assert_eq!(cluster.call(&["calc.add", "1", "2"]), json!(3.0));
    assert_eq!(cluster.call(&["calc.add", "-1", "--b", "2", "--c", "0.5"]), json!(1.5));
    assert_eq!(cluster.call(&["calc.add", "-d", "[1, 2, 3]"]), json!(6.0));
    assert_eq!(cluster.call(&["calc.add", "-d", r#"{"a": 1, "b": 2}"#]), json!(3.0));
    assert_eq!(cluster.call(&["greeter.greet", "Ada"]), json!("Hello, Ada!"));
}

#[test]
fn every_kind_of_value_travels_from_the_command_line() {
    let cluster = Cluster::with(&["shapes", "text"]);
    let circle = r#"{"circle": {"center": {"x": 0, "y": 0}, "radius": 1}}"#;
    let area = cluster.call(&["shapes.area", circle]);
    assert!((area.as_f64().unwrap() - std::f64::consts::PI).abs() < 1e-12, "{area}");
    let encoded = cluster.call(&["text.base64-encode", r#"{"base64": "aGVsbG8="}"#]);
    assert_eq!(encoded, json!("aGVsbG8="));
    assert_eq!(cluster.call(&["text.base64-decode", "aGk="]), json!({"base64": "aGk="}));
}

#[test]
fn a_host_can_be_called_without_a_registry() {
    let cluster = Cluster::with(&["calc"]);
    let host = cluster.host.address().to_string();
    let done = cluster.stage.run(&["call", "--direct", &host, "calc.mul", "6", "7"]).unwrap();
    assert_eq!(done.ok().unwrap().trim(), "42.0");
}

#[test]
fn sixteen_clients_call_while_another_ones_call_sleeps() {
    let cluster = Cluster::with_fixtures(&[("sleeper", "sleeper"), ("greeter", "greeter-v2")]);
    let awake = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            // Longer than the others can take: only its deadline, or its end, stops it.
            let done = cluster.run(&["call", "--deadline", "60s", "sleeper.sleep-ms", "20000"]);
            awake.store(true, Ordering::SeqCst);
            done
        });
        let callers: Vec<_> =
            (0..16).map(|_| scope.spawn(|| cluster.call(&["greeter.greet", "Ada"]))).collect();
        for caller in callers {
            assert!(caller.join().unwrap().as_str().unwrap().contains("Ada"));
        }
        assert!(!awake.load(Ordering::SeqCst), "the sleeping call held the others up");
        assert_eq!(sleeper.join().unwrap().code, Some(0));
    });
}

#[test]
fn both_families_of_addresses_work() {
    let stage = stage();
    let folder = stage.folder("six").unwrap();
    folder.add("calc").unwrap();
    let registry = stage.spawn("registry", &["registry", "-l", "::1", "-p", "0"]).unwrap();
    let address = registry.address().to_string();
    let path = folder.path().to_string_lossy().into_owned();
    let host = stage.spawn("host", &["host", &path, "-l", "::1", "--registry", &address]).unwrap();
    assert!(registry.address().is_ipv6() && host.address().is_ipv6());
    jackfield_harness::eventually_blocking("the host is listed", || {
        let done = stage.run_at(registry.address(), &["call", "calc.sub", "5", "3"]).ok()?;
        (done.stdout.trim() == "2.0").then_some(())
    });
}

#[test]
fn the_verbose_form_names_host_generation_and_time() {
    let cluster = Cluster::with(&["calc"]);
    let done = cluster.run(&["call", "-v", "calc.add", "1", "2"]);
    assert_eq!(done.stdout.trim(), "3.0");
    let generation = cluster.instances()[0]["generation"].as_str().unwrap()[..12].to_owned();
    for part in ["host-a", &cluster.host.address().to_string(), &generation] {
        assert!(done.stderr.contains(part), "{part} is missing in {}", done.stderr);
    }
}

#[test]
fn a_method_can_be_called_by_its_qualified_name() {
    let cluster = Cluster::with(&["text"]);
    let describe = cluster.run(&["describe", "text.slug", "--json"]).ok().unwrap();
    let method: serde_json::Value = serde_json::from_str(&describe).unwrap();
    let qualified = method["qualified"].as_str().unwrap();
    assert!(qualified.contains('#'), "{qualified}");
    let slug = cluster.call(&[&format!("text.{qualified}"), "Hello, World"]);
    assert_eq!(slug, json!("hello-world"));
}

#[test]
fn no_caller_sees_another_callers_state() {
    let cluster = Cluster::with_fixtures(&[("counter", "counter")]);
    let first = cluster.call(&["counter.next"]);
    assert_eq!(cluster.call(&["counter.next"]), first);
}
