//! The service that every host answers itself.

use jackfield_host::{CheckReport, check};
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

#[test]
fn checking_a_file_says_what_a_host_would() {
    let place = Place::new();
    place.put("calc.wasm", plugin("calc"));
    let CheckReport::Serves(info) = check(&place.path("calc.wasm")) else {
        panic!("calc is a good plugin");
    };
    assert_eq!(info.service.as_str(), "calc");
    place.put("jackfield.wasm", plugin("calc"));
    for (file, bytes, words) in [
        ("jackfield.wasm", plugin("calc"), "rename"),
        ("my calc.wasm", plugin("calc"), "rename"),
        ("core.wasm", fixture("core-module"), "wasm-tools"),
        ("missing.wasm", vec![], "no such file"),
    ] {
        if !bytes.is_empty() {
            place.put(file, bytes);
        }
        let CheckReport::Rejected(rejection) = check(&place.path(file)) else {
            panic!("{file} is no good plugin");
        };
        assert!(rejection.to_string().contains(words), "{file}: {rejection}");
    }
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
