//! `jackfield bench`: what it counts, refuses and says. Never how fast anything is.

use std::process::{Command, Stdio};

use jackfield_harness::{Finished, eventually_blocking};
use serde_json::{Value, json};

use crate::Cluster;

fn bench(cluster: &Cluster, line: &str) -> Finished {
    let words: Vec<&str> = ["bench"].into_iter().chain(line.split(' ')).collect();
    cluster.run(&words)
}

fn figures(cluster: &Cluster, line: &str) -> Value {
    let text = bench(cluster, &format!("{line} --json")).ok().unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn as_many_calls_are_made_as_asked_for_and_their_latencies_are_in_order() {
    let cluster = Cluster::with(&["greeter"]);
    let figures = figures(&cluster, "greeter.greet Ada -n 200 -c 8 --connections 2");
    assert_eq!(figures["answers"], 200);
    assert_eq!(figures["failures"], json!({}));
    let setting = json!({
        "target": "greeter.greet", "argument_bytes": 7, "in_flight": 8, "connections": 2, "rate": null
    });
    assert_eq!(figures["setting"], setting);
    let steps = ["min", "p50", "p90", "p99", "p99_9", "max"];
    let latencies = steps.map(|step| figures["latency_us"][step].as_f64().unwrap());
    assert!(latencies[0] > 0.0 && latencies.is_sorted(), "{latencies:?}");
    let bars = figures["histogram"].as_array().unwrap();
    assert_eq!(bars.iter().map(|bar| bar["count"].as_u64().unwrap()).sum::<u64>(), 200);
}

#[test]
fn a_rate_decides_how_many_calls_are_due() {
    let cluster = Cluster::with(&["greeter"]);
    let figures = figures(&cluster, "greeter.greet Ada --rate 100 --duration 500ms --warm-up 0");
    let count = |name: &str| figures[name].as_u64().unwrap();
    assert_eq!(count("answers") + count("never_begun"), 50, "{figures}");
    assert_eq!(figures["setting"]["rate"], 100.0);
}

#[test]
fn people_see_percentiles_bars_and_what_a_saved_run_had() {
    let cluster = Cluster::with(&["calc"]);
    let saved = bench(&cluster, "calc.add 1 2 --c 3 -n 20 --save run.json").ok().unwrap();
    for part in ["calc.add: 64 in flight over 1 connection", "answers/s", "p99.9", "UP TO", "█"] {
        assert!(saved.contains(part), "{part} is missing in\n{saved}");
    }
    let text = bench(&cluster, "calc.add 1 2 -n 40 --compare run.json").ok().unwrap();
    let row = |name: &str| {
        let mut rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.find(|row| row.first() == Some(&name)).unwrap_or_else(|| panic!("no {name}: {text}"))
    };
    assert_eq!(row("answers"), ["answers", "40", "20", "2.00"]);
    assert_eq!(row("failures"), ["failures", "0", "0", "-"]);
    assert!(text.contains("bytes of arguments: 18 there, 9 here"), "{text}");
}

#[test]
fn failures_are_counted_by_name_and_decide_the_exit_when_nothing_else_came() {
    let cluster = Cluster::with(&["calc"]);
    let done = bench(&cluster, "calc.div 1 0 -n 10 --json");
    assert_eq!(done.code, Some(5), "{done:?}");
    assert!(done.stderr.contains("most failed as application"), "{done:?}");
    let figures: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&figures["answers"], &figures["latency_us"]), (&json!(0), &Value::Null));
    assert_eq!(figures["failures"]["application"]["count"], 10);
    let example = figures["failures"]["application"]["example"].as_str().unwrap();
    assert!(example.contains("division by zero"), "{example}");
}

#[test]
fn a_call_that_cannot_be_made_is_refused_as_call_refuses_it() {
    let cluster = Cluster::with(&["calc"]);
    for (line, code) in [
        ("calc.add 1 two", 2),
        ("calc.ad 1 2", 3),
        ("cacl.add 1 2", 3),
        ("calc.add -d [1,2,3,4]", 2),
    ] {
        let done = bench(&cluster, line);
        assert_eq!(done.code, Some(code), "{line}: {done:?}");
        let call: Vec<&str> = ["call"].into_iter().chain(line.split(' ')).collect();
        let said = cluster.run(&call).stderr.replace("error: ", "");
        let said = said.lines().next().unwrap().to_owned();
        assert!(done.stderr.contains(&said), "{said:?} is not in {done:?}");
        assert_eq!(done.stdout, "");
    }
}

#[test]
fn an_interruption_shows_what_was_measured() {
    let cluster = Cluster::with_fixtures(&[("chatty", "chatty")]);
    let registry = cluster.registry.address().to_string();
    let line = "bench chatty.say over-and-over --duration 24h --warm-up 0 -c 1 --json --registry";
    let args: Vec<&str> = line.split(' ').chain([&*registry]).collect();
    let mut command = cluster.stage.command(&args);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    // The first is the one before the run; the second was answered when the third arrives.
    eventually_blocking("three calls", || {
        (cluster.host.log().matches("over-and-over").count() >= 3).then_some(())
    });
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(figures["answers"].as_u64().unwrap() >= 1, "{figures}");
    assert!(figures["seconds"].as_f64().unwrap() < 3600.0, "{figures}");
}
