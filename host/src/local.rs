//! One plugin in this process, called without a network: for its author's tests.
//!
//! Its calls go the way of any call, through the same dispatch, limits, manifest and instances as
//! on a host. There is no listener, no registration and no reload; a plugin that traps is not
//! quarantined, because no caller has to be spared. Ends when it is dropped.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_transport::{Operators, StateDir};
use jackfield_wire::Failure;
use jackfield_wire::reflect::ServiceInfo;
use tokio::sync::broadcast;

use crate::compile::Compiler;
use crate::dispatch::{About, Dispatch, LocalCall};
use crate::manifest::HostFile;
use crate::plugin::{Plugin, Rejection};
use crate::reload::Workshop;

/// A plugin that answers calls of this process.
pub struct LocalHost {
    dispatch: Dispatch,
    plugin: Arc<Plugin>,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAnswer {
    /// The result's JSON; `None` of a method that has none.
    Value(Option<Vec<u8>>),
    /// The method's own error, as JSON.
    Application(Vec<u8>),
    /// It failed in another way.
    Failed(Failure),
}

impl LocalHost {
    /// Loads the component at `file` with the manifest beside it, as a host with these settings
    /// does: compiled within bounds, started once, its own self-test passed. Compiled code is kept
    /// in `state`, where hosts of this user find it, too.
    ///
    /// Must be called inside a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// Why a host would not serve it.
    ///
    /// # Cancel safety
    /// Dropping it ends the compiler.
    pub async fn load(
        file: &Path,
        host: &HostFile,
        compiler: Compiler,
        state: &StateDir,
    ) -> Result<Self, Rejection> {
        let workshop = Workshop::alone(host, compiler, state)?;
        let Workshop { catalog, limits, lane, kept, loader, .. } = workshop.clone();
        let stores = loader.stores().clone();
        let plugin = Arc::new(Box::pin(workshop.load_once(file)).await?);
        let (events, _) = broadcast::channel(1);
        let about = About { host: "local".into(), stores, since: Instant::now() };
        let parts = (lane, kept, Operators::Clients, about);
        let dispatch = Dispatch::new(Arc::clone(&catalog), limits, events, parts);
        catalog.serve("", Arc::clone(&plugin), None);
        Ok(Self { dispatch, plugin })
    }

    /// What it offers.
    pub fn info(&self) -> ServiceInfo {
        self.plugin.info(None)
    }

    /// Calls `method` by its short or qualified name, with JSON: an array by position, an object
    /// by name, or both. Without a deadline the plugin's own counts.
    ///
    /// # Cancel safety
    /// Dropping it ends the guest, as a caller does that goes away.
    pub async fn call(
        &self,
        method: &str,
        (positional, named): (Option<Vec<u8>>, Option<Vec<u8>>),
        deadline: Option<Duration>,
    ) -> LocalAnswer {
        self.plugin.watch().forget();
        let service = self.plugin.service().as_str();
        Box::pin(self.dispatch.local(LocalCall { service, method, positional, named, deadline }))
            .await
    }
}
