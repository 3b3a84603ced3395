//! The sessions of agents over HTTP: `rmcp`'s, and no more than a number of them.
//!
//! A session ends when its client says so, when nothing was asked for a day, when it is the one
//! whose last use is longest ago and another begins, or with the gateway. MCP 2026-07-28 has none.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionConfig,
};
use rmcp::transport::streamable_http_server::session::{
    ServerSseMessage, SessionId, SessionManager,
};
use tokio_stream::Stream;

/// At most [`MOST`] of them.
#[derive(Debug)]
pub(crate) struct Sessions {
    inner: LocalSessionManager,
    /// When each was used last. Held to look or note, never across an await.
    used: Mutex<HashMap<SessionId, Instant>>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        let mut inner = LocalSessionManager::default();
        let mut config = SessionConfig::default();
        config.keep_alive = Some(IDLE);
        // An answer that was sent whole is not kept for a client that might have lost it.
        config.completed_cache_ttl = Duration::ZERO;
        inner.session_config = config;
        Self { inner, used: Mutex::default() }
    }

    fn touch(&self, id: &SessionId) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(id.clone(), Instant::now());
    }

    /// The one to end for another to begin.
    fn in_excess(&self) -> Option<SessionId> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = used.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone());
        oldest.filter(|_| used.len() >= MOST)
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        while let Some(oldest) = self.in_excess() {
            self.close_session(&oldest).await?;
        }
        let (id, transport) = self.inner.create_session().await?;
        self.touch(&id);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.inner.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        let has = self.inner.has_session(id).await?;
        if has {
            self.touch(id);
        }
        Ok(has)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.inner.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.inner.create_stream(id, message).await
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        self.inner.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.inner.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.inner.resume(id, last_event_id).await
    }
}

/// Sessions at once. Programs that begin one and never end it push out each other's, not those of
/// agents that are at work.
const MOST: usize = 256;

/// A person may leave an agent open over a night; most clients do not begin anew by themselves.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_session_that_was_not_used_for_longest_makes_room() {
        let sessions = Sessions::new();
        let mut ids = Vec::new();
        for _ in 0..MOST {
            ids.push(sessions.create_session().await.unwrap().0);
        }
        assert!(sessions.has_session(&ids[0]).await.unwrap());
        let (new, _) = sessions.create_session().await.unwrap();
        for (id, there) in [(&ids[0], true), (&ids[1], false), (&ids[2], true), (&new, true)] {
            assert_eq!(sessions.has_session(id).await.unwrap(), there);
        }
    }
}
