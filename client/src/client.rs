//! The handle that callers hold.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::Identity;
use jackfield_wire::name::{BUILTIN_SERVICE, TargetError};
use jackfield_wire::reflect::{Rollback, ServiceInfo};
use jackfield_wire::registry::Instance;
use jackfield_wire::trace::Sampling;
use jackfield_wire::{FrameLimits, ServiceName, Target};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::asker::RegistryError;
use crate::balancer::Balancer;
use crate::builder::ClientBuilder;
use crate::direct::Direct;
use crate::discovery::{RegistryLink, Shared};
use crate::error::{CallError, NoRegistry};
use crate::operator::Operator;
use crate::options::CallOptions;
use crate::pool::Pool;
use crate::request::Request;
use crate::snapshot::Snapshot;

/// Calls methods of services, wherever they are. Cheap to clone; clones share everything.
///
/// Its tasks and connections end with [`close`](Self::close), or with the last clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) identity: Identity,
    pub(crate) source: Source,
    pub(crate) pool: Arc<Pool>,
    pub(crate) balancer: Arc<Balancer>,
    pub(crate) frames: FrameLimits,
    pub(crate) options: CallOptions,
    pub(crate) sampling: Sampling,
    /// Each with `options` beneath it.
    pub(crate) options_by_service: HashMap<ServiceName, CallOptions>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// Where instances are known from.
pub(crate) enum Source {
    Registry(Arc<Shared>),
    Direct(Direct),
}

impl Client {
    /// A client in the making.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Calls `target`, such as `calc.add`, and reads the result as an `R`.
    ///
    /// `args` is a tuple or list for arguments by position, a struct or map for arguments by name,
    /// `()` for none. A method without a result gives `()`.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Cancel safety
    /// As [`Request::send`].
    pub async fn call<A, R>(&self, target: &str, args: A) -> Result<R, CallError>
    where
        A: Serialize,
        R: DeserializeOwned,
    {
        self.request(target)?.args(&args)?.send().await?.decode()
    }

    /// A call with everything said one by one.
    ///
    /// # Errors
    /// When `target` is not `SERVICE.METHOD`.
    pub fn request(&self, target: &str) -> Result<Request, TargetError> {
        Ok(Request::new(self.clone(), target.parse()?))
    }

    /// What a host of `service` says of it: methods, types, documentation.
    ///
    /// # Errors
    /// As any call; a service that nobody serves is [`CallError::NoAvailableInstance`].
    pub async fn describe(&self, service: &ServiceName) -> Result<ServiceInfo, CallError> {
        let request = self.builtin("describe").via(service.clone());
        request.args(&(service,))?.idempotent().send().await?.decode()
    }

    /// Everything that one host says of its services.
    ///
    /// # Errors
    /// As any call.
    pub async fn services_at(
        &self,
        address: std::net::SocketAddr,
    ) -> Result<Vec<ServiceInfo>, CallError> {
        self.builtin("services").at(address).idempotent().send().await?.decode()
    }

    /// Has the host at `address` return to the version of `service` before the one that serves,
    /// until its file changes. Does nothing where that has been done.
    ///
    /// # Errors
    /// As any call: `permission-denied` for who is no operator of the host, `not-found` where there
    /// is no version before.
    pub async fn roll_back_at(
        &self,
        address: std::net::SocketAddr,
        service: &ServiceName,
    ) -> Result<Rollback, CallError> {
        self.builtin("rollback").at(address).args(&(service,))?.idempotent().send().await?.decode()
    }

    /// A connection over which orders are given to the registries that this client watches, by its own
    /// identity.
    ///
    /// # Errors
    /// When none answers; [`RegistryError::NoRegistry`] in direct mode.
    ///
    /// # Cancel safety
    /// Nothing has been ordered yet.
    pub async fn operator(&self) -> Result<Operator, RegistryError> {
        match &self.inner.source {
            Source::Registry(shared) => {
                Operator::connect(&self.inner.identity, shared.registries()).await
            }
            Source::Direct(_) => Err(RegistryError::NoRegistry),
        }
    }

    pub(crate) fn builtin(&self, method: &str) -> Request {
        let service = ServiceName::new(BUILTIN_SERVICE).expect("a constant that is a name");
        Request::new(self.clone(), Target { service, method: method.into() })
    }

    /// What the client knows of the network now; nothing in direct mode. Costs no round trip.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        match &self.inner.source {
            Source::Registry(shared) => shared.snapshot(),
            Source::Direct(_) => Arc::default(),
        }
    }

    /// Every instance that the client knows now.
    pub fn instances(&self) -> Vec<Arc<Instance>> {
        self.snapshot().instances().cloned().collect()
    }

    /// Every service that the client knows now.
    pub fn services(&self) -> Vec<ServiceName> {
        self.snapshot().services().map(|(name, _)| name.clone()).collect()
    }

    /// How the client fares with its registries; `None` in direct mode.
    pub fn registry_link(&self) -> Option<RegistryLink> {
        match &self.inner.source {
            Source::Registry(shared) => Some(shared.link()),
            Source::Direct(_) => None,
        }
    }

    /// Counts the snapshots: it changes when [`snapshot`](Self::snapshot) gives another one. Never
    /// in direct mode.
    pub fn changes(&self) -> watch::Receiver<u64> {
        match &self.inner.source {
            Source::Registry(shared) => shared.changes(),
            Source::Direct(_) => watch::channel(0).1,
        }
    }

    /// Waits until a set of instances is known, for at most `patience`. At once in direct mode.
    ///
    /// A call waits by itself; this is for those who want to list, or to fail early.
    ///
    /// # Errors
    /// When no registry answered; it names each, with the reason.
    pub async fn wait_ready(&self, patience: Duration) -> Result<Arc<Snapshot>, NoRegistry> {
        match &self.inner.source {
            Source::Registry(shared) => shared.first(patience).await,
            Source::Direct(_) => Ok(Arc::default()),
        }
    }

    /// Ends tasks and closes connections, for every clone; calls that still run fail. Returns when
    /// the other sides know, which takes a few round trips, or half a second towards a silent one.
    /// A process that ends without it leaves hosts to find out by their idle timeout.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        tokio::join!(self.inner.tasks.wait(), self.inner.pool.close());
    }
}

impl Inner {
    /// What this client says of calls of `service`.
    pub(crate) fn options_of(&self, service: &ServiceName) -> &CallOptions {
        self.options_by_service.get(service).unwrap_or(&self.options)
    }

    /// What the registry says of them.
    pub(crate) fn settings(&self, service: &ServiceName) -> Option<CallOptions> {
        match &self.source {
            Source::Registry(shared) => shared.snapshot().options(service.as_str()).cloned(),
            Source::Direct(_) => None,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("registries", &self.registry_link()).finish_non_exhaustive()
    }
}
