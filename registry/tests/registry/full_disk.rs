//! A disk without room: changes are refused as such, everything else goes on, and room is enough to
//! go on without a restart.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jackfield_registry::StoreConfig;
use jackfield_wire::Status;
use jackfield_wire::registry::{Instance, MethodSummary, Reply, Request, WatchEvent};

use crate::harness::{Caller, World, id, instance};

/// A file system of 64 MiB in memory; unmounted when dropped.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// `None`, said aloud, for whoever may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
            .arg(dir.path())
            .output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self { dir });
        }
        // Not `eprintln`, which the harness hides where a test passes.
        let said = writeln!(std::io::stderr(), "SKIPPED a full disk: only root can mount one");
        said.expect("stderr is open");
        None
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Takes all room but so much.
    fn fill(&self, left: usize) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let kilobyte = [7; 1024];
        while file.write_all(&kilobyte).is_ok() {}
        let len = file.metadata().unwrap().len();
        file.set_len(len - left as u64).unwrap();
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the registry may still have its file open.
        let _left = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn large(service: &str) -> Instance {
    let wit = "x".repeat(10 << 10);
    let methods = (0..9).map(|n| MethodSummary { name: format!("m{n}"), wit: wit.clone() });
    Instance { methods: methods.collect(), ..instance(service, "left") }
}

/// Registers large ones until the disk is full; says how many it took.
async fn until_refused(host: &Caller) -> usize {
    for n in 0..200 {
        let request = Request::Register(vec![large(&format!("s{n}"))]);
        if let Reply::Refused(refused) = host.ask(&request).await {
            assert_eq!(refused.status, Status::ResourceExhausted, "{refused}");
            assert!(refused.message.contains("no room"), "{refused}");
            assert!(refused.message.contains("nothing was changed"), "{refused}");
            return n;
        }
    }
    panic!("20 MB on a full disk");
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_everything_else_goes_on() {
    let Some(disk) = Disk::mount() else { return };
    let path = disk.path().join("registry.sqlite");
    let world = World::new();
    let durable = world.beside(|config| {
        config.store = StoreConfig::Sqlite(path.clone());
        config.ttl = std::time::Duration::from_secs(3600);
        config.heartbeat = std::time::Duration::from_millis(200);
    });
    let host = durable.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    let filler = disk.fill(1 << 20);
    let taken = until_refused(&host).await;
    assert!(taken > 0);

    let mut watching = durable.watch().await;
    watching.until(|set| set.len() == 1 + taken).await;
    assert!(host.heartbeat(&[id("calc", "left")]).await.is_empty());
    assert!(matches!(watching.next().await, WatchEvent::Idle(..)));
    until_refused(&host).await;

    std::fs::remove_file(filler).unwrap();
    host.register(vec![large("again")]).await;
    watching.until(|set| set.contains_key(&id("again", "left"))).await;
    // What was acknowledged is in the file.
    let before = watching.set.clone();
    durable.registry.shutdown(std::time::Duration::ZERO).await;
    let after = world.beside(|config| config.store = StoreConfig::Sqlite(path));
    let mut watching = after.watch().await;
    watching.until(|set| set.len() >= before.len()).await;
    assert_eq!(watching.set.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
}
