//! Closures against instances from outside, over real HTTP where the example speaks it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jackfield_client::{CallError, CallOptions, Client, Fault, Hedge};
use jackfield_wire::registry::{Instance, Kind};
use jackfield_wire::{Executed, ServiceName, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::harness::{Authority, PATIENCE};
use crate::registry::{FakeRegistry, eventually, hosts};

#[allow(dead_code, reason = "its main function is the example's own")]
#[path = "../../examples/http_model.rs"]
mod example;

/// An HTTP server that gives every request one answer, and counts them.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Server {
    async fn answering(status: &'static str, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, requests) = (listener.local_addr().unwrap(), Arc::default());
        let (count, mut serving) = (Arc::<AtomicUsize>::clone(&requests), JoinSet::new());
        serving.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                assert!(request[..read].starts_with(b"POST /generate HTTP/1.1\r\n"));
                count.fetch_add(1, Ordering::SeqCst);
                let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n{body}");
                _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, requests, _serving: serving }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A client of `model` at these addresses.
async fn client_of(addresses: &[String]) -> (Client, FakeRegistry) {
    let authority = Authority::new();
    let mut registry = FakeRegistry::start(&authority, 1).await;
    let service = ServiceName::new("model").unwrap();
    let instance = |(n, address): (usize, &String)| Instance {
        kind: Kind::Endpoint,
        ..Instance::new(service.clone(), &format!("operator:{n}"), address)
    };
    let instances: Vec<_> = addresses.iter().enumerate().map(instance).collect();
    registry.whole(&instances, true);
    let builder = authority.builder().registry(registry.address().to_string());
    let client = builder.build().await.unwrap();
    eventually(&client, |known| hosts(known, "model").len() == addresses.len()).await;
    (client, registry)
}

/// A port where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn the_example_asks_a_real_http_server_and_passes_over_one_that_is_gone_or_busy() {
    let well = Server::answering("200 OK", "forty-two").await;
    let busy = Server::answering("503 Service Unavailable", "later").await;
    let local = format!("localhost:{}", well.address.port());
    let (client, _registry) = client_of(&[nobody().await, local, busy.address.to_string()]).await;
    for _ in 0..12 {
        assert_eq!(example::ask(&client, "?").await.unwrap(), "forty-two");
    }
    assert_eq!(well.requests(), 12);
}

#[tokio::test]
async fn a_fault_of_the_application_is_not_repeated_and_keeps_its_cause() {
    let wrong = Server::answering("422 Unprocessable Content", "too short").await;
    let (client, _registry) = client_of(&[wrong.address.to_string(), nobody().await]).await;
    let error = example::ask(&client, "?").await.unwrap_err();
    let CallError::ServiceError(error) = error else { panic!("{error}") };
    assert_eq!((error.status, error.executed), (Status::Application, Executed::Yes));
    assert!(error.cause.is_some() && error.to_string().contains("too short"), "{error}");
    assert_eq!(wrong.requests(), 1);
}

#[tokio::test]
async fn what_may_have_run_is_repeated_only_when_that_does_no_harm() {
    let (client, _registry) = client_of(&[nobody().await, nobody().await]).await;
    let tries = AtomicUsize::new(0);
    let breaks = |_| async {
        tries.fetch_add(1, Ordering::SeqCst);
        Err::<(), _>(Fault::unknown("the connection broke"))
    };
    let error = client.execute("model", breaks).await.unwrap_err();
    assert!(matches!(error, CallError::ServiceError(_)), "{error}");
    assert_eq!((error.executed(), tries.load(Ordering::SeqCst)), (Executed::Unknown, 1));
    let twice = CallOptions::new().idempotent();
    let error = client.execute_with("model", twice, breaks).await.unwrap_err();
    assert!(matches!(error, CallError::MaxRetriesExceeded(_)), "{error}");
    assert_eq!((error.attempts().len(), tries.load(Ordering::SeqCst)), (3, 4));
}

#[tokio::test]
async fn a_closure_is_cut_off_by_the_deadline() {
    let (client, _registry) = client_of(&[nobody().await]).await;
    let soon = CallOptions::new().deadline(std::time::Duration::from_millis(20));
    let hangs = |_| std::future::pending::<Result<(), Fault>>();
    let error = client.execute_with("model", soon, hangs).await.unwrap_err();
    assert!(matches!(error, CallError::RequestTimeout(_)), "{error}");
}

#[tokio::test]
async fn a_service_that_nobody_registered_and_a_name_that_is_none_are_told() {
    let (client, _registry) = client_of(&[]).await;
    let work = |_| async { Ok::<_, Fault>(()) };
    let error = client.execute("model", work).await.unwrap_err();
    assert!(matches!(error, CallError::NoAvailableInstance(_)), "{error}");
    let error = client.execute("no service", work).await.unwrap_err();
    assert!(matches!(error, CallError::Service(_)), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_an_error_of_the_application_ends_a_hedged_work() {
    let (client, _registry) = client_of(&["127.0.0.1:1".into(), "127.0.0.1:2".into()]).await;
    let (both, asked) = (tokio::sync::Barrier::new(2), AtomicUsize::new(0));
    let options = CallOptions::new().hedged(Hedge::After(Duration::from_millis(1)));
    let (both, asked) = (&both, &asked);
    let done = client.execute_with("model", options.deadline(PATIENCE), |_| async move {
        let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        both.wait().await;
        match is_first {
            true => Err::<(), _>(Fault::application(std::io::Error::other("no such model"))),
            false => std::future::pending().await,
        }
    });
    let error = done.await.unwrap_err();
    assert_eq!((error.status(), error.attempts().len()), (Status::Application, 1), "{error}");
}
