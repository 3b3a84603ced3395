//! The folder: what is put in, replaced, taken out, and broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jackfield_host::HostEvent;
use jackfield_wire::{Executed, Status};
use serde_json::json;
use tokio::task::JoinSet;

use crate::rig::{Place, Rig, eventually, fixture, plugin, versioned, wat};

#[tokio::test]
async fn a_new_file_is_served_without_a_restart() {
    let mut rig = Rig::with(&[]).await;
    rig.place.put("calc.wasm", plugin("calc"));
    let loaded = rig.event(|event| match event {
        HostEvent::Loaded { service, .. } => Some(service),
        _ => None,
    });
    assert_eq!(loaded.await.as_str(), "calc");
    assert_eq!(rig.call("calc.add", json!([1, 2])).await.ok(), json!(3.0));
}

#[tokio::test]
async fn a_file_that_is_copied_and_not_renamed_is_served_once_it_keeps_still() {
    let mut rig = Rig::with(&[]).await;
    let bytes = plugin("calc");
    let mut copy = std::fs::File::create(rig.place.path("calc.wasm")).unwrap();
    for piece in bytes.chunks(bytes.len() / 7 + 1) {
        std::io::Write::write_all(&mut copy, piece).unwrap();
        tokio::task::yield_now().await;
    }
    drop(copy);
    rig.event(|event| matches!(event, HostEvent::Loaded { .. }).then_some(())).await;
    assert_eq!(rig.call("calc.add", json!([1, 2])).await.ok(), json!(3.0));
}

#[tokio::test]
async fn a_replacement_under_load_fails_no_call() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1))]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let (caller, stop) = (rig.caller.clone(), Arc::clone(&stop));
        callers.spawn(async move {
            let mut seen = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                seen.push(caller.call("v.version", json!([])).await.ok());
            }
            seen
        });
    }
    for number in 2..=5 {
        rig.place.put("v.wasm", versioned(number));
        rig.replaced().await;
        assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(number));
    }
    stop.store(true, Ordering::Relaxed);
    for seen in callers.join_all().await {
        assert!(seen.is_sorted_by_key(|value| value.as_u64()), "never back to an older version");
        assert!(!seen.is_empty());
    }
    eventually("old versions go", async || rig.host.draining() == 0).await;
}

#[tokio::test]
async fn a_call_in_flight_finishes_on_the_version_that_it_began_on() {
    let mut rig = Rig::with(&[("p.wasm", plugin("sleeper"))]).await;
    let before = rig.generation("p");
    let wait = json!([400]);
    let arguments = [(jackfield_wire::FrameKind::Positional, &wait)];
    let mut slow = rig.caller.start("p.sleep-ms", &arguments, None).await;
    eventually("the call runs", async || rig.host.load().in_flight == 1).await;
    rig.place.put("p.wasm", versioned(2));
    let (_, to) = rig.replaced().await;
    assert_eq!(rig.call("p.version", json!([])).await.generation, Some(to));
    let reply = crate::rig::answer(&mut slow).await;
    assert_eq!(reply.generation, before);
    assert_eq!(reply.ok(), json!(400));
    eventually("the old version goes", async || rig.host.draining() == 0).await;
}

#[tokio::test]
async fn a_bad_drop_keeps_the_last_good_version_and_a_good_one_clears_it() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1))]).await;
    rig.place.put("v.wasm", &versioned(2)[..60]);
    let reason = rig.rejection().await;
    assert!(reason.contains("not a valid component"), "{reason}");
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(1));
    assert_eq!(rig.host.services()[0].rejected.as_ref(), Some(&reason));
    rig.place.put("v.wasm", versioned(3));
    rig.replaced().await;
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(3));
    assert_eq!(rig.host.services()[0].rejected, None);
    assert!(rig.host.rejected().is_empty());
}

#[tokio::test]
async fn putting_the_old_file_back_clears_a_rejection_without_a_new_version() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1))]).await;
    let generation = rig.generation("v");
    rig.place.put("v.wasm", "not wasm");
    rig.rejection().await;
    rig.place.put("v.wasm", versioned(1));
    eventually("it is cleared", async || rig.host.rejected().is_empty()).await;
    assert_eq!(rig.generation("v"), generation);
}

#[tokio::test]
async fn a_removed_file_takes_its_service_along() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1)), ("w.wasm", versioned(2))]).await;
    std::fs::remove_file(rig.place.path("v.wasm")).unwrap();
    rig.event(|event| matches!(event, HostEvent::Withdrawn { .. }).then_some(())).await;
    let reply = rig.call("v.version", json!([])).await;
    reply.failed(Status::NotFound, Executed::No, &["\"v\"", "there is: w"]);
    assert_eq!(rig.call("w.version", json!([])).await.ok(), json!(2));
}

#[tokio::test]
pub(crate) async fn each_kind_of_bad_file_is_refused_with_what_to_do() {
    let mut rig = Rig::with(&[]).await;
    let calc = plugin("calc");
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        (
            "truncated.wasm",
            calc[..calc.len() / 2].to_vec(),
            &["not a valid component", "copy it again"],
        ),
        ("empty.wasm", vec![], &["empty", "copy"]),
        ("text.wasm", b"hello".to_vec(), &["not a wasm file"]),
        ("core.wasm", fixture("core-module"), &["core module", "wasm32-wasip2"]),
        ("native.wasm", b"\x7fELF\x02\x01\x01".to_vec(), &["precompiled"]),
        ("imports.wasm", fixture("unknown-import"), &["does not provide", "size"]),
        ("nothing.wasm", fixture("empty"), &["exports no function"]),
        ("jackfield.wasm", calc.clone(), &["every host answers", "rename"]),
        ("bad name.wasm", calc.clone(), &["' ' cannot be in a name", "rename"]),
        ("async.wasm", without_callback(), &["component-model async", "leaves off"]),
    ];
    for (file, bytes, words) in cases {
        rig.place.put(file, bytes);
        let reason = rig.rejection().await;
        for word in words {
            assert!(reason.contains(word), "{file}: {word:?} is not in {reason:?}");
        }
    }
    assert!(rig.host.services().is_empty());
    let reply = rig.call("core.add", json!([])).await;
    reply.failed(Status::NotFound, Executed::No, &["core.wasm was rejected", "core module"]);
}

/// Lifted in a way that no toolchain of today asks for.
fn without_callback() -> Vec<u8> {
    wat(r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func (export "f") async (canon lift (core func $i "f") async)))"#)
}

#[cfg(unix)]
#[tokio::test]
async fn links_fifos_and_folders_are_refused_and_block_nobody() {
    let mut rig = Rig::with(&[("good.wasm", versioned(1))]).await;
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(elsewhere.path(), versioned(2)).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), rig.place.path("link.wasm")).unwrap();
    assert!(rig.rejection().await.contains("symbolic link"));
    std::fs::create_dir(rig.place.path("dir.wasm")).unwrap();
    assert!(rig.rejection().await.contains("a directory"));
    let fifo = rig.place.path("fifo.wasm");
    assert!(std::process::Command::new("mkfifo").arg(fifo).status().unwrap().success());
    assert!(rig.rejection().await.contains("a FIFO"));
    assert_eq!(rig.call("good.version", json!([])).await.ok(), json!(1));
}

#[tokio::test]
pub(crate) async fn an_interface_of_types_alone_needs_nobody_to_provide_it() {
    let rig = Rig::with(&[("types.wasm", fixture("type-import"))]).await;
    assert_eq!(rig.host.rejected(), []);
    assert_eq!(rig.host.services().len(), 1);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let place = Place::new();
    let mut config = place.config();
    config.folder = place.path("nowhere");
    let error = Rig::over(place, config).await.err().expect("it cannot start");
    let text = error.to_string();
    assert!(text.contains("nowhere") && text.contains("name a folder that exists"), "{text}");
}

#[tokio::test]
async fn more_plugins_than_the_limit_are_refused_and_the_rest_serves() {
    let files = [("a.wasm", versioned(1)), ("b.wasm", versioned(2)), ("c.wasm", versioned(3))];
    let rig = Rig::tuned(&files, |config| config.limits.plugins = 2).await;
    assert_eq!(rig.host.services().len(), 2);
    let rejected = rig.host.rejected();
    assert_eq!(rejected[0].file, "c.wasm");
    assert!(rejected[0].reason.contains("more than 2 plugins"));
}

#[tokio::test]
async fn a_file_over_the_limit_is_not_read() {
    let files = [("big.wasm", versioned(1))];
    let rig = Rig::tuned(&files, |config| config.limits.plugin_file = 50).await;
    assert!(rig.host.rejected()[0].reason.contains("the limit is 50 bytes"));
}

#[cfg(unix)]
#[tokio::test]
async fn names_that_are_no_text_are_refused_and_the_rest_serves() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    place.put("good.wasm", versioned(1));
    place.put("line\nfeed.wasm", versioned(2));
    for name in [b"\xfe.wasm", b"\xff.wasm"] {
        let path = place.plugins().join(std::ffi::OsStr::from_bytes(name));
        std::fs::write(path, versioned(3)).unwrap();
    }
    let config = place.config();
    let rig = Rig::over(place, config).await.expect("the host starts");
    assert_eq!(rig.call("good.version", json!([])).await.ok(), json!(1));
    let files: Vec<_> = rig.host.rejected().into_iter().map(|rejected| rejected.file).collect();
    assert_eq!(files, ["line\\nfeed.wasm", "\u{fffd}.wasm"]);
    // The registry cannot tell of what has no service's name: the host's report does.
    let told: Vec<_> = rig.host.report().nameless.into_iter().map(|told| told.file).collect();
    assert_eq!(told, files);
}

#[tokio::test]
async fn a_folder_that_is_exchanged_is_followed() {
    let mut rig = Rig::with(&[("v.wasm", versioned(1)), ("w.wasm", versioned(1))]).await;
    let old = rig.place.plugins().with_file_name("old");
    std::fs::rename(rig.place.plugins(), &old).unwrap();
    std::fs::create_dir(rig.place.plugins()).unwrap();
    rig.place.put("v.wasm", versioned(2));
    rig.replaced().await;
    eventually("what is not in it goes", async || rig.host.services().len() == 1).await;
    assert_eq!(rig.call("v.version", json!([])).await.ok(), json!(2));
}
