//! The processes around a measurement.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use jackfield_client::{Client, ClientBuilder};
use jackfield_transport::{Identity, Role, StateDir};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A registry and hosts that have registered there.
pub(crate) struct Fleet {
    pub(crate) hosts: Vec<Process>,
    pub(crate) registry: Process,
    home: TempDir,
}

/// This program in another role. Killed when dropped.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    child: Child,
    orders: ChildStdin,
}

impl Fleet {
    /// A registry and so many hosts, all listed.
    pub(crate) async fn start(hosts: usize) -> Self {
        let mut fleet = Self::unlisted(hosts);
        for host in &mut fleet.hosts {
            host.order(&format!("register {} {}", host.address, fleet.registry.address));
        }
        fleet
    }

    /// The same, before any host has registered.
    pub(crate) fn unlisted(hosts: usize) -> Self {
        let home = tempfile::Builder::new().prefix("jackfield-bench-").tempdir().unwrap();
        let registry = Self::spawn_registry(&home, 0);
        let hosts = (0..hosts).map(|n| Self::spawn_host(&home, &format!("host-{n}"), 0)).collect();
        Self { hosts, registry, home }
    }

    fn spawn_registry(home: &TempDir, port: u16) -> Process {
        let file = home.path().join("registry.db");
        let args =
            ["registry".into(), text(home.path().join("state")), text(file), port.to_string()];
        Process::spawn("registry", &args)
    }

    fn spawn_host(home: &TempDir, name: &str, port: u16) -> Process {
        let state = text(home.path().join("state"));
        let args = ["serve".into(), state, name.into(), text(home.path().into()), port.to_string()];
        Process::spawn(name, &args)
    }

    /// Starts host `n` again, where it was.
    pub(crate) fn restart(&mut self, n: usize) {
        let (name, address) = (self.hosts[n].name.clone(), self.hosts[n].address);
        self.hosts[n] = Self::spawn_host(&self.home, &name, address.port());
        let order = format!("register {address} {}", self.registry.address);
        self.hosts[n].order(&order);
    }

    /// Starts the registry again, where it was.
    pub(crate) fn restart_registry(&mut self) {
        self.registry = Self::spawn_registry(&self.home, self.registry.address.port());
    }

    pub(crate) fn last_good(&self) -> PathBuf {
        self.home.path().join("last-good.json")
    }

    /// A client in the making.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let registry = self.registry.address.to_string();
        Client::builder().registry(registry).state_dir(self.home.path().join("state"))
    }

    /// A client that knows every host and has a connection to each.
    pub(crate) async fn client(
        &self,
        set_up: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Client {
        let client = set_up(self.builder()).build().await.unwrap();
        self.listed(&client).await;
        for _ in 0..4 * self.hosts.len() {
            // A host that was listed a moment ago answers.
            client.request("bench.run").unwrap().positional_json("[0]").send().await.unwrap();
        }
        client
    }

    /// Waits until the client takes every host for callable.
    pub(crate) async fn listed(&self, client: &Client) {
        let end = Instant::now() + Duration::from_secs(60);
        while client.instances().iter().filter(|i| i.is_available()).count() < self.hosts.len() {
            assert!(Instant::now() < end, "hosts were not listed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whom a peer without a client is.
    pub(crate) fn identity(&self) -> Identity {
        let state = StateDir::resolve(Some(&self.home.path().join("state"))).unwrap();
        Identity::local(&state, Role::Client, "bench").unwrap()
    }

    /// How often each id was executed, over all hosts and all their lives.
    pub(crate) fn executions(&self) -> HashMap<u64, u32> {
        let mut counts = HashMap::new();
        for host in &self.hosts {
            let path = self.home.path().join(format!("{}.executed", host.name));
            for id in std::fs::read(path).unwrap().chunks_exact(8) {
                *counts.entry(u64::from_le_bytes(id.try_into().unwrap())).or_default() += 1;
            }
        }
        counts
    }
}

impl Process {
    fn spawn(name: &str, args: &[String]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{name}: {line:?}"));
        let (address, orders) = (address.parse().unwrap(), child.stdin.take().unwrap());
        Self { name: name.into(), address, child, orders }
    }

    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits, beside the runtime, until it has ended by itself.
    pub(crate) async fn ended(&mut self) {
        while self.child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}
