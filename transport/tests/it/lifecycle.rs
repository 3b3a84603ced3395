//! Starting, refusing, draining and stopping.

use std::{
    collections::HashSet,
    net::{SocketAddr, UdpSocket},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use jackfield_transport::{
    BindError, CloseCode, CloseReason, Connection, DialError, Dialer, Exchange, ExchangeError,
    Peer, Protocol, Role, Serve, Server, TransportLimits,
};
use jackfield_wire::{Executed, FrameKind};
use tokio::sync::{Notify, mpsc};

use crate::{
    harness::{Machine, With, ask, echo, soon},
    relay::Relay,
};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_port_in_use_is_named_with_the_remedy() {
    let machine = Machine::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = machine.config(&taken.local_addr().unwrap().to_string());
    let error = Server::spawn(config, Arc::new(With(echo))).err().unwrap();
    assert!(matches!(error, BindError::InUse(_)), "{error:?}");
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(error.to_string().contains(&port) && error.to_string().contains("another port"));
}

#[tokio::test]
async fn an_address_beyond_loopback_needs_an_identity_set_up_on_purpose() {
    let machine = Machine::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let server = Server::spawn(machine.config(address), Arc::new(With(echo)));
        let error = server.err().unwrap();
        assert!(matches!(error, BindError::NotLoopback(_)), "{address}: {error}");
        assert!(error.to_string().contains("127.0.0.1"));
    }
}

/// A handler that answers when told to.
fn slow(machine: &Machine) -> (Server, mpsc::UnboundedReceiver<()>, Arc<Notify>) {
    let (told, started) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let gate = go.clone();
    let server = machine.serve(With(move |exchange: Exchange| {
        let (told, gate) = (told.clone(), gate.clone());
        async move {
            told.send(()).unwrap();
            gate.notified().await;
            echo(exchange).await;
        }
    }));
    (server, started, go)
}

async fn begin(connection: &Connection) -> Exchange {
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[(FrameKind::Value, b"x")]).await.unwrap();
    exchange
}

#[tokio::test]
async fn a_shutdown_lets_running_exchanges_answer_and_refuses_new_ones() {
    let machine = Machine::new();
    let (server, mut started, go) = slow(&machine);
    let connection = machine.dial(server.local_addr()).await;
    let mut running = begin(&connection).await;
    soon(started.recv()).await.unwrap();
    server.stop_accepting();
    let refused = soon(begin(&connection).await.recv()).await.unwrap_err();
    assert_eq!((refused.executed(), refused), (Executed::No, ExchangeError::Unavailable));
    let ((), report, same) = tokio::join!(
        async { go.notify_one() },
        soon(server.shutdown(LONG)),
        soon(server.shutdown(LONG))
    );
    assert_eq!((report.connections, report.finished, report.cut_off), (1, 1, 0));
    assert_eq!(report, same);
    assert_eq!(&soon(running.recv()).await.unwrap().unwrap().payload[..], b"x");
    let code = Some(CloseCode::ShuttingDown);
    assert_eq!(soon(connection.closed()).await, CloseReason::Peer { code, taken: Some(1) });
}

#[tokio::test]
async fn a_shutdown_waits_for_an_answer_that_the_network_holds_up() {
    let machine = Machine::new();
    let (told, mut ended) = mpsc::unbounded_channel();
    let server = machine.serve(With(move |mut exchange: Exchange| {
        let told = told.clone();
        async move {
            exchange.send_last(&[(FrameKind::Value, &[1; 100 << 10])]).await.unwrap();
            while exchange.recv().await.unwrap().is_some() {}
            drop(exchange);
            told.send(()).unwrap();
        }
    }));
    let relay = Relay::to(server.local_addr()).await;
    let connection = machine.dial(relay.address).await;
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[(FrameKind::Value, b"x")]).await.unwrap();
    soon(ended.recv()).await.unwrap();
    let mut shutdown = pin!(server.shutdown(LONG));
    // A slow machine makes this weaker, never wrong.
    let early = tokio::time::timeout(Duration::from_millis(400), &mut shutdown).await;
    assert!(early.is_err(), "{early:?}");
    relay.open.send_replace(true);
    let (_, answer) = tokio::join!(soon(shutdown), soon(exchange.recv()));
    assert_eq!(answer.unwrap().unwrap().payload.len(), 100 << 10);
}

/// Asks until the server is gone. What is not answered must be known as not executed.
async fn ask_until_the_end(connection: Connection) -> usize {
    for answered in 0.. {
        let Ok(mut exchange) = connection.open().await else { return answered };
        let sent = exchange.send_last(&[(FrameKind::Value, b"x")]).await;
        let end = match sent {
            Ok(()) => exchange.recv().await,
            Err(error) => Err(error),
        };
        if let Err(error) = end {
            assert_eq!(error.executed(), Executed::No, "{error:?}");
        }
    }
    unreachable!("the loop has no other end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_exchange_is_lost_when_a_server_shuts_down_under_load() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let connection = machine.dial(server.local_addr()).await;
        assert_eq!(soon(ask(&connection, b"x")).await, b"x");
        for _ in 0..16 {
            asking.spawn(ask_until_the_end(connection.clone()));
        }
    }
    let report = soon(server.shutdown(LONG)).await;
    assert_eq!((report.connections, report.cut_off), (4, 0));
    soon(asking.join_all()).await;
}

#[tokio::test]
async fn connections_on_several_threads_are_served_and_the_shutdown_waits_for_all() {
    let machine = Machine::new();
    let mut config = machine.config("127.0.0.1:0");
    config.limits.threads = 2;
    let (told, mut seen) = mpsc::unbounded_channel();
    let tell = With(move |exchange: Exchange| {
        told.send(std::thread::current().id()).unwrap();
        echo(exchange)
    });
    let server = Server::spawn(config, Arc::new(tell)).unwrap();
    let mut connections = Vec::new();
    let mut threads = HashSet::new();
    for _ in 0..3 {
        let connection = machine.dial(server.local_addr()).await;
        assert_eq!(soon(ask(&connection, b"hello")).await, b"hello");
        threads.insert(soon(seen.recv()).await.unwrap());
        connections.push(connection);
    }
    assert_eq!(threads.len(), 3);
    let (report, address) = (soon(server.shutdown(LONG)).await, server.local_addr());
    assert_eq!((report.connections, report.cut_off), (3, 0));
    for connection in connections {
        let code = Some(CloseCode::ShuttingDown);
        assert_eq!(soon(connection.closed()).await, CloseReason::Peer { code, taken: Some(1) });
    }
    let again = machine.config(&address.to_string());
    Server::spawn(again, Arc::new(With(echo))).expect("the port is free");
}

#[tokio::test]
async fn an_exchange_that_outlives_the_grace_time_is_cut_off() {
    let machine = Machine::new();
    let (server, mut started, _go) = slow(&machine);
    let connection = machine.dial(server.local_addr()).await;
    let mut running = begin(&connection).await;
    soon(started.recv()).await.unwrap();
    let report = soon(server.shutdown(Duration::ZERO)).await;
    assert_eq!((report.finished, report.cut_off), (0, 1));
    let error = soon(running.recv()).await.unwrap_err();
    assert_eq!(error.executed(), Executed::Unknown);
}

#[tokio::test]
async fn a_handler_that_ignores_a_lost_connection_does_not_hold_up_the_shutdown() {
    let machine = Machine::new();
    let (server, mut started, _go) = slow(&machine);
    let connection = machine.dial(server.local_addr()).await;
    let _running = begin(&connection).await;
    soon(started.recv()).await.unwrap();
    soon(machine.dialer.shutdown()).await;
    soon(server.shutdown(Duration::from_millis(100))).await;
}

#[tokio::test]
async fn what_was_sent_after_a_server_closed_was_not_executed() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    let connection = machine.dial(server.local_addr()).await;
    assert_eq!(soon(ask(&connection, b"x")).await, b"x");
    let mut late = connection.open().await.unwrap();
    soon(server.shutdown(LONG)).await;
    soon(connection.closed()).await;
    let error = late.send_last(&[(FrameKind::Value, b"late")]).await.unwrap_err();
    assert_eq!(error.executed(), Executed::No);
    assert!(connection.open().await.is_err());
}

#[tokio::test]
async fn a_server_that_stopped_accepting_is_busy_for_new_connections() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    server.stop_accepting();
    let error = soon(machine.dialer.dial(server.local_addr(), Role::Host)).await.err().unwrap();
    assert!(matches!(error, DialError::Busy(_)), "{error}");
}

#[tokio::test]
async fn a_dropped_server_ends_its_connections() {
    let machine = Machine::new();
    let (server, mut started, _go) = slow(&machine);
    let connection = machine.dial(server.local_addr()).await;
    let mut running = begin(&connection).await;
    soon(started.recv()).await.unwrap();
    drop(server);
    assert_eq!(soon(running.recv()).await.unwrap_err().executed(), Executed::Unknown);
    let reason = soon(connection.closed()).await;
    let code = Some(CloseCode::ShuttingDown);
    assert_eq!(reason, CloseReason::Peer { code, taken: None });
}

#[tokio::test]
async fn a_dialer_that_shuts_down_tells_its_servers() {
    let machine = Machine::new();
    let (told, mut ended) = mpsc::unbounded_channel();
    let server = machine.serve(Counted(told));
    let connection = machine.dial(server.local_addr()).await;
    assert_eq!(soon(ended.recv()).await.unwrap(), "connected");
    soon(machine.dialer.shutdown()).await;
    assert_eq!(soon(ended.recv()).await.unwrap(), "session dropped");
    soon(connection.closed()).await;
    assert!(connection.is_closed());
    let again = machine.dial(server.local_addr()).await;
    assert!(!again.is_closed());
}

#[tokio::test]
async fn a_connection_that_nobody_uses_any_more_closes_itself() {
    let machine = Machine::new();
    let (told, mut ended) = mpsc::unbounded_channel();
    let server = machine.serve(Counted(told));
    let connection = machine.dial(server.local_addr()).await;
    assert_eq!(soon(ended.recv()).await.unwrap(), "connected");
    let mut exchange = connection.open().await.unwrap();
    drop(connection);
    soon(exchange.send_last(&[(FrameKind::Value, b"still here")])).await.unwrap();
    assert!(soon(exchange.recv()).await.unwrap().is_some());
    drop(exchange);
    assert_eq!(soon(ended.recv()).await.unwrap(), "session dropped");
}

/// Tells when sessions begin and end.
struct Counted(mpsc::UnboundedSender<&'static str>);
struct Told(mpsc::UnboundedSender<&'static str>);

impl Serve for Counted {
    type Session = Told;

    fn connected(&self, _: &Peer) -> Told {
        self.0.send("connected").unwrap();
        Told(self.0.clone())
    }

    async fn exchange(&self, _: &Arc<Told>, exchange: Exchange) {
        echo(exchange).await;
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // The test may be over already.
        let _over = self.0.send("session dropped");
    }
}

fn limited(machine: &Machine, change: impl FnOnce(&mut TransportLimits)) -> Server {
    let mut config = machine.config("127.0.0.1:0");
    change(&mut config.limits);
    Server::spawn(config, Arc::new(With(echo))).unwrap()
}

#[tokio::test]
async fn a_connection_over_the_limit_is_refused_at_once() {
    let machine = Machine::new();
    let server = limited(&machine, |limits| limits.connections = 1);
    let _first = machine.dial(server.local_addr()).await;
    let error = soon(machine.dialer.dial(server.local_addr(), Role::Host)).await.err().unwrap();
    assert!(matches!(error, DialError::Busy(_)), "{error}");
}

#[tokio::test]
async fn peers_that_must_prove_their_address_first_get_through() {
    let machine = Machine::new();
    let server = limited(&machine, |limits| limits.retry_above = 0);
    let connection = machine.dial(server.local_addr()).await;
    assert_eq!(soon(ask(&connection, b"x")).await, b"x");
}

#[tokio::test]
async fn a_peer_that_only_resets_exchanges_is_thrown_out() {
    let machine = Machine::new();
    let server = limited(&machine, |limits| limits.reset_flood = 16);
    let connection = machine.dial(server.local_addr()).await;
    let flood = async {
        while let Ok(mut exchange) = connection.open().await {
            // Without its end, so that the handler waits for more; an error ends the flood.
            let _lost = exchange.send(&[(FrameKind::Head, b"never mind")]).await;
            drop(exchange);
            tokio::task::yield_now().await;
        }
    };
    soon(flood).await;
    let reason = soon(connection.closed()).await;
    assert!(
        matches!(reason, CloseReason::Peer { code: Some(CloseCode::ResetFlood), .. }),
        "{reason}"
    );
}

#[tokio::test]
async fn a_server_of_another_protocol_is_named_so() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    let identity = machine.identity(Role::Client);
    let dialer = Dialer::new(&identity, Protocol::Registry, TransportLimits::default()).unwrap();
    let error = soon(dialer.dial(server.local_addr(), Role::Host)).await.err().unwrap();
    assert!(matches!(error, DialError::Protocol { .. }), "{error}");
    assert!(error.to_string().contains("does not speak jackfield-registry/1"), "{error}");
}

#[tokio::test]
async fn a_server_of_another_role_is_not_believed() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    let error = soon(machine.dialer.dial(server.local_addr(), Role::Registry)).await.err().unwrap();
    let text = error.to_string();
    assert!(text.ends_with("spiffe://local/host/one is not a registry"), "{text}");
}

#[tokio::test]
async fn a_closed_port_is_known_without_waiting_for_a_timeout() {
    let machine = Machine::new();
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let closed: SocketAddr = UdpSocket::bind(any).unwrap().local_addr().unwrap();
        let error = soon(machine.dialer.dial(closed, Role::Host)).await.err().unwrap();
        assert!(matches!(error, DialError::NobodyListens(at) if at == closed), "{error}");
    }
}

#[tokio::test]
async fn a_port_that_never_answers_is_given_up_after_the_idle_timeout() {
    let machine = Machine::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut limits = TransportLimits::default();
    limits.idle_timeout = Duration::from_millis(200);
    let dialer = Dialer::new(&machine.identity(Role::Client), Protocol::Call, limits).unwrap();
    let address = silent.local_addr().unwrap();
    let error = soon(dialer.dial(address, Role::Host)).await.err().unwrap();
    assert!(matches!(error, DialError::NoAnswer(_)), "{error}");
}

#[tokio::test]
async fn an_address_without_a_port_is_refused_as_such() {
    let machine = Machine::new();
    let address = "127.0.0.1:0".parse().unwrap();
    let error = soon(machine.dialer.dial(address, Role::Host)).await.err().unwrap();
    assert!(matches!(error, DialError::Address(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_port_of_a_server_that_has_shut_down_is_free() {
    let machine = Machine::new();
    let mut config = machine.config("127.0.0.1:0");
    for _ in 0..20 {
        let server = Server::spawn(config.clone(), Arc::new(With(echo))).unwrap();
        config.listen = server.local_addr();
        let connection = machine.dial(config.listen).await;
        assert_eq!(soon(ask(&connection, b"x")).await, b"x");
        soon(server.shutdown(Duration::ZERO)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dialer_does_not_wait_for_a_server_that_never_spoke() {
    let machine = Machine::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let dial = machine.dialer.dial(silent.local_addr().unwrap(), Role::Host);
    assert!(tokio::time::timeout(Duration::from_millis(50), dial).await.is_err());
    let asked = tokio::time::Instant::now();
    machine.dialer.shutdown().await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}
