//! What a host needs to start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jackfield_transport::{Identity, StateDir, TransportLimits};
use jackfield_wire::Namespace;
use jackfield_wire::trace::Sampling;

use crate::compile::Compiler;
use crate::limits::HostLimits;
use crate::manifest::PluginDefaults;
use crate::registration::InstanceMetadata;
use crate::services::Services;

/// The settings of a host. Its name, as registries know it, is its identity's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostConfig {
    /// Where the plugins are. It must exist.
    pub folder: PathBuf,
    /// Where to listen; port 0 picks one. Beyond loopback the identity must be deliberate.
    pub listen: SocketAddr,
    /// Who the host is.
    pub identity: Identity,
    /// Where compiled code is cached.
    pub state: StateDir,
    /// Registries to announce the services to, as `HOST:PORT`, in order of preference; one at a
    /// time. Default none: the host can then be called directly only.
    pub registries: Vec<String>,
    /// The namespace in which the services are registered. Default `default`.
    pub namespace: Namespace,
    /// Which part of the network the host is in, for clients that prefer their own. Default none.
    pub zone: Option<String>,
    /// What its instances say of themselves, for clients that choose by it. Default nothing.
    pub metadata: InstanceMetadata,
    /// The address that registries hand to clients. Default the one that is listened on, which is
    /// wrong behind address translation and impossible for `0.0.0.0`.
    pub advertise: Option<SocketAddr>,
    /// Who compiles the plugins. Default this process, which bounds nothing but the size of a file:
    /// a program that serves plugins of others should name a child process.
    pub compiler: Compiler,
    /// Whether a new version of a plugin may break callers of the one that serves without saying so
    /// by its version or in its manifest. Default no: such a file is rejected.
    pub accept_breaking_changes: bool,
    /// Who may roll services back: names of clients, or whole `spiffe://` names. Default none, which
    /// means every client where the identity is a private one (then all peers are this user on this
    /// machine), and nobody otherwise.
    pub operators: Vec<String>,
    /// What plugins and calls may use.
    pub limits: HostLimits,
    /// How plugins call other services, where their manifests let them. Default `None`: every such
    /// call is refused.
    pub services: Option<Arc<dyn Services>>,
    /// Which of the traces that begin here are recorded. Default all that the program records
    /// itself; a call that is part of a trace is recorded as that says.
    pub sampling: Sampling,
    /// What plugins get whose manifests say nothing of it.
    pub plugins: PluginDefaults,
    /// Bounds of its connections.
    pub transport: TransportLimits,
}

impl HostConfig {
    /// Settings with a default for everything else.
    pub fn new(
        folder: impl Into<PathBuf>,
        listen: SocketAddr,
        identity: Identity,
        state: StateDir,
    ) -> Self {
        Self {
            folder: folder.into(),
            listen,
            identity,
            state,
            registries: Vec::new(),
            namespace: Namespace::default(),
            zone: None,
            metadata: InstanceMetadata::default(),
            advertise: None,
            compiler: Compiler::InProcess,
            accept_breaking_changes: false,
            operators: Vec::new(),
            limits: HostLimits::default(),
            services: None,
            sampling: Sampling::default(),
            plugins: PluginDefaults::default(),
            transport: TransportLimits::default(),
        }
    }
}
