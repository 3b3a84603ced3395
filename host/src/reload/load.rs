//! One load: a file of the folder → a plugin that may serve, or why it may not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jackfield_wire::Generation;
use jackfield_wire::name::ServiceName;

use super::decide::Stamp;
use super::file::{self, Content};
use crate::compile::Compile;
use crate::plugin::{self, Loader, Plugin, Rejection};

/// What to load, and with what.
pub(super) struct Load {
    pub(super) path: PathBuf,
    pub(super) service: ServiceName,
    /// What serves now.
    pub(super) serving: Option<Generation>,
    pub(super) loader: Loader,
    pub(super) compile: Arc<Compile>,
    /// Bytes of a file.
    pub(super) limit: u64,
}

/// What a load gave.
pub(super) enum Loaded {
    New(Box<Plugin>, Stamp),
    /// The content that serves already.
    Same(Stamp),
    Rejected(Rejection, Option<Stamp>),
    NoRoom(Rejection),
    /// The host is unable, whatever the file is.
    Unable(Rejection),
    Changing,
}

impl Load {
    /// # Cancel safety
    /// Dropping it ends what is under way, but for a thread of this process that compiles.
    pub(super) async fn run(self) -> Loaded {
        let path = self.path.clone();
        let limit = self.limit;
        let read = tokio::task::spawn_blocking(move || file::read(&path, limit)).await;
        let (bytes, stamp) = match read {
            Ok(Ok(Content::Whole(bytes, stamp))) => (Arc::<[u8]>::from(bytes), stamp),
            Ok(Ok(Content::Changing)) => return Loaded::Changing,
            Ok(Err(rejection)) => return Loaded::Rejected(rejection, None),
            Err(error) => return Loaded::Rejected(Rejection::Internal(error.to_string()), None),
        };
        let generation = plugin::generation(&bytes);
        if self.serving == Some(generation) {
            return Loaded::Same(stamp);
        }
        match self.plugin(bytes).await {
            Ok(plugin) => Loaded::New(Box::new(plugin), stamp),
            Err(rejection @ Rejection::CompilerUnavailable(_)) => Loaded::Unable(rejection),
            Err(rejection) => Loaded::Rejected(rejection, Some(stamp)),
        }
    }

    async fn plugin(self, bytes: Arc<[u8]>) -> Result<Plugin, Rejection> {
        let Self { path, service, loader, compile, .. } = self;
        let candidate = blocking(move || {
            let manifest = file::manifest(&path)?;
            loader.candidate(service, bytes, manifest)
        });
        let candidate = candidate.await?;
        let compiled = compile.component(candidate.bytes()).await?;
        blocking(move || candidate.link(compiled)).await
    }
}

/// Runs what takes a thread some milliseconds.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Rejection> + Send + 'static,
) -> Result<T, Rejection> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Rejection::Internal(error.to_string())))
}

/// Reads a file that nobody watches.
///
/// # Errors
/// Why a host would not read it; also when it is not there, or is being written.
pub(crate) fn read_once(path: &Path, limit: u64) -> Result<Vec<u8>, Rejection> {
    match file::read(path, limit)? {
        Content::Whole(bytes, _) => Ok(bytes),
        Content::Changing if path.exists() => {
            Err(Rejection::Unreadable("it changed while it was read".into()))
        }
        Content::Changing => Err(Rejection::Unreadable("there is no such file".into())),
    }
}
