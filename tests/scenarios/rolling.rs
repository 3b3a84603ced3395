//! Every host of a service restarted in turn, under load.

use jackfield_harness::{Load, Repeat, Stage, eventually};

use crate::stage;

/// The hosts that `ls` shows as callable.
fn healthy(stage: &Stage, registry: std::net::SocketAddr) -> usize {
    let Ok(list) = stage.run_at(registry, &["ls", "--json"]).and_then(|done| done.ok()) else {
        return 0;
    };
    let list: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    list.iter().filter(|i| i["health"] == "healthy" && i["enabled"] == true).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hosts_restarted_in_turn_under_load_fail_no_call() {
    const HOSTS: usize = 5;
    let stage = stage();
    let registry = stage.registry().unwrap();
    let mut folders = Vec::new();
    let mut hosts = Vec::new();
    for n in 0..HOSTS {
        let folder = stage.folder(&format!("host-{n}")).unwrap();
        folder.add("greeter").unwrap();
        hosts.push(stage.host(&folder, registry.address()).unwrap());
        folders.push(folder);
    }
    let all = async || {
        let ready = async || (healthy(&stage, registry.address()) == HOSTS).then_some(());
        eventually("every host is listed", ready).await;
    };
    all().await;
    let client = stage.client(registry.address()).await.unwrap();
    // Nothing may be executed twice, so that only a graceful end hides the restarts.
    let load = Load::start(&client, 8, Repeat::OnlyIfNotExecuted);
    for folder in &folders {
        let host = hosts.remove(0);
        host.terminate().unwrap();
        assert_eq!(host.wait().unwrap().code(), Some(0));
        hosts.push(stage.host(folder, registry.address()).unwrap());
        all().await;
    }
    let tally = load.stop().await;
    assert!(tally.answered > 100, "{tally:?}");
    assert_eq!(tally.failures, Vec::<String>::new());
}
