//! The service that every host answers itself.

use jackfield_host::{CheckReport, HostFile, Trial};
use jackfield_wire::reflect::ServiceInfo;
use jackfield_wire::{Executed, Status};
use serde_json::json;

use crate::rig::{Place, Rig, fixture, plugin};

#[tokio::test]
async fn a_host_tells_what_it_serves() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc")), ("twins.wasm", fixture("twins"))]).await;
    let told = rig.call("jackfield.services", json!([])).await.ok();
    let told: Vec<ServiceInfo> = serde_json::from_value(told).unwrap();
    assert_eq!(told, rig.host.services());
    let described = rig.call("jackfield.describe", json!(["calc"])).await.ok();
    assert_eq!(serde_json::from_value::<ServiceInfo>(described).unwrap(), told[0]);
    assert_eq!(rig.call("jackfield.ping", json!([])).await.ok(), json!(null));
}

#[tokio::test]
async fn a_description_has_signatures_schemas_and_documentation() {
    let rig = Rig::with(&[("calc.wasm", plugin("calc"))]).await;
    let named = json!({"service": "calc"});
    let described = rig.caller.call_named("jackfield.describe", named).await.ok();
    let info: ServiceInfo = serde_json::from_value(described).unwrap();
    let add = info.methods.iter().find(|method| method.name == "add").unwrap();
    assert_eq!(add.wit, "add: func(a: f64, b: f64, c: option<f64>) -> f64");
    assert!(add.docs.as_deref().unwrap_or_default().starts_with("Adds two numbers"));
    assert_eq!(add.params_schema["required"], json!(["a", "b"]));
    assert!(add.result_schema.is_some() && !add.hidden);
}

#[tokio::test]
async fn a_wrong_question_to_the_host_itself_is_answered_like_any_other() {
    let rig = Rig::with(&[]).await;
    let reply = rig.call("jackfield.describe", json!(["calc"])).await;
    reply.failed(Status::NotFound, Executed::No, &["\"calc\"", "none at all"]);
    let reply = rig.call("jackfield.describe", json!([1])).await;
    reply.failed(Status::InvalidArgument, Executed::No, &["service: string"]);
    let reply = rig.call("jackfield.service", json!([])).await;
    reply.failed(Status::NotFound, Executed::No, &["\"services\"?"]);
    let reply = rig.call("jackfield.ping", json!([1])).await;
    reply.failed(Status::InvalidArgument, Executed::No, &["no arguments"]);
}

#[tokio::test]
async fn checking_a_file_says_what_a_host_would() {
    let place = Place::new();
    place.put("calc.wasm", plugin("calc"));
    let CheckReport::Serves(checked) = place.check("calc.wasm", &HostFile::default()).await else {
        panic!("calc is a good plugin");
    };
    assert_eq!(checked.info.service.as_str(), "calc");
    assert_eq!(checked.trial, Trial::Passed);
    place.put("jackfield.wasm", plugin("calc"));
    for (file, bytes, words) in [
        ("jackfield.wasm", plugin("calc"), "rename"),
        ("my calc.wasm", plugin("calc"), "rename"),
        ("core.wasm", fixture("core-module"), "wasm-tools"),
        ("missing.wasm", vec![], "no such file"),
        ("start.wasm", fixture("trap-in-start"), "its start-up fails"),
    ] {
        if !bytes.is_empty() {
            place.put(file, bytes);
        }
        let CheckReport::Rejected(rejection) = place.check(file, &HostFile::default()).await else {
            panic!("{file} is no good plugin");
        };
        assert!(rejection.to_string().contains(words), "{file}: {rejection}");
    }
}

#[tokio::test]
async fn checking_says_what_a_manifest_gives_and_doubts_what_is_not_used() {
    let place = Place::new();
    place.put("calc.toml", "limits.memory = \"8 MiB\"\n[grants]\nnetwork = [\"db:1\"]");
    let host = HostFile::default();
    let CheckReport::Manifest(settings) = place.check("calc.toml", &host).await else {
        panic!("the manifest holds and its plugin is not there");
    };
    assert_eq!(settings.limits.memory, 8 << 20);
    place.put("calc.wasm", plugin("calc"));
    for file in ["calc.wasm", "calc.toml"] {
        let CheckReport::Serves(checked) = place.check(file, &host).await else {
            panic!("calc is a good plugin");
        };
        assert_eq!(checked.settings, *settings);
        // Nobody who checks a file wants it to talk to the network.
        assert_eq!(checked.trial, Trial::NotRun);
        assert!(checked.warnings[0].contains("grants.network is never used"), "{checked:?}");
    }
    let small = HostFile::parse(
        "[plugins]\nlimits.memory = \"1 MiB\"\nmaximum.memory = \"1 MiB\"",
        &place.plugins(),
    );
    let CheckReport::Rejected(rejection) = place.check("calc.toml", &small.unwrap()).await else {
        panic!("the manifest asks for more than this host gives");
    };
    assert!(rejection.to_string().contains("[plugins.maximum]"), "{rejection}");
}

#[tokio::test]
async fn arguments_of_any_length_are_not_read_for_what_takes_no_permit() {
    let rig = Rig::with(&[]).await;
    let long = json!(vec![0; 10_000]);
    for method in ["jackfield.ping", "jackfield.services", "jackfield.describe"] {
        let reply = rig.call(method, long.clone()).await;
        reply.failed(Status::InvalidArgument, Executed::No, &["at most 4096"]);
    }
}
