//! What has to hold before a new version takes the place of an old one, and the way back.

use jackfield_wire::{Executed, Status};
use serde_json::json;

use crate::rig::{Place, Rig, eventually, fixture, plugin, versioned, wat};

fn manifest(place: &Place, service: &str, text: &str) {
    place.put(&format!("{service}.toml"), text);
}

fn version(rig: &Rig, service: &str) -> Option<String> {
    let services = rig.host.services();
    services.into_iter().find(|info| info.service.as_str() == service)?.version
}

/// A host that holds plugins to what they were.
async fn strict(files: &[(&str, Vec<u8>)]) -> Rig {
    Rig::tuned(files, |config| config.accept_breaking_changes = false).await
}

/// A component with a function of this name and type, that gives what `body` leaves.
fn exporting(name: &str, result: &str, body: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (data (i32.const 16) "\00\00\00\00\20\00\00\00\04\00\00\00")
                (data (i32.const 32) "dry!")
                (func (export "f") (result i32) {body}))
            (core instance $i (instantiate $m))
            (func (export "{name}") (result {result}) (canon lift (core func $i "f") (memory (core memory $i "memory"))))
            (func (export "ping") (result u32) (canon lift (core func $i "f"))))"#
    ))
}

#[tokio::test]
async fn a_manifest_that_comes_changes_breaks_or_goes_is_taken_with_its_plugin() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1))]).await;
    let bare = rig.generation("v");
    manifest(&rig.place, "v", "version = \"1.2.0\"");
    rig.replaced().await;
    assert_eq!(version(&rig, "v").as_deref(), Some("1.2.0"));
    assert_ne!(rig.generation("v"), bare, "a manifest is part of a generation");
    manifest(&rig.place, "v", "versoin = \"1.3.0\"");
    let reason = rig.rejection().await;
    assert!(reason.contains("versoin") && reason.contains("version"), "{reason}");
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(1));
    assert_eq!(version(&rig, "v").as_deref(), Some("1.2.0"), "the last good pair serves");
    std::fs::remove_file(rig.place.path("v.toml")).unwrap();
    rig.replaced().await;
    assert_eq!((rig.generation("v"), rig.host.rejected()), (bare, vec![]));
}

#[tokio::test]
async fn a_service_has_one_file_and_the_next_one_serves_when_that_goes() {
    let mut rig = Rig::with(&[("calc.wasm", versioned(1))]).await;
    for file in ["Calc", "other"] {
        manifest(&rig.place, "other", "service = \"calc\"");
        rig.place.put(&format!("{file}.wasm"), versioned(2));
        let reason = rig.rejection().await;
        assert!(reason.contains("calc.wasm serves `calc` already"), "{reason}");
        assert_eq!(reason.contains("differs in case alone"), file == "Calc");
    }
    std::fs::remove_file(rig.place.path("Calc.wasm")).unwrap();
    eventually("it is forgotten", async || rig.host.rejected().len() == 1).await;
    manifest(&rig.place, "calc", "service = \"sums\"");
    eventually("both serve", async || rig.host.services().len() == 2).await;
    assert_eq!(rig.call("sums.version", json!([])).await.ok(), json!(1));
    assert_eq!(rig.call("calc.version", json!([])).await.ok(), json!(2));
    assert_eq!(rig.host.rejected(), []);
}

#[tokio::test]
async fn a_version_that_breaks_callers_is_refused_with_each_method() {
    let mut rig = strict(&[("p.wasm", plugin("greeter"))]).await;
    rig.place.put("p.wasm", versioned(1));
    let reason = rig.rejection().await;
    assert!(reason.contains("`greet` is gone (it was `greet: func("), "{reason}");
    assert!(reason.contains("accept-breaking-change = true"), "{reason}");
    assert_eq!(rig.call("p.greet", json!(["Ada"])).await.ok(), json!("Hello, Ada!"));
    manifest(&rig.place, "p", "accept-breaking-change = true");
    rig.replaced().await;
    assert_eq!(rig.call("p.version", json!([])).await.ok(), json!(1));
    assert_eq!(rig.host.rejected(), []);
}

#[tokio::test]
async fn a_version_that_says_that_it_breaks_is_taken() {
    let mut rig = strict(&[]).await;
    manifest(&rig.place, "p", "version = \"0.3.1\"");
    rig.place.put("p.wasm", exporting("a", "u32", "i32.const 1"));
    eventually("it serves", async || rig.host.services().len() == 1).await;
    rig.place.put("p.wasm", exporting("b", "u32", "i32.const 1"));
    let reason = rig.rejection().await;
    assert!(reason.contains("raise its version from 0.3.1 to 0.4.0"), "{reason}");
    manifest(&rig.place, "p", "version = \"0.4.0\"");
    rig.replaced().await;
    assert_eq!(rig.call("p.b", json!([])).await.ok(), json!(1));
}

#[tokio::test]
pub(crate) async fn a_version_that_fails_its_own_test_does_not_serve() {
    let mut rig = Rig::tuned(&[("p.wasm", versioned(1))], |config| {
        config.limits.plugin.deadline = std::time::Duration::from_millis(300);
    })
    .await;
    let says_no = exporting(
        "self-test",
        "(result (error string))",
        "(i32.store8 (i32.const 16) (i32.const 1)) (i32.const 16)",
    );
    for (bytes, words) in [
        (says_no, "its self-test fails: \"dry!\""),
        (exporting("self-test", "(result (error string))", "unreachable"), "its self-test fails"),
        (exporting("self-test", "(result (error string))", "(loop (br 0)) unreachable"), "300ms"),
        (fixture("trap-in-start"), "its start-up fails"),
        (fixture("spin-in-start"), "its start-up fails: it had not ended after 300ms"),
    ] {
        rig.place.put("p.wasm", bytes);
        let reason = rig.rejection().await;
        assert!(reason.contains(words), "{words}: {reason}");
        assert_eq!(rig.call("p.version", json!([])).await.ok(), json!(1));
    }
    rig.place.put("p.wasm", exporting("self-test", "(result (error string))", "i32.const 0"));
    rig.replaced().await;
    assert_eq!(rig.host.rejected(), []);
    eventually("no store is left", async || rig.host.stores() == 0).await;
}

#[tokio::test]
async fn the_stores_of_a_version_that_was_replaced_go_with_its_calls() {
    let mut rig = Rig::with(&[("p.wasm", fixture("spin"))]).await;
    let spinning = rig.caller.start("p.spin", &[], None).await;
    eventually("it runs", async || rig.host.stores() == 1).await;
    rig.place.put("p.wasm", versioned(2));
    let (old, _) = rig.replaced().await;
    let stores = || {
        let all = rig.host.stats().versions;
        all.iter().find(|version| version.generation == old).map(|version| version.stores)
    };
    assert_eq!(stores(), Some(1));
    assert_eq!(rig.call("p.version", json!([])).await.ok(), json!(2));
    drop(spinning);
    eventually("its store is gone", async || stores() == Some(0)).await;
    // It is kept to be returned to, until the file goes.
    std::fs::remove_file(rig.place.path("p.wasm")).expect("it is there");
    eventually("nothing is left", async || rig.host.stats().versions.is_empty()).await;
}

#[tokio::test]
async fn a_rollback_serves_the_version_before_until_the_file_changes() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1))]).await;
    let reply = rig.call("jackfield.rollback", json!(["v"])).await;
    reply.failed(Status::NotFound, Executed::No, &["is the only one"]);
    let one = rig.generation("v");
    rig.place.put("v.wasm", versioned(2));
    let (_, two) = rig.replaced().await;
    for already in [false, true] {
        let done = rig.call("jackfield.rollback", json!(["v"])).await.ok();
        assert_eq!((&done["from"], &done["already"]), (&json!(two), &json!(already)));
        assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(1));
        assert_eq!(
            (rig.generation("v"), rig.host.services()[0].rolled_back_from),
            (one, Some(two))
        );
    }
    // The same content again is no change.
    rig.place.put("v.wasm", versioned(2));
    rig.host.settled().await;
    assert_eq!(rig.generation("v"), one);
    rig.place.put("v.wasm", versioned(3));
    rig.replaced().await;
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(3));
    assert_eq!(rig.host.services()[0].rolled_back_from, None);
    eventually("what was left goes", async || rig.host.draining() == 0).await;
}

#[tokio::test]
async fn a_rollback_outlives_a_restart_until_the_content_of_the_file_changes() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1))]).await;
    manifest(&rig.place, "v", "version = \"1.2.0\"");
    rig.replaced().await;
    let one = rig.generation("v");
    rig.place.put("v.wasm", versioned(2));
    let (_, two) = rig.replaced().await;
    rig.call("jackfield.rollback", json!(["v"])).await.ok();
    for time in 0..2 {
        rig = rig.restart(|place| place.put("v.wasm", versioned(2))).await;
        assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(1), "start {time}");
        let info = &rig.host.services()[0];
        assert_eq!((Some(info.generation), info.rolled_back_from), (one, Some(two)));
        assert_eq!(version(&rig, "v").as_deref(), Some("1.2.0"), "its manifest came with it");
        let again = rig.call("jackfield.rollback", json!(["v"])).await.ok();
        assert_eq!(again["already"], json!(true));
    }
    rig = rig.restart(|place| place.put("v.wasm", versioned(3))).await;
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(3));
    // It is over: what was refused serves again.
    rig = rig.restart(|place| place.put("v.wasm", versioned(2))).await;
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(2));
    assert_eq!(rig.host.services()[0].rolled_back_from, None);
}

#[tokio::test]
async fn a_rollback_is_over_when_its_file_goes_also_while_the_host_is_down() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1))]).await;
    for down in [true, false] {
        rig.place.put("v.wasm", versioned(2));
        rig.replaced().await;
        rig.call("jackfield.rollback", json!(["v"])).await.ok();
        let remove = |place: &Place| std::fs::remove_file(place.path("v.wasm")).expect("a file");
        if down {
            rig = rig.restart(remove).await;
        } else {
            remove(&rig.place);
            eventually("it is withdrawn", async || rig.host.services().is_empty()).await;
        }
        rig = rig.restart(|place| place.put("v.wasm", versioned(2))).await;
        assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(2), "down: {down}");
        rig.place.put("v.wasm", versioned(1));
        rig.replaced().await;
    }
}

#[tokio::test]
async fn what_was_rolled_back_serves_again_when_the_copy_of_the_version_before_is_spoilt() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1))]).await;
    let one = rig.generation("v").expect("it serves").to_string();
    rig.place.put("v.wasm", versioned(2));
    rig.replaced().await;
    rig.call("jackfield.rollback", json!(["v"])).await.ok();
    let rig = rig.restart(|place| {
        let all = place.state().path().join("rollback");
        let host = std::fs::read_dir(all).expect("a folder").next().expect("a host");
        let copy = host.expect("its folder").path().join(one);
        let mut bytes = std::fs::read(&copy).expect("the copy");
        *bytes.last_mut().expect("bytes") ^= 1;
        std::fs::write(copy, bytes).expect("it can be written");
    });
    let rig = rig.await;
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(2));
    assert_eq!(rig.host.services()[0].rolled_back_from, None);
}

#[tokio::test]
async fn copies_of_versions_go_when_nothing_can_return_to_them() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1))]).await;
    for next in 2..6 {
        rig.place.put("v.wasm", versioned(next));
        rig.replaced().await;
    }
    let all = rig.place.state().path().join("rollback");
    let host = std::fs::read_dir(all).expect("a folder").next().expect("a host").expect("one");
    eventually("two are left", async || {
        std::fs::read_dir(host.path()).expect("its folder").count() == 2
    })
    .await;
}
