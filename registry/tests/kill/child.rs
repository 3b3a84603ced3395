//! The registry as a process of its own, to kill it without any warning or to stop it for a while.

#![allow(dead_code, reason = "tests stop it, benchmarks measure it")]

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jackfield_registry::{EtcdConfig, Registry, RegistryConfig, StoreConfig};
use jackfield_transport::{Identity, Role, StateDir};
use rustix::process::{Pid, Signal, kill_process};

/// What a registry is started with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// With the authority that everybody shares.
    pub(crate) dir: PathBuf,
    /// `etcd:ADDR,ADDR`, `memory:`, or the name of a file in the folder.
    pub(crate) store: String,
    pub(crate) ttl: Duration,
}

/// A running registry; killed when dropped.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Plan {
    /// Starts this program again, as a registry; it listens when this returns.
    pub(crate) fn start(&self) -> Serving {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg("serve")
            .arg(&self.dir)
            .arg(&self.store)
            .arg(self.ttl.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.trim().parse().expect("the registry's address");
        Serving { address, child }
    }

    pub(crate) fn state(&self) -> StateDir {
        state(&self.dir)
    }
}

impl Serving {
    pub(crate) fn kill(mut self) {
        self.end();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    fn end(&mut self) {
        // Both fail when it has ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
    }
}

/// The child: serves until it is killed.
pub(crate) async fn serve(dir: &Path, store: &str, ttl: &str) {
    let identity = Identity::local(&state(dir), Role::Registry, "registry").expect("an identity");
    let mut config = RegistryConfig::new((Ipv4Addr::LOCALHOST, 0).into(), identity);
    config.store = match store.strip_prefix("etcd:") {
        Some(members) => StoreConfig::Etcd(EtcdConfig::new(members.split(','))),
        None if store == "memory:" => StoreConfig::Memory,
        None => StoreConfig::Sqlite(dir.join(store)),
    };
    config.ttl = Duration::from_millis(ttl.parse().expect("milliseconds"));
    config.heartbeat = config.ttl / 4;
    config.max_instances_per_host = 10_000;
    config.max_instances = 1_000_000;
    config.max_requests_per_second = 1_000_000;
    let registry = Registry::spawn(config).expect("it starts");
    println!("{}", registry.local_addr());
    // Ends with its parent, should that be killed instead.
    let parent = || std::io::stdin().lines().count();
    let _ended = tokio::task::spawn_blocking(parent).await;
}

fn state(dir: &Path) -> StateDir {
    StateDir::resolve(Some(&dir.join("state"))).expect("a private folder")
}
