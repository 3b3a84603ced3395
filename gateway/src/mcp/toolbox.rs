//! The tools that there are now, and their calls: what every agent of a process shares.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jackfield_client::{Client, NoRegistry};
use jackfield_wire::name::BUILTIN_SERVICE;
use jackfield_wire::reflect::ServiceInfo;
use jackfield_wire::ty::nearest;
use jackfield_wire::{ServiceName, Status, TraceContext};
use rmcp::model::{CallToolResult, JsonObject, Tool};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::tool::Offer;
use super::{McpConfig, outcome};
use crate::catalog::Catalog;
use crate::problem::Problem;

/// Shared by every session.
pub(crate) struct Toolbox {
    client: Client,
    catalog: Arc<Catalog>,
    config: McpConfig,
    /// Calls at once: a session goes on with those whose client has left.
    calls: Semaphore,
    most_calls: usize,
    /// Held while hosts are asked, so that of many who want to know only one asks. Asking has a
    /// deadline, and a holder that is dropped leaves what was known before.
    kept: Mutex<Kept>,
    /// Those who announce changes.
    pub(crate) tasks: TaskTracker,
    /// Ends announcements and subscriptions.
    pub(crate) drain: CancellationToken,
}

#[derive(Default)]
struct Kept {
    /// The change of the snapshot that the set was made after; `None` when it lacks something.
    at: Option<u64>,
    set: Arc<Toolset>,
}

/// The tools of one moment.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Toolset(BTreeMap<String, Offer>);

impl Toolset {
    fn of(services: &[Arc<ServiceInfo>], config: &McpConfig) -> Self {
        let is_offered = |name: &ServiceName| {
            let wanted = &config.services;
            (wanted.is_empty() || wanted.contains(name)) && name.as_str() != BUILTIN_SERVICE
        };
        let mut tools = BTreeMap::new();
        for info in services.iter().filter(|info| is_offered(&info.service)) {
            for method in info.methods.iter().filter(|method| !method.hidden) {
                let offer = Offer::of(&info.service, method);
                let taken = tools.entry(offer.tool.name.to_string()).or_insert(offer.clone());
                if taken.target != offer.target {
                    let (tool, other) = (&offer.tool.name, &taken.target);
                    tracing::warn!(target = %offer.target, %tool, %other, "another method has this tool's name");
                }
            }
        }
        Self(tools)
    }

    /// All of them, by name.
    pub(crate) fn tools(&self) -> Vec<Tool> {
        self.0.values().map(|offer| offer.tool.clone()).collect()
    }

    /// The tool of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Offer> {
        self.0.get(name)
    }

    /// What to say of a name that there is none of.
    pub(crate) fn missing(&self, name: &str) -> String {
        let hint = match nearest(name, self.0.keys().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => "list the tools to see which there are".into(),
        };
        format!("there is no tool {name:?}; {hint}")
    }
}

impl Toolbox {
    pub(crate) fn new(
        client: Client,
        catalog: Arc<Catalog>,
        config: McpConfig,
        most_calls: usize,
    ) -> Self {
        Self {
            client,
            catalog,
            config,
            calls: Semaphore::new(most_calls),
            most_calls,
            kept: Mutex::default(),
            tasks: TaskTracker::new(),
            drain: CancellationToken::new(),
        }
    }

    /// The tools that there are now. Asks hosts for what is new to it.
    ///
    /// # Errors
    /// When no registry has ever answered.
    pub(crate) async fn tools(&self) -> Result<Arc<Toolset>, NoRegistry> {
        self.client.wait_ready(PATIENCE).await?;
        let mut kept = self.kept.lock().await;
        let now = *self.client.changes().borrow();
        if kept.at != Some(now) {
            let listing = self.catalog.listing().await;
            for (service, why) in &listing.failed {
                tracing::debug!(%service, why, "its methods are no tools for now");
            }
            let set = Toolset::of(&listing.services, &self.config);
            if set != *kept.set {
                kept.set = Arc::new(set);
            }
            kept.at = listing.failed.is_empty().then_some(now);
        }
        Ok(kept.set.clone())
    }

    /// Follows the tools from here on.
    pub(crate) async fn follow(&self) -> Changes<'_> {
        // What is seen first is what the tools are compared with that follow.
        let changes = self.client.changes();
        Changes { toolbox: self, changes, told: self.tools().await.unwrap_or_default() }
    }

    /// Calls a tool. Dropping the future cancels the call on its host.
    pub(crate) async fn call(
        &self,
        offer: &Offer,
        arguments: Option<JsonObject>,
        trace: Option<TraceContext>,
    ) -> CallToolResult {
        let Ok(_place) = self.calls.try_acquire() else {
            let detail = format!("{} calls are under way already", self.most_calls);
            let problem = Problem::new(Status::ResourceExhausted, detail);
            return outcome::failed(&offer.target, &problem.retry_after(Duration::from_secs(1)));
        };
        let ended = async {
            let mut request = self.client.request(&offer.target.to_string())?;
            if let Some(arguments) = arguments.filter(|arguments| !arguments.is_empty()) {
                request = request.args(&arguments)?;
            }
            if let Some(deadline) = self.config.deadline {
                request = request.deadline(deadline);
            }
            if let Some(trace) = trace {
                request = request.trace(trace);
            }
            request.send().await
        };
        outcome::of(&offer.target, offer.shape, ended.await)
    }
}

/// The changes of tools, for one who tells an agent.
pub(crate) struct Changes<'t> {
    toolbox: &'t Toolbox,
    changes: watch::Receiver<u64>,
    told: Arc<Toolset>,
}

impl Changes<'_> {
    /// Waits until the tools are others than before; `None` when they never will be.
    ///
    /// # Cancel safety
    /// Cancelled, it loses no change.
    pub(crate) async fn next(&mut self) -> Option<()> {
        loop {
            self.changes.changed().await.ok()?;
            // A registry that was never there says nothing that could be told.
            let Ok(now) = self.toolbox.tools().await else { continue };
            if now != self.told {
                self.told = now;
                return Some(());
            }
        }
    }
}

/// For a registry to answer: less than an agent waits.
const PATIENCE: Duration = Duration::from_secs(5);
