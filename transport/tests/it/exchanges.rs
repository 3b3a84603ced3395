//! What exchanges carry, and how they end.

use std::{future::Future, pin::pin, sync::Arc, task::Poll};

use jackfield_transport::{Cancelled, CloseCode, Exchange, ExchangeError, Server, StreamCode};
use jackfield_wire::{Executed, FrameError, FrameKind};
use tokio::sync::{Semaphore, mpsc};

use crate::harness::{Machine, With, ask, echo, soon};

#[tokio::test]
async fn frames_come_back_over_ipv4() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    let connection = machine.dial(server.local_addr()).await;
    assert_eq!(soon(ask(&connection, b"hello")).await, b"hello");
}

#[tokio::test]
async fn frames_come_back_over_ipv6() {
    let machine = Machine::new();
    let server = Server::spawn(machine.config("[::1]:0"), Arc::new(With(echo))).unwrap();
    let connection = machine.dial(server.local_addr()).await;
    assert_eq!(soon(ask(&connection, b"hello")).await, b"hello");
}

#[tokio::test]
async fn a_server_knows_who_calls_and_a_client_who_answers() {
    let machine = Machine::new();
    let server = machine.serve(With(|mut exchange: Exchange| async move {
        let caller = exchange.peer().id.to_string();
        exchange.send_last(&[(FrameKind::Value, caller.as_bytes())]).await.unwrap();
    }));
    let connection = machine.dial(server.local_addr()).await;
    assert_eq!(connection.peer().id.to_string(), "spiffe://local/host/one");
    assert_eq!(soon(ask(&connection, b"who?")).await, b"spiffe://local/client/one");
}

#[tokio::test]
async fn the_longest_arguments_and_results_flow_through_small_windows() {
    let machine = Machine::new();
    let server = machine.serve(With(|mut exchange: Exchange| async move {
        let arguments = exchange.recv().await.unwrap().unwrap().payload;
        let result = arguments.repeat(4);
        exchange.send_last(&[(FrameKind::Value, &result)]).await.unwrap();
    }));
    let connection = machine.dial(server.local_addr()).await;
    let mut exchange = connection.open().await.unwrap();
    let arguments = vec![7; 4 << 20];
    soon(exchange.send_last(&[(FrameKind::Positional, &arguments)])).await.unwrap();
    let result = soon(exchange.recv()).await.unwrap().unwrap();
    assert_eq!(result.payload.len(), 16 << 20);
    assert_eq!(soon(exchange.recv()).await.unwrap(), None);
}

#[tokio::test]
async fn an_oversized_frame_is_refused_and_the_next_exchange_works() {
    let machine = Machine::new();
    let (told, mut seen) = mpsc::unbounded_channel();
    let server = machine.serve(With(move |mut exchange: Exchange| {
        let told = told.clone();
        async move {
            let got = exchange.recv().await;
            told.send(got.as_ref().err().cloned()).unwrap();
            if got.is_ok() {
                echo(exchange).await;
            }
        }
    }));
    let connection = machine.dial(server.local_addr()).await;
    let mut exchange = connection.open().await.unwrap();
    let frames = [(FrameKind::Head, &vec![0; 17 << 10][..])];
    // The server may refuse before all of it is written.
    let _early = soon(exchange.send_last(&frames)).await;
    let error = soon(exchange.recv()).await.unwrap_err();
    assert_eq!(error, ExchangeError::Reset(StreamCode::Malformed));
    let too_long = FrameError::TooLong { kind: FrameKind::Head, len: 17 << 10, limit: 16 << 10 };
    assert_eq!(soon(seen.recv()).await.unwrap(), Some(ExchangeError::Frame(too_long)));
    let mut next = connection.open().await.unwrap();
    soon(next.send_last(&[])).await.unwrap();
    assert_eq!(soon(next.recv()).await.unwrap(), None);
}

/// A server whose handlers tell how they were cancelled after they read the request.
fn waiting(machine: &Machine) -> (Server, mpsc::UnboundedReceiver<Option<Cancelled>>) {
    let (told, seen) = mpsc::unbounded_channel();
    let server = machine.serve(With(move |mut exchange: Exchange| {
        let told = told.clone();
        async move {
            while exchange.recv().await.unwrap().is_some() {}
            told.send(None).unwrap();
            told.send(Some(exchange.cancelled().await)).unwrap();
        }
    }));
    (server, seen)
}

#[tokio::test]
async fn a_dropped_exchange_cancels_its_handler_only() {
    let machine = Machine::new();
    let (server, mut seen) = waiting(&machine);
    let connection = machine.dial(server.local_addr()).await;
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[(FrameKind::Value, b"x")]).await.unwrap();
    assert_eq!(soon(seen.recv()).await.unwrap(), None);
    drop(exchange);
    let cancelled = soon(seen.recv()).await.unwrap().unwrap();
    assert!(matches!(cancelled, Cancelled::ByPeer(_)), "{cancelled:?}");
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn a_client_that_vanishes_cancels_its_handlers() {
    let machine = Machine::new();
    let (server, mut seen) = waiting(&machine);
    let connection = machine.dial(server.local_addr()).await;
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[(FrameKind::Value, b"x")]).await.unwrap();
    assert_eq!(soon(seen.recv()).await.unwrap(), None);
    connection.close(CloseCode::Done);
    let cancelled = soon(seen.recv()).await.unwrap().unwrap();
    assert!(matches!(cancelled, Cancelled::ConnectionLost(_)), "{cancelled:?}");
}

#[tokio::test]
async fn a_client_that_vanishes_in_mid_request_ends_the_reading() {
    let machine = Machine::new();
    let (told, mut seen) = mpsc::unbounded_channel();
    let server = machine.serve(With(move |mut exchange: Exchange| {
        let told = told.clone();
        async move {
            told.send(exchange.recv().await).unwrap();
            told.send(exchange.recv().await).unwrap();
        }
    }));
    let connection = machine.dial(server.local_addr()).await;
    let mut exchange = connection.open().await.unwrap();
    exchange.send(&[(FrameKind::Head, b"first of two")]).await.unwrap();
    assert!(soon(seen.recv()).await.unwrap().unwrap().is_some());
    drop(exchange);
    let end = soon(seen.recv()).await.unwrap();
    assert_eq!(end, Err(ExchangeError::Reset(StreamCode::Cancelled)));
}

#[tokio::test]
async fn a_panicking_handler_ends_one_exchange_only() {
    let machine = Machine::new();
    let server = machine.serve(With(|mut exchange: Exchange| async move {
        let frame = exchange.recv().await.unwrap().unwrap();
        assert_ne!(&frame.payload[..], b"panic");
        exchange.send_last(&[(FrameKind::Value, &frame.payload)]).await.unwrap();
    }));
    let connection = machine.dial(server.local_addr()).await;
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[(FrameKind::Value, b"panic")]).await.unwrap();
    let error = soon(exchange.recv()).await.unwrap_err();
    assert_eq!(error, ExchangeError::Reset(StreamCode::Failed));
    assert_eq!(error.executed(), Executed::Unknown);
    assert_eq!(soon(ask(&connection, b"fine")).await, b"fine");
}

#[tokio::test]
async fn a_refused_exchange_was_not_executed() {
    let machine = Machine::new();
    let server = machine.serve(With(|exchange: Exchange| async move { exchange.refuse() }));
    let connection = machine.dial(server.local_addr()).await;
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[(FrameKind::Value, b"x")]).await.unwrap();
    let error = soon(exchange.recv()).await.unwrap_err();
    assert_eq!((error.executed(), error), (Executed::No, ExchangeError::Unavailable));
}

#[tokio::test]
async fn an_answer_given_before_the_request_was_read_arrives() {
    let machine = Machine::new();
    let server = machine.serve(With(|mut exchange: Exchange| async move {
        exchange.send_last(&[(FrameKind::Value, b"no need to read that")]).await.unwrap();
    }));
    let connection = machine.dial(server.local_addr()).await;
    let mut exchange = connection.open().await.unwrap();
    let sent = soon(exchange.send_last(&[(FrameKind::Positional, &vec![0; 2 << 20])])).await;
    assert_eq!(sent, Err(ExchangeError::Reset(StreamCode::NotNeeded)));
    let answer = soon(exchange.recv()).await.unwrap().unwrap();
    assert_eq!(&answer.payload[..], b"no need to read that");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_exchanges_than_the_limit_wait_and_are_all_answered() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    let connection = machine.dial(server.local_addr()).await;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0u32..3000 {
        let connection = connection.clone();
        asking.spawn(async move {
            assert_eq!(ask(&connection, &number.to_be_bytes()).await, number.to_be_bytes());
        });
    }
    soon(asking.join_all()).await;
}

#[tokio::test]
async fn a_peer_may_have_as_many_exchanges_open_as_the_limit_says() {
    let machine = Machine::new();
    let gate = Arc::new(Semaphore::new(0));
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut config = machine.config("127.0.0.1:0");
    config.limits.streams = 100;
    let wait = {
        let gate = gate.clone();
        move |exchange| {
            let (gate, tell) = (gate.clone(), tell.clone());
            async move {
                tell.send(()).unwrap();
                let _permit = gate.acquire().await.unwrap();
                echo(exchange).await;
            }
        }
    };
    let server = Server::spawn(config, Arc::new(With(wait))).unwrap();
    let connection = machine.dial(server.local_addr()).await;
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut exchange = soon(connection.open()).await.unwrap();
        exchange.send_last(&[(FrameKind::Value, b"x")]).await.unwrap();
        soon(told.recv()).await.unwrap();
        open.push(exchange);
    }
    let mut next = pin!(connection.open());
    let at_once = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_ready())).await;
    assert!(!at_once, "one more than the limit");
    gate.add_permits(100);
    for exchange in &mut open {
        assert_eq!(&soon(exchange.recv()).await.unwrap().unwrap().payload[..], b"x");
    }
    drop(open);
    soon(next).await.unwrap();
}

#[tokio::test]
async fn sending_after_the_end_is_an_error_and_not_lost_silently() {
    let machine = Machine::new();
    let server = machine.serve(With(echo));
    let connection = machine.dial(server.local_addr()).await;
    let mut exchange = connection.open().await.unwrap();
    exchange.send_last(&[]).await.unwrap();
    assert_eq!(exchange.send(&[]).await, Err(ExchangeError::Ended));
}
