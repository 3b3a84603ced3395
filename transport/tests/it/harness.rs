//! A registry of one state directory's servers and dialers, and handlers to talk to.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use jackfield_transport::{
    Connection, Dialer, Exchange, Identity, Peer, Protocol, Role, Serve, Server, ServerConfig,
    StateDir, TransportLimits,
};
use jackfield_wire::{Frame, FrameKind};
use tempfile::TempDir;

/// One user's machine: a state directory.
pub(crate) struct Machine {
    _dir: TempDir,
    pub(crate) state: StateDir,
    pub(crate) dialer: Dialer,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::resolve(Some(&dir.path().join("state"))).unwrap();
        let identity = Identity::local(&state, Role::Client, "one").unwrap();
        let dialer = Dialer::new(&identity, Protocol::Call, TransportLimits::default()).unwrap();
        Self { _dir: dir, state, dialer }
    }

    pub(crate) fn identity(&self, role: Role) -> Identity {
        Identity::local(&self.state, role, "one").unwrap()
    }

    pub(crate) fn config(&self, listen: &str) -> ServerConfig {
        ServerConfig {
            listen: listen.parse().unwrap(),
            identity: self.identity(Role::Host),
            protocol: Protocol::Call,
            limits: TransportLimits::default(),
        }
    }

    pub(crate) fn serve<S: Serve>(&self, serve: S) -> Server {
        Server::spawn(self.config("127.0.0.1:0"), Arc::new(serve)).unwrap()
    }

    pub(crate) async fn dial(&self, address: SocketAddr) -> Connection {
        soon(self.dialer.dial(address, Role::Host)).await.unwrap()
    }
}

/// A handler from a closure over the exchange.
pub(crate) struct With<F>(pub(crate) F);

impl<F, R> Serve for With<F>
where
    F: Fn(Exchange) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send,
{
    type Session = ();

    fn connected(&self, _: &Peer) {}

    async fn exchange(&self, _: &Arc<()>, exchange: Exchange) {
        (self.0)(exchange).await;
    }
}

/// Answers every frame with the same one.
pub(crate) async fn echo(mut exchange: Exchange) {
    let mut frames: Vec<Frame> = Vec::new();
    while let Ok(Some(frame)) = exchange.recv().await {
        frames.push(frame);
    }
    let frames: Vec<_> = frames.iter().map(|f| (f.kind, &f.payload[..])).collect();
    // A caller that went away is no concern of an echo.
    let _gone = exchange.send_last(&frames).await;
}

/// Sends one value and returns the one that comes back.
pub(crate) async fn ask(connection: &Connection, payload: &[u8]) -> Vec<u8> {
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[(FrameKind::Value, payload)]).await.unwrap();
    let frame = exchange.recv().await.unwrap().unwrap();
    assert_eq!(exchange.recv().await.unwrap(), None);
    frame.payload.to_vec()
}

/// Waits for what must happen; the bound only turns a hang into a failure.
pub(crate) async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it never happened")
}
