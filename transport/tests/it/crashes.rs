//! Servers that die without a word, as by `kill -9`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jackfield_relay::{Direction, Relay, Weather};
use jackfield_transport::{
    Cancelled, CloseReason, Dialer, Exchange, Protocol, Role, Server, TransportLimits,
};
use jackfield_wire::{Executed, FrameKind};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};

use crate::harness::{Machine, With, ask, echo, soon};

/// A server in a runtime of its own. Dropping the runtime first stops every task of it before one
/// packet can be sent, and then the socket is closed: what a kill does.
struct Doomed {
    runtime: Runtime,
    server: Server,
}

impl Doomed {
    fn start(machine: &Machine, listen: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _inside = runtime.enter();
        let server = Server::spawn(machine.config(listen), Arc::new(With(echo))).unwrap();
        drop(_inside);
        Self { runtime, server }
    }

    fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    async fn kill(self) {
        let dying = move || {
            drop(self.runtime);
            drop(self.server);
        };
        tokio::task::spawn_blocking(dying).await.unwrap();
    }
}

#[tokio::test]
async fn a_killed_server_is_noticed_by_whoever_asks_it_something() {
    let machine = Machine::new();
    let server = Doomed::start(&machine, "127.0.0.1:0");
    let connection = machine.dial(server.address()).await;
    assert_eq!(soon(ask(&connection, b"x")).await, b"x");
    server.kill().await;
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[(FrameKind::Value, b"anybody?")]).await.unwrap();
    let error = soon(exchange.recv()).await.unwrap_err();
    assert_eq!(error.executed(), Executed::Unknown);
    assert_eq!(soon(connection.closed()).await, CloseReason::PeerGone);
}

#[tokio::test]
async fn a_killed_client_ends_its_session_long_before_the_idle_timeout() {
    let machine = Machine::new();
    let (told, mut seen) = mpsc::unbounded_channel();
    let handler = With(move |exchange: Exchange| {
        let told = told.clone();
        async move { told.send(exchange.cancelled().await).unwrap() }
    });
    let mut config = machine.config("127.0.0.1:0");
    // The default would make this test take two seconds.
    config.limits.keep_alive = Duration::from_millis(200);
    let server = Server::spawn(config, Arc::new(handler)).unwrap();
    let (address, limits) = (server.local_addr(), TransportLimits::default());
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let dialer = Dialer::new(&machine.identity(Role::Client), Protocol::Call, limits).unwrap();
    let asking = runtime.spawn(async move {
        let connection = dialer.dial(address, Role::Host).await.unwrap();
        let mut exchange = connection.open().await.unwrap();
        exchange.send_last(&[(FrameKind::Value, b"x")]).await.unwrap();
        (dialer, connection, exchange)
    });
    let client = soon(asking).await.unwrap();
    let dying = move || {
        drop(runtime);
        drop(client);
    };
    tokio::task::spawn_blocking(dying).await.unwrap();
    let cancelled = soon(seen.recv()).await.unwrap();
    assert_eq!(cancelled, Cancelled::ConnectionLost(CloseReason::PeerGone));
}

#[tokio::test]
async fn a_restarted_server_disowns_the_connections_of_its_former_life() {
    let machine = Machine::new();
    let server = Doomed::start(&machine, "127.0.0.1:0");
    let address = server.address();
    let connection = machine.dial(address).await;
    assert_eq!(soon(ask(&connection, b"x")).await, b"x");
    server.kill().await;
    let again = Doomed::start(&machine, &address.to_string());
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[(FrameKind::Value, b"remember me?")]).await.unwrap();
    assert!(soon(exchange.recv()).await.is_err());
    assert_eq!(soon(connection.closed()).await, CloseReason::Restarted);
    assert_eq!(soon(ask(&machine.dial(address).await, b"x")).await, b"x");
    again.kill().await;
}

#[tokio::test]
async fn a_peer_that_is_cut_off_is_silent_until_it_is_heard_again() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    let relay = Relay::spawn(1, server.local_addr()).await.unwrap();
    let connection = machine.dial(relay.address()).await;
    assert_eq!(soon(ask(&connection, b"x")).await, b"x");
    assert!(!connection.is_silent());
    relay.set_one(Direction::ToClients, Weather::PARTITION);
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[(FrameKind::Value, b"still there?")]).await.unwrap();
    soon(connection.silence()).await;
    relay.set(Weather::default());
    assert_eq!(&soon(exchange.recv()).await.unwrap().unwrap().payload[..], b"still there?");
    let heard = async {
        while connection.is_silent() {
            ask(&connection, b"x").await;
        }
    };
    soon(heard).await;
}
