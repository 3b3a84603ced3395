//! What a manifest grants is given, what it does not grant is not, and what cannot be given is
//! said when the plugin loads.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::path::Path;

use jackfield_wire::{Executed, Status};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::rig::{Answer, PATIENCE, Place, Rig, fixture, plugin, wat};

/// A host over one plugin and its manifest.
async fn granted(name: &str, manifest: &str) -> Rig {
    let [wasm, toml] = [format!("{name}.wasm"), format!("{name}.toml")];
    Rig::with(&[(&toml, manifest.into()), (&wasm, plugin(name))]).await
}

#[track_caller]
fn refused(answer: &Answer) {
    assert_eq!(answer.status, Status::Application, "{answer:?}");
}

fn quoted(path: &Path) -> String {
    path.display().to_string().replace('\\', "/")
}

#[tokio::test]
async fn granted_variables_are_seen_and_no_others() {
    let text = r#"grants.env = { MODE = "fast", SEARCH = { from-env = "PATH" } }"#;
    let rig = granted("nosy", text).await;
    assert_eq!(rig.call("nosy.variable", json!(["MODE"])).await.ok(), json!("fast"));
    let path = std::env::var("PATH").unwrap();
    assert_eq!(rig.call("nosy.variable", json!(["SEARCH"])).await.ok(), json!(path));
    assert_eq!(rig.call("nosy.variables", json!([])).await.ok(), json!(["MODE", "SEARCH"]));
}

/// A plugin over a directory with a file, a folder, and links that lead out of it.
async fn over_a_directory(write: bool) -> (Rig, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    std::fs::create_dir_all(data.join("inner")).unwrap();
    std::fs::write(data.join("file"), "inside").unwrap();
    std::fs::write(root.path().join("secret"), "outside").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("../secret", data.join("relative")).unwrap();
        symlink(root.path().join("secret"), data.join("absolute")).unwrap();
        symlink("..", data.join("up")).unwrap();
    }
    let host = quoted(&data);
    let text =
        format!(r#"grants.dirs = [{{ host = "{host}", guest = "/data", write = {write} }}]"#);
    (granted("nosy", &text).await, root)
}

async fn read(rig: &Rig, path: &str) -> Answer {
    rig.call("nosy.read-file", json!([path])).await
}

async fn write(rig: &Rig, path: &str) -> Answer {
    rig.call("nosy.write-file", json!([path, "written"])).await
}

#[tokio::test]
async fn a_directory_to_read_is_read_and_never_written() {
    let (rig, root) = over_a_directory(false).await;
    assert_eq!(read(&rig, "/data/file").await.ok(), json!("inside"));
    for path in ["/data/file", "/data/new", "/data/inner/new", "/data/relative"] {
        refused(&write(&rig, path).await);
    }
    assert_eq!(std::fs::read_to_string(root.path().join("data/file")).unwrap(), "inside");
    assert!(!root.path().join("data/new").exists());
    assert_eq!(std::fs::read_to_string(root.path().join("secret")).unwrap(), "outside");
}

#[tokio::test]
async fn a_directory_to_write_is_written_and_nothing_beside_it() {
    let (rig, root) = over_a_directory(true).await;
    write(&rig, "/data/new").await.ok();
    assert_eq!(std::fs::read_to_string(root.path().join("data/new")).unwrap(), "written");
    for path in ["/data/relative", "/data/absolute", "/data/up/secret", "/data/../secret"] {
        refused(&write(&rig, path).await);
    }
    assert_eq!(std::fs::read_to_string(root.path().join("secret")).unwrap(), "outside");
}

#[tokio::test]
async fn no_link_and_no_parent_leads_out_of_a_directory() {
    let (rig, root) = over_a_directory(false).await;
    for path in [
        "/data/relative",
        "/data/absolute",
        "/data/up/secret",
        "/data/../secret",
        "/data/inner/../../secret",
        "/secret",
        "/etc/passwd",
    ] {
        refused(&read(&rig, path).await);
    }
    refused(&read(&rig, &quoted(&root.path().join("secret"))).await);
    refused(&rig.call("nosy.read-folder", json!(["/data/up"])).await);
}

#[tokio::test]
async fn a_relative_directory_is_beside_the_manifest() {
    let place = Place::new();
    std::fs::create_dir(place.plugins().join("data")).unwrap();
    std::fs::write(place.plugins().join("data/file"), "here").unwrap();
    place.put("nosy.toml", r#"grants.dirs = [{ host = "data", guest = "/d" }]"#);
    place.put("nosy.wasm", plugin("nosy"));
    let config = place.config();
    let rig = Rig::over(place, config).await.unwrap();
    assert_eq!(read(&rig, "/d/file").await.ok(), json!("here"));
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_said_when_the_plugin_loads() {
    let text = r#"grants.dirs = [{ host = "no-such-place", guest = "/d" }]"#;
    let rig = granted("nosy", text).await;
    let rejected = rig.host.rejected();
    assert_eq!(rejected.len(), 1);
    for part in ["line 1", "no-such-place cannot be granted", "no-such-place is not there; make it"]
    {
        assert!(rejected[0].reason.contains(part), "{rejected:?}");
    }
}

/// Sends text over TCP from a guest, and gives what comes back.
async fn exchange(rig: &Rig, address: &str) -> Answer {
    rig.call("reacher.exchange", json!([address, "hello"])).await
}

/// Two plugins that may reach `host`.
async fn over_the_network(host: &str) -> Rig {
    let grant = format!("network = [\"{host}\"]");
    Rig::with(&[
        ("nosy.toml", format!("[grants]\n{grant}").into()),
        ("nosy.wasm", plugin("nosy")),
        ("reacher.toml", reacher(&grant).into()),
        ("reacher.wasm", plugin("reacher")),
    ])
    .await
}

#[tokio::test]
async fn granted_addresses_are_reached_and_no_others() {
    let mut tasks = JoinSet::new();
    let [allowed, other] = [shouter(&mut tasks).await, shouter(&mut tasks).await];
    let rig = over_the_network(&allowed.to_string()).await;
    assert_eq!(exchange(&rig, &allowed.to_string()).await.ok(), json!("HELLO"));
    refused(&exchange(&rig, &other.to_string()).await);
    refused(&exchange(&rig, &format!("localhost:{}", allowed.port())).await);
    refused(&rig.call("nosy.look-up", json!(["localhost"])).await);
    for address in ["127.0.0.1:0", "0.0.0.0:0"] {
        // The guest's C library may trap when it closes the socket that could not be bound.
        let answer = rig.call("nosy.listen", json!([address])).await;
        assert!(matches!(answer.status, Status::Application | Status::Trapped), "{answer:?}");
    }
}

#[tokio::test]
async fn a_granted_name_is_looked_up_and_reached_and_no_other_is() {
    let mut tasks = JoinSet::new();
    let port = shouter(&mut tasks).await.port();
    let rig = over_the_network(&format!("localhost:{port}")).await;
    assert_eq!(exchange(&rig, &format!("localhost:{port}")).await.ok(), json!("HELLO"));
    let found = rig.call("nosy.look-up", json!(["localhost"])).await.ok();
    assert!(found.as_array().unwrap().contains(&json!("127.0.0.1")), "{found}");
    refused(&rig.call("nosy.look-up", json!(["localhost.localdomain"])).await);
    // An address is none that was granted, unless this very instance looked the name up.
    refused(&exchange(&rig, &format!("127.0.0.1:{port}")).await);
}

/// Everything that the fixture imports, so that it loads, and `more`.
fn reacher(more: &str) -> String {
    let base = [("http", "[]"), ("config", "{}"), ("keyvalue", "{}")];
    let missing = base.iter().filter(|(key, _)| !more.contains(&format!("{key} =")));
    let lines: Vec<_> = missing.map(|(key, value)| format!("{key} = {value}")).collect();
    format!("[grants]\n{}\n{more}\n", lines.join("\n"))
}

#[tokio::test]
async fn datagrams_go_to_granted_addresses_alone() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rig = granted("reacher", &reacher(&format!("network = [\"{address}\"]"))).await;
    rig.call("reacher.datagram", json!([address.to_string(), "hello"])).await.ok();
    let mut bytes = [0; 16];
    let received = tokio::time::timeout(PATIENCE, socket.recv(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(&bytes[..received], b"hello");
    refused(&rig.call("reacher.datagram", json!([other.to_string(), "hello"])).await);
}

/// Gives back in capitals what it gets, as long as the set lives.
async fn shouter(tasks: &mut JoinSet<()>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = String::new();
            stream.read_to_string(&mut request).await.expect("text");
            stream.write_all(request.to_uppercase().as_bytes()).await.expect("the guest reads");
        }
    });
    address
}

/// Answers every request, as long as the set lives.
async fn web_server(tasks: &mut JoinSet<()>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            // A request without a body comes in one piece on loopback.
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.expect("the guest reads");
        }
    });
    address
}

#[tokio::test]
async fn requests_go_to_granted_hosts_alone() {
    let mut tasks = JoinSet::new();
    let [allowed, other] = [web_server(&mut tasks).await, web_server(&mut tasks).await];
    let rig = granted("reacher", &reacher(&format!("http = [\"{allowed}\"]"))).await;
    let answer = rig.call("reacher.request", json!([allowed.to_string()])).await;
    assert_eq!(answer.ok(), json!(204));
    for authority in [other.to_string(), format!("localhost:{}", allowed.port())] {
        let answer = rig.call("reacher.request", json!([authority])).await;
        refused(&answer);
        assert!(answer.value.as_ref().unwrap().to_string().contains("Denied"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_plugin_reads_the_settings_of_its_manifest() {
    let rig = granted("reacher", &reacher("config = { depth = \"3\" }")).await;
    assert_eq!(rig.call("reacher.setting", json!(["depth"])).await.ok(), json!("3"));
    assert_eq!(rig.call("reacher.setting", json!(["width"])).await.ok(), Value::Null);
}

#[tokio::test]
async fn a_store_is_kept_between_calls_and_shared_by_its_name() {
    let sharing = |store: &str| reacher(&format!("keyvalue = {{ default = \"{store}\" }}"));
    let rig = Rig::with(&[
        ("one.toml", sharing("common").into()),
        ("one.wasm", plugin("reacher")),
        ("two.toml", sharing("common").into()),
        ("two.wasm", plugin("reacher")),
        ("three.toml", sharing("own").into()),
        ("three.wasm", plugin("reacher")),
    ])
    .await;
    for (service, count) in [("one", 1), ("one", 2), ("two", 3), ("three", 1)] {
        let target = format!("{service}.count");
        assert_eq!(
            rig.call(&target, json!(["default", "n"])).await.ok(),
            json!(count),
            "{service}"
        );
    }
    assert_eq!(rig.call("one.swap", json!(["default", "k", "x"])).await.ok(), Value::Null);
    assert_eq!(rig.call("two.swap", json!(["default", "k", "y"])).await.ok(), json!("x"));
    rig.call("two.forget", json!(["default", "k"])).await.ok();
    assert_eq!(rig.call("one.swap", json!(["default", "k", "z"])).await.ok(), Value::Null);
    refused(&rig.call("one.count", json!(["common", "n"])).await);
}

#[tokio::test]
async fn a_plugin_without_a_grant_is_refused_with_the_lines_that_grant_it() {
    let mut rig = Rig::with(&[("reacher.wasm", plugin("reacher"))]).await;
    let reason = rig.host.rejected()[0].reason.clone();
    for part in ["wasi:http/outgoing-handler@0.2.", "wasi:config/store", "wasi:keyvalue/atomics"] {
        assert!(reason.contains(part), "{part} is not in {reason}");
    }
    assert!(!reason.contains("wasi:logging"), "{reason}");
    let (_, lines) = reason.split_once("beside it:").expect("lines to paste");
    rig.place.put("reacher.toml", lines.replace("\\n", "\n"));
    rig.place.put("reacher.wasm", plugin("reacher"));
    rig.event(|event| match event {
        jackfield_host::HostEvent::Loaded { service, .. } => Some(service),
        _ => None,
    })
    .await;
    assert_eq!(rig.call("reacher.count", json!(["default", "n"])).await.ok(), json!(1));
    refused(&rig.call("reacher.request", json!(["127.0.0.1:80"])).await);
}

#[tokio::test]
async fn wasi_of_any_patch_version_links_also_what_is_granted() {
    for version in ["0.2.0", "0.2.3", "0.2.12", "0.2.99"] {
        let component = wat(&format!(
            r#"(component
                (import "wasi:http/types@{version}" (instance
                    (export "fields" (type (sub resource)))))
                (core module $m (func (export "f")))
                (core instance $i (instantiate $m))
                (func (export "f") (canon lift (core func $i "f"))))"#
        ));
        let files = [("w.toml", b"grants.http = []".to_vec()), ("w.wasm", component)];
        let rig = Rig::with(&files).await;
        assert_eq!(rig.host.rejected(), [], "{version}");
        rig.call("w.f", json!([])).await.ok();
    }
}

/// A plugin that starts, but not within some milliseconds.
fn slow_to_start() -> Vec<u8> {
    wat(r#"(component
        (core module $m
            (func $start (local $left i32)
                (local.set $left (i32.const 200_000_000))
                (loop $again
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $again (local.get $left))))
            (start $start)
            (func (export "ping")))
        (core instance $i (instantiate $m))
        (func (export "ping") (canon lift (core func $i "ping"))))"#)
}

#[tokio::test]
async fn a_call_that_ends_while_its_instance_starts_is_unknown_once_something_of_it_may_last() {
    for (text, executed) in [
        ("", Executed::No),
        ("grants.env = { A = \"x\" }", Executed::No),
        ("grants.keyvalue = { default = \"x\" }", Executed::Unknown),
        ("grants.network = [\"10.0.0.1\"]", Executed::Unknown),
    ] {
        let rig = Rig::with(&[("s.toml", text.into()), ("s.wasm", slow_to_start())]).await;
        let soon = std::time::Duration::from_millis(5);
        let answer = rig.caller.call_within("s.ping", json!([]), soon).await;
        let ended = (answer.status, answer.executed);
        assert_eq!(ended, (Status::DeadlineExceeded, executed), "{text}: {answer:?}");
    }
}

#[tokio::test]
async fn a_manifest_that_does_not_hold_refuses_its_plugin_and_says_where() {
    let rig = granted("nosy", "[limits]\nmemroy = \"1 MiB\"").await;
    let reason = &rig.host.rejected()[0].reason;
    assert!(reason.contains("line 2, column 1: unknown key `limits.memroy`"), "{reason}");
    assert!(reason.contains("did you mean `memory`"), "{reason}");
}

#[tokio::test]
async fn a_plugin_runs_within_the_limits_of_its_manifest() {
    let text = "version = \"3.1.4\"\ndescription = \"Grows.\"\nlimits = { memory = \"8 MiB\", \
                arguments = \"100 B\" }";
    let files = [("grower.toml", text.into()), ("grower.wasm", fixture("grower"))];
    let rig = Rig::with(&files).await;
    let reply = rig.call("grower.grow-for-ever", json!([])).await;
    reply.failed(Status::Trapped, Executed::Yes, &["memory limit", "8388608 bytes allowed"]);
    let info = &rig.host.services()[0];
    assert_eq!(info.version.as_deref(), Some("3.1.4"));
    assert_eq!(info.docs.as_deref(), Some("Grows."));
    let reply = rig.call("grower.grow", json!(vec![1; 100])).await;
    reply.failed(Status::InvalidArgument, Executed::No, &["limit is 100 bytes"]);
}
