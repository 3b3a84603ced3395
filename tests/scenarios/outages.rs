//! Registries and hosts that are late, die and come back.

use jackfield_harness::{eventually, eventually_blocking};
use serde_json::json;

use crate::{Cluster, stage};

#[test]
fn one_of_two_hosts_is_killed_and_calls_go_on() {
    let cluster = Cluster::with(&["calc"]);
    let second = cluster.stage.folder("host-b").unwrap();
    second.add("calc").unwrap();
    let host = cluster.stage.host(&second, cluster.registry.address()).unwrap();
    cluster.until("both hosts are listed", |list| list.len() == 2);
    host.kill().unwrap();
    for _ in 0..8 {
        assert_eq!(cluster.call(&["calc.add", "1", "2"]), json!(3.0));
    }
    cluster.until("the dead host is no longer offered", |list| {
        list.iter().filter(|i| i["health"] == "healthy").count() == 1
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_outage_stops_nothing() {
    let Cluster { host, registry, folder, stage } = Cluster::with(&["calc"]);
    let client = stage.client(registry.address()).await.unwrap();
    let add = async |a: f64| client.call::<_, f64>("calc.add", (a, 1.0)).await;
    assert_eq!(add(1.0).await.unwrap(), 2.0);
    let address = registry.address();
    registry.kill().unwrap();
    for a in 0..100 {
        assert_eq!(add(f64::from(a)).await.unwrap(), f64::from(a) + 1.0);
    }
    folder.add("greeter").unwrap();
    let _back = stage.registry_at(address).unwrap();
    eventually("the host registers again, with its new plugin", async || {
        client.call::<_, String>("greeter.greet", ("Ada",)).await.ok()
    })
    .await;
    drop(host);
}

#[test]
fn a_host_that_starts_before_its_registry_registers_later() {
    let stage = stage();
    let folder = stage.folder("early").unwrap();
    folder.add("calc").unwrap();
    let address = stage.registry().unwrap().address();
    let host = stage.host(&folder, address).unwrap();
    eventually_blocking("the host says that no registry answers", || {
        host.log().contains(&address.to_string()).then_some(())
    });
    let _registry = stage.registry_at(address).unwrap();
    eventually_blocking("the host is listed", || {
        let done = stage.run_at(address, &["call", "calc.add", "1", "2"]).ok()?;
        (done.stdout.trim() == "3.0").then_some(())
    });
}

#[test]
fn a_host_that_is_asked_to_end_says_goodbye() {
    let cluster = Cluster::with(&["calc"]);
    let second = cluster.stage.folder("host-b").unwrap();
    second.add("calc").unwrap();
    let host = cluster.stage.host(&second, cluster.registry.address()).unwrap();
    cluster.until("both hosts are listed", |list| list.len() == 2);
    host.terminate().unwrap();
    assert_eq!(host.wait().unwrap().code(), Some(0));
    // Not by expiry: the goodbye itself takes it off the list.
    assert_eq!(cluster.healthy(), ["calc"]);
    assert_eq!(cluster.call(&["calc.add", "1", "2"]), json!(3.0));
}

#[test]
fn without_a_registry_the_error_names_the_command_that_starts_one() {
    let stage = stage();
    let gone = stage.registry().unwrap().address();
    for command in [&["ls"][..], &["call", "calc.add", "1", "2"], &["describe", "calc"]] {
        let done = stage.run_at(gone, command).unwrap();
        assert_ne!(done.code, Some(0));
        assert!(done.stderr.contains(&gone.to_string()), "{done:?}");
        assert!(done.stderr.contains("jackfield registry"), "{done:?}");
    }
}
