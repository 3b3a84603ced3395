//! A host as the registry sees it: one connection, one request at a time.

use std::net::SocketAddr;

use jackfield_transport::{
    Connection, Dialer, Identity, Protocol, Role, StateDir, TransportLimits,
};
use jackfield_wire::registry::{Instance, MethodSummary, Reply, Request};
use jackfield_wire::{FrameKind, ServiceName, from_cbor, to_cbor};

/// A host and its connection.
pub(crate) struct Peer {
    pub(crate) name: String,
    connection: Connection,
    _dialer: Dialer,
}

impl Peer {
    pub(crate) async fn connect(state: &StateDir, name: &str, registry: SocketAddr) -> Self {
        Self::try_connect(state, name, registry).await.expect("a registry")
    }

    /// `None` when there is no registry.
    pub(crate) async fn try_connect(
        state: &StateDir,
        name: &str,
        registry: SocketAddr,
    ) -> Option<Self> {
        let identity = Identity::local(state, Role::Host, name).expect("an identity");
        let limits = TransportLimits::default();
        let dialer = Dialer::new(&identity, Protocol::Registry, limits).expect("a dialler");
        let connection = dialer.dial(registry, Role::Registry).await.ok()?;
        Some(Self { name: name.into(), connection, _dialer: dialer })
    }

    /// The answer; `None` when the registry went away instead.
    pub(crate) async fn ask(&self, request: &Request) -> Option<Reply> {
        let mut exchange = self.connection.open().await.ok()?;
        exchange.send_last(&[(FrameKind::Message, &to_cbor(request))]).await.ok()?;
        let frame = exchange.recv().await.ok()??;
        Some(from_cbor(&frame.payload).expect("a reply"))
    }

    /// An instance of this host.
    pub(crate) fn instance(&self, service: &str, version: &str) -> Instance {
        Self::instance_of(&self.name, service, version)
    }

    /// An instance of the host of this name.
    pub(crate) fn instance_of(host: &str, service: &str, version: &str) -> Instance {
        let service = ServiceName::new(service).expect("a name");
        Instance {
            version: Some(version.into()),
            methods: vec![MethodSummary { name: "add".into(), wit: "add: func()".into() }],
            ..Instance::new(service, host, "127.0.0.1:4433")
        }
    }
}
