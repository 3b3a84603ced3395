//! Several registries over one etcd cluster, and a registry's file that was damaged.

use std::fs;

use jackfield_client::Client;
use jackfield_harness::{Process, Stage, eventually, eventually_blocking};
use jackfield_transport::{Identity, Role, StateDir};
use serde_json::Value;

use crate::{etcd, stage};

fn front(stage: &Stage, name: &str, cluster: &etcd::Cluster) -> Process {
    let store = format!("etcd:{}", cluster.addresses().join(","));
    let words = ["registry", "-p", "0", "--store", &store, "--ttl", "4s", "--heartbeat", "500ms"];
    stage.spawn(name, &words).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_registries_dies_and_its_host_and_client_go_to_the_other() {
    let Some(cluster) = etcd::Cluster::start(1) else { return };
    let stage = stage();
    let (dies, lives) = (front(&stage, "dies", &cluster), front(&stage, "lives", &cluster));
    let both = [dies.address(), lives.address()].map(|address| address.to_string());
    let folder = stage.folder("host-a").unwrap();
    folder.add("calc").unwrap();
    let (path, list) = (folder.path().to_string_lossy().into_owned(), both.join(","));
    let _host = stage.spawn("host", &["host", &path, "--name", "a", "--registry", &list]).unwrap();
    let state = StateDir::resolve(Some(&stage.state())).unwrap();
    let identity = Identity::local(&state, Role::Client, "scenario").unwrap();
    let client = Client::builder().registry(&both[0]).registry(&both[1]).identity(identity);
    let client = client.build().await.unwrap();
    let add = async || client.call::<_, f64>("calc.add", (1.0, 2.0)).await;
    eventually("the service is there", async || add().await.ok()).await;

    dies.kill().unwrap();
    for _ in 0..50 {
        assert_eq!(add().await.unwrap(), 3.0);
    }
    // Both have moved when a change that only the host knows arrives.
    folder.add("greeter").unwrap();
    eventually("the host registers at the other, and the client watches it", async || {
        client.call::<_, String>("greeter.greet", ("Ada",)).await.ok()
    })
    .await;
    let listed = stage.run_at(lives.address(), &["ls", "--json"]).unwrap().ok().unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert!(listed.as_array().unwrap().iter().all(|i| i["health"] == "healthy"), "{listed}");
}

#[test]
fn a_damaged_store_is_refused_with_the_command_that_repairs_it() {
    let stage = stage();
    let path = stage.home().join("registry.sqlite");
    let store = format!("sqlite:{}", path.display());
    let start = ["registry", "-p", "0", "--store", &store];
    let registry = stage.spawn("registry", &start).unwrap();
    let folder = stage.folder("host-a").unwrap();
    folder.add("calc").unwrap();
    let _host = stage.host(&folder, registry.address()).unwrap();
    eventually_blocking("the service is there", || {
        stage.run_at(registry.address(), &["describe", "calc"]).ok()?.ok().ok()
    });
    registry.terminate().unwrap();
    registry.wait().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let address = b"127.0.0.1:";
    let rows = |bytes: &[u8]| bytes.windows(address.len()).position(|text| text == address);
    while let Some(row) = rows(&bytes) {
        bytes[row + 1] ^= 1;
    }
    fs::write(&path, bytes).unwrap();

    let refused = stage.run(&start).unwrap();
    let command = format!("jackfield registry repair {}", path.display());
    assert!(refused.stderr.contains(&command), "{}", refused.stderr);
    let repaired = stage.run(&["registry", "repair", path.to_str().unwrap()]).unwrap();
    assert!(repaired.stderr.contains("hosts register again"), "{}", repaired.stderr);
    assert!(repaired.ok().unwrap().contains("0 instances"));
    stage.spawn("again", &start).unwrap();
}
