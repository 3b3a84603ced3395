//! Files that come, change and go while everything runs.

use jackfield_harness::{Load, Repeat, eventually};
use serde_json::{Value, json};

use crate::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_replaced_under_load_without_a_failed_call() {
    let cluster = Cluster::with(&["greeter"]);
    let client = cluster.stage.client(cluster.registry.address()).await.unwrap();
    let load = Load::start(&client, 16, Repeat::OnlyIfNotExecuted);
    eventually("an answer", async || load.tally().answers.into_keys().next()).await;
    for fixture in ["greeter-v2", "greeter", "greeter-v2"] {
        let bytes = match fixture {
            "greeter" => std::fs::read(jackfield_guests::plugin("greeter")).unwrap(),
            name => jackfield_guests::fixture(name),
        };
        let before = load.tally().answers;
        cluster.folder.put("greeter", &bytes).unwrap();
        eventually("only new answers", async || {
            load.forget_answers();
            let answers = eventually("an answer", async || {
                Some(load.tally().answers).filter(|a| a.values().sum::<u64>() > 16)
            })
            .await;
            (answers.len() == 1 && !before.contains_key(answers.keys().next()?)).then_some(())
        })
        .await;
        load.forget_answers();
        eventually("an answer", async || load.tally().answers.into_keys().next()).await;
    }
    assert_eq!(load.stop().await.failures, [""; 0]);
}

#[test]
fn a_dropped_plugin_is_callable_and_a_removed_one_is_gone() {
    let cluster = Cluster::with(&["calc"]);
    cluster.folder.add("greeter").unwrap();
    cluster.until_call(&["greeter.greet", "Ada"], &json!("Hello, Ada!"));
    cluster.folder.remove("greeter").unwrap();
    cluster.until("the service is withdrawn", |list| list.len() == 1);
    let done = cluster.refused(&["greeter.greet", "Ada"]);
    assert!(done.stderr.contains("greeter") && done.stderr.contains("calc"), "{done:?}");
}

#[test]
fn a_bad_replacement_keeps_the_last_good_version_and_says_why() {
    let cluster = Cluster::with(&["calc"]);
    let generation = cluster.instances()[0]["generation"].clone();
    cluster.folder.put("calc", b"this is no component").unwrap();
    let rejected = |list: &[Value]| list.iter().any(|i| i["metadata"]["rejected"].is_string());
    cluster.until("the rejection is shown", rejected);
    assert_eq!(cluster.call(&["calc.add", "1", "2"]), json!(3.0));
    let table = cluster.run(&["ls"]).ok().unwrap();
    assert!(table.contains("rejected  calc on host-a: not a wasm file"), "{table}");
    cluster.folder.add("calc").unwrap();
    cluster.until("the rejection is cleared", |list| !rejected(list));
    assert_eq!(cluster.instances()[0]["generation"], generation);
}

#[test]
fn a_file_that_is_written_slowly_is_taken_once_it_is_whole() {
    use std::io::Write;
    let cluster = Cluster::with(&["calc"]);
    let bytes = std::fs::read(jackfield_guests::plugin("greeter")).unwrap();
    let mut file = std::fs::File::create(cluster.folder.path().join("greeter.wasm")).unwrap();
    for piece in bytes.chunks(bytes.len() / 8 + 1) {
        file.write_all(piece).unwrap();
        file.sync_all().unwrap();
        // Calls go on meanwhile.
        assert_eq!(cluster.call(&["calc.add", "1", "2"]), json!(3.0));
    }
    drop(file);
    cluster.until_call(&["greeter.greet", "Ada"], &json!("Hello, Ada!"));
}

#[test]
fn a_rollback_returns_to_the_version_before_until_the_file_changes() {
    let cluster = Cluster::with(&["greeter"]);
    let none = cluster.run(&["rollback", "greeter"]);
    assert!(none.code != Some(0) && none.stderr.contains("is the only one"), "{none:?}");
    let old = cluster.instances()[0]["generation"].clone();
    cluster.folder.put_fixture("greeter", "greeter-v2").unwrap();
    cluster.until("the new version serves", |list| list[0]["generation"] != old);
    let new = cluster.instances()[0]["generation"].clone();
    let done = cluster.run(&["rollback", "greeter", "--host", "host-a"]).ok().unwrap();
    assert!(done.contains("greeter on host-a: rolled back"), "{done}");
    let again = cluster.run(&["rollback", "greeter"]).ok().unwrap();
    assert!(again.contains("was rolled back before"), "{again}");
    cluster.until("the old version serves", |list| list[0]["generation"] == old);
    let table = cluster.run(&["ls"]).ok().unwrap();
    assert!(table.contains("rolled back  greeter on host-a"), "{table}");
    let page = cluster.run(&["describe", "greeter"]).ok().unwrap();
    assert!(page.contains("rolled back: its file is generation"), "{page}");
    cluster.folder.add("greeter").unwrap();
    cluster.until("what is rolled back is over", |list| {
        list[0]["metadata"]["rolled-back-from"].is_null()
    });
    assert_ne!(new, old);
    let wrong = cluster.run(&["rollback", "greeter", "--host", "nobody"]);
    assert!(wrong.stderr.contains("these do: host-a"), "{wrong:?}");
}
