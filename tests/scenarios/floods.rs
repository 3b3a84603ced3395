//! Guests that want all there is of the machine: its log, its memory, its disk.

use anyhow::Result;
use jackfield_client::{CallError, Client};
use jackfield_harness::eventually;
use tokio::task::JoinSet;

use crate::{Cluster, stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_neither_fills_the_log_nor_passes_for_the_hosts_own_words() {
    let cluster = Cluster::with_fixtures(&[("chatty", "chatty"), ("greeter", "greeter-v2")]);
    let client = cluster.stage.client(cluster.registry.address()).await.unwrap();
    let filler = "x".repeat(900);
    let line = format!("\u{1b}[2J\u{9b}31m{filler}\r\n2026-01-01T00:00:00Z ERROR {FORGED}\u{7}");
    for method in ["chatty.say", "chatty.complain"] {
        // Twenty megabytes. Whether its deadline ends it or not, the log is bounded.
        match client.call::<_, u64>(method, (&line, 20_000_u32)).await {
            Ok(bytes) => assert!(bytes > 18_000_000, "{method} said {bytes} bytes"),
            Err(error) => assert!(matches!(error, CallError::RequestTimeout(_)), "{error}"),
        }
    }
    assert_eq!(greet(&client).await.unwrap(), "Ahoy, Ada!");
    let log = cluster.host.log();
    assert!(!log.chars().any(|c| c.is_control() && c != '\n'), "control characters in the log");
    for line in log.lines().filter(|line| line.contains(FORGED)) {
        let (head, _) = line.split_once("2026-01-01T00:00:00Z ERROR").expect("as it was written");
        assert!(head.contains("jackfield::guest") && head.contains("service=chatty"), "{line}");
    }
    assert!(log.contains(FORGED) && log.contains("over its log rate"), "{}", &log[..2000]);
    // 64 KiB in each second of two calls of at most a minute.
    assert!(log.len() < 122 * (64 << 10), "{} bytes of log", log.len());
}

/// What a guest writes to look like the host.
const FORGED: &str = "every plugin was replaced by somebody else";

async fn greet(client: &Client) -> Result<String> {
    Ok(client.call("greeter.greet", ("Ada",)).await?)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_bombs_take_no_more_than_their_limit_each() {
    let cluster = Cluster::with_fixtures(&[("grower", "grower"), ("greeter", "greeter-v2")]);
    let client = cluster.stage.client(cluster.registry.address()).await.unwrap();
    cluster.host.forget_peak_memory().unwrap();
    let before = cluster.host.peak_memory().unwrap();
    let mut bombs = JoinSet::new();
    for _ in 0..BOMBS {
        let client = client.clone();
        bombs.spawn(async move {
            for _ in 0..3 {
                let error = client.call::<_, u32>("grower.grow-for-ever", ()).await.unwrap_err();
                assert!(error.to_string().contains("memory limit was reached"), "{error}");
            }
        });
    }
    bombs.join_all().await;
    let taken = cluster.host.peak_memory().unwrap() - before;
    assert!(taken > 128 << 20, "they did not get far: {taken} bytes");
    let most = BOMBS * (128 << 20) + BESIDES;
    assert!(taken < most, "{taken} bytes, more than {most}");
    assert_eq!(greet(&client).await.unwrap(), "Ahoy, Ada!");
}

/// Calls at once.
#[cfg(target_os = "linux")]
const BOMBS: u64 = 4;

/// What a host takes for itself while it serves them.
#[cfg(target_os = "linux")]
const BESIDES: u64 = 32 << 20;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_cache_is_no_reason_not_to_serve() {
    let stage = stage();
    let folder = stage.folder("host-a").unwrap();
    folder.add("greeter").unwrap();
    let registry = stage.registry().unwrap();
    let cache = stage.state().join("compiled");
    std::fs::create_dir_all(&cache).unwrap();
    // In a mount namespace of its own: the mount goes with the process, whatever happens.
    let mount = r#"mount -t tmpfs -o size=8k none "$1" && shift && exec "$@""#;
    let cache = cache.to_string_lossy().into_owned();
    let tiny_disk = ["unshare", "-rm", "sh", "-c", mount, "sh", &cache];
    let probe = std::process::Command::new(tiny_disk[0]).args(&tiny_disk[1..]).arg("true").output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("skipped: this user may not mount a small disk (unshare -rm)");
        return;
    }
    let address = registry.address();
    let host = stage.host_in(&tiny_disk, &folder, address).unwrap();
    let client = stage.client(address).await.unwrap();
    eventually("greeter answers", async || greet(&client).await.ok()).await;
    assert_eq!(greet(&client).await.unwrap(), "Hello, Ada!");
    folder.put_fixture("greeter", "greeter-v2").unwrap();
    eventually("a replacement serves", async || {
        greet(&client).await.ok().filter(|text| text == "Ahoy, Ada!")
    })
    .await;
    drop(host);
}
