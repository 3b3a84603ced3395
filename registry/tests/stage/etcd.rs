//! Real etcd clusters on loopback, for tests and benchmarks. Where etcd is not installed, tests say
//! so and pass.

#![allow(dead_code, reason = "each of those who use it needs another part")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

/// A cluster whose members are processes of their own; they end with it.
pub(crate) struct Cluster {
    members: Vec<Member>,
    peers: String,
    synced: bool,
    secured: bool,
    dir: TempDir,
}

struct Member {
    name: String,
    client: u16,
    peer: u16,
    process: Option<Child>,
}

impl Cluster {
    /// A cluster of so many members, which do not wait for the disk; `None`, said aloud, where etcd
    /// is not installed.
    pub(crate) fn start(members: usize) -> Option<Self> {
        Self::start_synced(members, false)
    }

    /// With `synced`, members wait for the disk as they do in production.
    pub(crate) fn start_synced(members: usize, synced: bool) -> Option<Self> {
        Self::begin(members, synced, false)
    }

    /// One member that has a certificate and wants one of whoever comes: `ca.pem`, `cert.pem` and
    /// `key.pem` are [files](Self::file) beside it, and `other.pem` is another authority's.
    pub(crate) fn start_secured() -> Option<Self> {
        Self::begin(1, false, true)
    }

    fn begin(members: usize, synced: bool, secured: bool) -> Option<Self> {
        if !is_installed() {
            let test = std::thread::current().name().unwrap_or("this").to_owned();
            // Not `eprintln`, which the harness hides where a test passes.
            let said = writeln!(
                std::io::stderr(),
                "SKIPPED {test}: etcd is not installed (apt-get install etcd-server)"
            );
            said.expect("stderr is open");
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        if secured {
            make_certificates(dir.path());
        }
        let (members_of, peers) = (Vec::new(), String::new());
        let mut cluster = Self { members: members_of, peers, synced, secured, dir };
        let ports = free_ports(members * 2);
        for (n, pair) in ports.chunks(2).enumerate() {
            let (client, peer) = (pair[0], pair[1]);
            cluster.members.push(Member { name: format!("m{n}"), client, peer, process: None });
        }
        let peers = cluster.members.iter();
        let peers = peers.map(|member| format!("{}=http://127.0.0.1:{}", member.name, member.peer));
        cluster.peers = peers.collect::<Vec<_>>().join(",");
        let launched: Vec<_> = (0..members).map(|n| cluster.launch(n)).collect();
        launched.into_iter().for_each(wait_ready);
        Some(cluster)
    }

    /// The addresses for clients.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let scheme = if self.secured { "https://" } else { "" };
        let address = |member: &Member| format!("{scheme}127.0.0.1:{}", member.client);
        self.members.iter().map(address).collect()
    }

    /// Kills a member without any warning.
    pub(crate) fn kill(&mut self, member: usize) {
        if let Some(mut process) = self.members[member].process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
        }
    }

    /// A file beside the members.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Takes everything from a member that was killed.
    pub(crate) fn wipe(&self, member: usize) {
        let data = self.file(&self.members[member].name);
        std::fs::remove_dir_all(data).expect("it had data");
    }

    /// Starts a member that was killed, with what it had.
    pub(crate) fn restart(&mut self, member: usize) {
        wait_ready(self.launch(member));
    }

    /// The process of a member, to stop and continue it.
    pub(crate) fn pid(&self, member: usize) -> u32 {
        self.members[member].process.as_ref().expect("it runs").id()
    }

    /// Runs `etcdctl` on the first member.
    pub(crate) fn ctl(&self, args: &[&str]) -> String {
        let endpoint = format!("--endpoints=127.0.0.1:{}", self.members[0].client);
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .arg(endpoint)
            .args(args)
            .output()
            .expect("etcdctl");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {args:?}: {text}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn launch(&mut self, n: usize) -> mpsc::Receiver<()> {
        let member = &mut self.members[n];
        let scheme = if self.secured { "https" } else { "http" };
        let client = format!("{scheme}://127.0.0.1:{}", member.client);
        let peer = format!("http://127.0.0.1:{}", member.peer);
        let mut command = Command::new("etcd");
        command
            .args(["--name", &member.name, "--data-dir"])
            .arg(self.dir.path().join(&member.name))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &self.peers, "--initial-cluster-state", "new"])
            .args(["--heartbeat-interval", "100", "--election-timeout", "1000"])
            .args(["--logger", "zap", "--log-outputs", "stderr"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if !self.synced {
            command.arg("--unsafe-no-fsync");
        }
        if self.secured {
            command.arg("--client-cert-auth");
            for (name, file) in [
                ("--trusted-ca-file", "ca.pem"),
                ("--cert-file", "cert.pem"),
                ("--key-file", "key.pem"),
            ] {
                command.arg(name).arg(self.dir.path().join(file));
            }
        }
        let mut process = command.spawn().expect("etcd starts");
        let (ready, is_ready) = mpsc::channel();
        let log = BufReader::new(process.stderr.take().expect("piped"));
        member.process = Some(process);
        // Reads to the end of the process, which must never wait for room in the pipe.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                // The words of 3.5 and later, and of 3.4.
                if READY.iter().any(|words| line.contains(words)) {
                    // A second time nobody listens.
                    let _once = ready.send(());
                }
            }
        });
        is_ready
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|member| self.kill(member));
    }
}

/// An authority, a certificate of it for 127.0.0.1, and an authority that nobody knows.
fn make_certificates(dir: &Path) {
    let keep = |name: &str, text: String| std::fs::write(dir.join(name), text).expect("room");
    let authority = |name: &str| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a certificate");
        (certificate.pem(), rcgen::Issuer::new(params, key))
    };
    let (ca, issuer) = authority("ca");
    keep("ca.pem", ca);
    keep("other.pem", authority("other").0);
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(["127.0.0.1".into()]).expect("an address");
    keep("cert.pem", params.signed_by(&key, &issuer).expect("a certificate").pem());
    keep("key.pem", key.serialize_pem());
}

fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir: PathBuf| dir.join("etcd")).any(|etcd| etcd.is_file())
}

fn wait_ready(ready: mpsc::Receiver<()>) {
    ready.recv_timeout(PATIENCE).expect("etcd does not get ready");
}

/// Ports that nobody has at the moment.
fn free_ports(count: usize) -> Vec<u16> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let listeners: Vec<_> = (0..count).map(bind).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("bound").port()).collect()
}

/// Far beyond anything that a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
const READY: [&str; 3] = [
    "ready to serve client requests",
    "serving client traffic insecurely",
    "serving client traffic securely",
];
