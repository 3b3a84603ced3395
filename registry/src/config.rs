//! How a registry runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jackfield_transport::{Identity, TransportLimits};

/// What a [`Registry`](crate::Registry) needs to start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistryConfig {
    /// Where to listen; port 0 picks one. Beyond loopback the identity must have been set up on
    /// purpose.
    pub listen: SocketAddr,
    /// Who it is; its role must be `registry`.
    pub identity: Identity,
    /// Where the set is kept. Default memory.
    pub store: StoreConfig,
    /// Time from a heartbeat to the end of what it named, and time after a start until the registry
    /// is authoritative. Default 10 s. Shorter notices a stopped host sooner (a dead connection is
    /// noticed at once in any case) and loses instances to short pauses of their hosts; a day is
    /// the longest.
    pub ttl: Duration,
    /// Time between heartbeats, as hosts are told, and between signs of life on a silent watch.
    /// Default 3 s: three in a TTL, so that two may be lost. At most half the TTL.
    pub heartbeat: Duration,
    /// Instances in all. Default 50,000, each its encoded bytes and about 150 more; the next one is
    /// refused.
    /// Zero refuses all.
    pub max_instances: usize,
    /// Instances of one host. Default 256; the next one is refused. Zero refuses all.
    pub max_instances_per_host: usize,
    /// Watches in all. Default 10,000. Each takes about 10 KiB, and up to 256 KiB for as long as its
    /// peer does not read; the next one is refused. Zero refuses all.
    pub max_watches: usize,
    /// Watches of one identity. Default 1,000; the next one is refused. Zero refuses all.
    pub max_watches_per_peer: usize,
    /// Requests of one identity in a second, on all its connections; four seconds of them may come
    /// at once. Default 500; more are refused. Zero refuses all. A connection's heartbeats are taken
    /// ten times in a TTL.
    pub max_requests_per_second: u32,
    /// Whose orders are obeyed: names of clients, or whole `spiffe://` names. Default none, which
    /// means every client where the identity is a private one (then all peers are this user on this
    /// machine), and nobody otherwise.
    pub operators: Vec<String>,
    /// Bounds of connections and streams. Default: those of the transport, but for 16,000
    /// connections, which is every watch and the hosts, and 256 handshakes at once, with a proven
    /// address from the 64th on. When everybody comes back at once, those are done before their
    /// time is up, and the others are told to come later, which costs next to nothing.
    pub limits: TransportLimits,
}

impl RegistryConfig {
    /// The defaults, listening at `listen` as `identity`.
    pub fn new(listen: SocketAddr, identity: Identity) -> Self {
        Self {
            listen,
            identity,
            store: StoreConfig::default(),
            ttl: Duration::from_secs(10),
            heartbeat: Duration::from_secs(3),
            max_instances: 50_000,
            max_instances_per_host: 256,
            max_watches: 10_000,
            max_watches_per_peer: 1_000,
            max_requests_per_second: 500,
            operators: Vec::new(),
            limits: limits(),
        }
    }
}

fn limits() -> TransportLimits {
    let mut limits = TransportLimits::default();
    limits.connections = 16_000;
    limits.handshakes = 256;
    limits.retry_above = 64;
    limits
}

/// Where a registry keeps its set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreConfig {
    /// In memory: after a restart the set is empty, watchers keep what they had, and hosts register
    /// again within a TTL.
    #[default]
    Memory,
    /// In this SQLite file, made when it is missing; its folder must be there, on a disk of this
    /// machine. Every change is on the disk before it is acknowledged. After a restart the old set
    /// is served at once, and watchers go on where they were.
    Sqlite(PathBuf),
    /// In an etcd cluster, which several registries share: all serve one set, and hosts and clients
    /// may use any of them.
    Etcd(EtcdConfig),
}

/// An etcd cluster, version 3.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtcdConfig {
    /// `ADDR:PORT` or `https://NAME:PORT` of members; one is enough, several survive its loss.
    pub members: Vec<String>,
    /// What all keys of this registry begin with; ends with `/`. Default `jackfield/registry/`.
    /// Registries with different ones have nothing to do with each other.
    pub prefix: String,
    /// The authority of the members' certificates, a PEM file. Needed for `https://`.
    pub ca: Option<PathBuf>,
    /// This registry's own certificate and key, PEM files, where the cluster asks for one.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl EtcdConfig {
    /// What keys begin with where nobody says otherwise.
    pub const DEFAULT_PREFIX: &str = "jackfield/registry/";

    /// These members, trusted because nobody else can be at their addresses.
    pub fn new(members: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            members: members.into_iter().map(Into::into).collect(),
            prefix: Self::DEFAULT_PREFIX.into(),
            ca: None,
            certificate: None,
        }
    }
}
