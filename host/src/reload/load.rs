//! One load: a file of the folder and its manifest → a plugin that may serve, or why it may not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jackfield_transport::StateDir;
use jackfield_wire::Generation;
use jackfield_wire::name::ServiceName;

use super::decide::Stamp;
use super::file::{self, Content, ManifestFile};
use super::{compat, trial};
use crate::catalog::{Catalog, Left};
use crate::compile::{Compiler, Compilers};
use crate::engine::Ticker;
use crate::kept::{Kept, KeptVersion};
use crate::lane::{Lane, Lost};
use crate::limits::HostLimits;
use crate::manifest::{HostFile, Manifest};
use crate::plugin::{self, Candidate, Loader, Method, Plugin, Rejection};

/// What loads need.
#[derive(Clone)]
pub(crate) struct Workshop {
    pub(crate) loader: Loader,
    pub(crate) compile: Arc<Compilers>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) limits: Arc<HostLimits>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) kept: Arc<Kept>,
    /// Serve also what breaks callers of the version before.
    pub(crate) accept_breaking_changes: bool,
    /// Run nothing of a plugin whose grants let it leave something behind.
    pub(crate) only_harmless_trials: bool,
}

/// What a load gave.
pub(super) enum Loaded {
    /// What serves from now on; in the place of the file's content if that was left.
    New(Box<Plugin>, Option<Left>, Stamp),
    /// A content that is known: it serves already, or was rolled back.
    Same(Generation, Stamp),
    Rejected(Rejection, Option<Stamp>),
    NoRoom(Rejection),
    /// The host is unable, whatever the file is.
    Unable(Rejection),
    /// Somebody ended it, whatever the file is.
    Killed(Rejection),
    Changing,
}

/// A file and its manifest, as they were read.
struct Source {
    service: ServiceName,
    bytes: Arc<[u8]>,
    manifest: Manifest,
    /// The manifest's; empty when there is none.
    text: String,
    generation: Generation,
    stamp: Stamp,
}

impl Workshop {
    /// What loads one plugin for this process alone, as a host with these settings does: there is no
    /// version before it. Compiled code is kept in `state`.
    ///
    /// Must be called inside a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// What the machine refuses.
    pub(crate) fn alone(
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
        let ticker =
            Ticker::spawn(Arc::clone(compile.engines())).map_err(|error| internal(&error))?;
        Ok(Self {
            loader,
            compile: Arc::new(compile),
            catalog: Arc::new(Catalog::new()),
            limits,
            lane: Arc::new(Lane::spawn(ticker).map_err(|error| internal(&error))?),
            kept: Arc::new(Kept::nothing()),
            accept_breaking_changes: true,
            only_harmless_trials: false,
        })
    }

    /// Loads `file` of `folder`.
    ///
    /// # Cancel safety
    /// Dropping it ends what is under way, but for a thread of this process that compiles.
    pub(super) async fn load(self, folder: PathBuf, file: String) -> Loaded {
        let (path, limit) = (folder.join(&file), self.limits.plugin_file);
        let at = path.clone();
        let source = match self.aside(move || read(&at, limit)).await {
            Ok(Some(source)) => source,
            Ok(None) => return Loaded::Changing,
            Err(rejection) => return Loaded::Rejected(rejection, None),
        };
        if let Err(rejection) = self.place(&source.service, &file) {
            return Loaded::NoRoom(rejection);
        }
        let (stamp, generation) = (source.stamp, source.generation);
        let now = self.catalog.now();
        let service = source.service.as_str();
        let serving = now.plugin(service).map(|plugin| plugin.generation());
        if [serving, now.instead_of(service)].contains(&Some(generation)) {
            return Loaded::Same(generation, stamp);
        }
        let restored = match now.of_file(&file) {
            Some(_) => None,
            None => self.restored(path, file, &source).await,
        };
        let made = match restored {
            Some(restored) => restored.map(|(plugin, left)| (plugin, Some(left))),
            None => self.plugin(source).await.map(|plugin| (plugin, None)),
        };
        match made {
            Ok((plugin, left)) => Loaded::New(Box::new(plugin), left, stamp),
            Err(rejection @ Rejection::CompilerUnavailable(_)) => Loaded::Unable(rejection),
            Err(rejection @ Rejection::CompilerKilled(_)) => Loaded::Killed(rejection),
            Err(rejection) => Loaded::Rejected(rejection, Some(stamp)),
        }
    }

    /// Loads a file that nobody watches.
    ///
    /// # Cancel safety
    /// As [`Self::load`].
    ///
    /// # Errors
    /// Why a host would not serve it.
    pub(crate) async fn load_once(self, file: &Path) -> Result<Plugin, Rejection> {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        match Box::pin(self.load(folder, name.unwrap_or_default())).await {
            Loaded::New(plugin, ..) => Ok(*plugin),
            Loaded::Rejected(rejection, _)
            | Loaded::NoRoom(rejection)
            | Loaded::Unable(rejection)
            | Loaded::Killed(rejection) => Err(rejection),
            Loaded::Same(..) | Loaded::Changing => Err(not_whole(file)),
        }
    }

    /// Whether there is a place for `service` from `file`.
    fn place(&self, service: &ServiceName, file: &str) -> Result<(), Rejection> {
        let now = self.catalog.now();
        if let Some((file, other)) = now.taken(service, file) {
            let (file, service, wanted) = (file.into(), other.to_string(), service.to_string());
            return Err(Rejection::Taken { file, service, wanted });
        }
        let limit = self.limits.plugins;
        if now.of_file(file).is_none() && now.names().count() >= limit {
            return Err(Rejection::TooMany { limit });
        }
        Ok(())
    }

    /// What a rollback before the host's start has serve in the place of `source`. `None` when
    /// there is no such rollback, or nothing to return to any more: then the file serves.
    ///
    /// # Errors
    /// When the host could not compile it now, which is not the end of the rollback.
    async fn restored(
        &self,
        path: PathBuf,
        file: String,
        source: &Source,
    ) -> Option<Result<(Plugin, Left), Rejection>> {
        let (kept, content, stamp) = (Arc::clone(&self.kept), source.generation, source.stamp);
        let service = source.service.clone();
        let found = self.aside(move || {
            let Some(rollback) = kept.rollback(&file, content) else { return Ok(None) };
            let version = kept.version(rollback.serves);
            let KeptVersion { manifest: text, component } =
                version.map_err(|error| Rejection::Unreadable(error.to_string()))?;
            let manifest = file::parse(&path, &text)?;
            let (bytes, generation) = (component.into(), rollback.serves);
            let left = Left { generation: rollback.refused, because: rollback.because };
            Ok(Some((Source { service, bytes, manifest, text, generation, stamp }, left)))
        });
        let made = match found.await {
            Ok(None) => return None,
            Ok(Some((source, left))) => self.plugin(source).await.map(|plugin| (plugin, left)),
            Err(rejection) => Err(rejection),
        };
        match made {
            Err(reason @ (Rejection::CompilerUnavailable(_) | Rejection::CompilerKilled(_))) => {
                Some(Err(reason))
            }
            Err(reason) => {
                let service = &source.service;
                tracing::error!(
                    %service,
                    "what was rolled back serves again: the version before cannot, {reason}"
                );
                None
            }
            Ok(restored) => Some(Ok(restored)),
        }
    }

    async fn plugin(&self, source: Source) -> Result<Plugin, Rejection> {
        let accept = self.accept_breaking_changes || source.manifest.accept_breaking_change;
        let Source { service, bytes, manifest, text, generation, .. } = source;
        let copy = Arc::clone(&bytes);
        let loader = self.loader.clone();
        let candidate: Candidate =
            self.aside(move || loader.candidate(service, bytes, (manifest, generation))).await?;
        let compiled = self.compile.component(candidate.bytes(), candidate.instances()).await?;
        let plugin = self.aside(move || candidate.link(compiled)).await?;
        if let Some(running) = self.catalog.now().plugin(plugin.service().as_str()) {
            compare(running, &plugin, accept)?;
        }
        let plugin = self.tried(plugin).await?;
        let kept = Arc::clone(&self.kept);
        self.aside(move || {
            kept.keep(generation, &text, &copy);
            Ok(())
        })
        .await?;
        Ok(plugin)
    }

    async fn tried(&self, plugin: Plugin) -> Result<Plugin, Rejection> {
        if self.only_harmless_trials && plugin.settings().grants.have_lasting_effects() {
            return Ok(plugin);
        }
        let conduct = Arc::clone(plugin.conduct());
        let limits = Arc::clone(&self.limits);
        let trial = async move {
            trial::trial(&plugin, &limits).await?;
            Ok(plugin)
        };
        let tried = self.lane.send(&conduct, trial).await;
        tried.unwrap_or_else(|| Err(Rejection::Internal(Lost::Closed.to_string())))
    }

    /// Runs what takes a thread some milliseconds, where it keeps none from serving.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Rejection> + Send + 'static,
    ) -> Result<T, Rejection> {
        let done = self.lane.block(work).await;
        done.unwrap_or_else(|lost| Err(Rejection::Internal(lost.to_string())))
    }
}

/// Refuses what breaks callers of `running`, unless it says so or is accepted.
fn compare(running: &Plugin, new: &Plugin, accept: bool) -> Result<(), Rejection> {
    let infos = running.methods().iter().map(Method::info);
    let broken = compat::broken(infos, |name| Some(new.methods()[new.method(name)?].info()));
    if broken.is_empty() || compat::is_announced(running.version(), new.version()) {
        return Ok(());
    }
    let broken = compat::list(&broken);
    if accept {
        let service = new.service();
        tracing::warn!(%service, "callers of the version before break: {broken}");
        return Ok(());
    }
    Err(Rejection::Breaking { broken, advice: compat::advice(running.version()) })
}

/// Reads a component and its manifest; `None` when they are being written.
fn read(path: &Path, limit: u64) -> Result<Option<Source>, Rejection> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = plugin::service_name(file::stem(&name));
    let Some(beside) = file::manifest_file(path)? else { return Ok(None) };
    let ManifestFile { manifest, text, stamp: of_manifest } = beside;
    let service = match &manifest.service {
        Some(service) => service.clone(),
        None => stem?,
    };
    let Content::Whole(bytes, component) = file::read(path, limit)? else { return Ok(None) };
    let generation = plugin::generation_under(&text, &bytes);
    let stamp = Stamp { component, manifest: of_manifest };
    Ok(Some(Source { service, bytes: bytes.into(), manifest, text, generation, stamp }))
}

/// Reads a file that nobody watches.
///
/// # Errors
/// Why a host would not read it; also when it is not there, or is being written.
pub(crate) fn read_once(path: &Path, limit: u64) -> Result<Vec<u8>, Rejection> {
    match file::read(path, limit)? {
        Content::Whole(bytes, _) => Ok(bytes),
        Content::Changing => Err(not_whole(path)),
    }
}

fn not_whole(path: &Path) -> Rejection {
    let is_there = path.exists();
    let why = if is_there { "it changed while it was read" } else { "there is no such file" };
    Rejection::Unreadable(why.into())
}
