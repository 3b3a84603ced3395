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

use crate::catalog::Catalog;
use crate::compile::{Compiler, Compilers};
use crate::dispatch::{About, Dispatch, LocalCall};
use crate::engine::Ticker;
use crate::kept::Kept;
use crate::lane::Lane;
use crate::manifest::HostFile;
use crate::plugin::{Loader, Plugin, Rejection};
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
        let internal = |what: &dyn std::fmt::Display| Rejection::Internal(what.to_string());
        let limits = Arc::new(host.limits.clone());
        let compile = Compilers::new(compiler, state.path(), Arc::clone(&limits))
            .map_err(|error| internal(&error))?;
        let defaults = Arc::new(host.plugins.clone());
        let loader = Loader::new(compile.engines().plain(), Arc::clone(&limits), defaults)
            .map_err(|error| internal(&error))?;
        let stores = loader.stores().clone();
        let ticker =
            Ticker::spawn(Arc::clone(compile.engines())).map_err(|error| internal(&error))?;
        let lane = Arc::new(Lane::spawn(ticker).map_err(|error| internal(&error))?);
        let catalog = Arc::new(Catalog::new());
        let kept = Arc::new(Kept::nothing());
        let workshop = Workshop {
            loader,
            compile: Arc::new(compile),
            catalog: Arc::clone(&catalog),
            limits: Arc::clone(&limits),
            lane: Arc::clone(&lane),
            kept: Arc::clone(&kept),
            accept_breaking_changes: true,
        };
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
