//! Deadlines of calls within calls, calls without a runtime, and what a client is.

use std::time::Duration;

use jackfield_client::{CallError, Client, Context, blocking};
use serde_json::Value;

use crate::harness::{Authority, PATIENCE};

#[tokio::test]
async fn a_call_within_a_call_gets_what_its_caller_left() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let left = |echo: Value| echo["deadline_ms"].as_u64().unwrap();
    let inside = Context::new().time_left(Duration::from_secs(3));
    let echo = inside.scope(client.call("calc.echo", ())).await.unwrap();
    assert!(left(echo) <= 3000);
    let request = client.request("calc.echo").unwrap().deadline(Duration::from_secs(1));
    let echo = request.context(inside).send().await.unwrap().decode().unwrap();
    assert!(left(echo) <= 1000, "its own deadline is the shorter one");
    assert!(left(client.call("calc.echo", ()).await.unwrap()) > 3000, "outside of it");
}

#[tokio::test]
async fn a_caller_that_has_given_up_is_not_worked_for() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let client = authority.direct(&host).await;
    let late = Context::new().time_left(Duration::ZERO);
    let error = late.scope(client.call::<_, Value>("calc.who", ())).await.unwrap_err();
    let CallError::RequestTimeout(error) = error else { panic!("{error}") };
    assert_eq!((error.deadline, host.calls()), (Duration::ZERO, 0));
}

#[test]
fn a_client_goes_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Client>();
    shared::<blocking::Client>();
    shared::<jackfield_client::Request>();
}

#[test]
fn threads_call_without_a_runtime() {
    let authority = Authority::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let host = runtime.block_on(authority.host("one"));
    let builder = authority.builder().direct(host.address().to_string()).deadline(PATIENCE);
    let client = blocking::Client::new(builder).unwrap();
    let call = |client: blocking::Client| move || client.call::<_, u8>("calc.first", (7,)).unwrap();
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(call(client.clone()))).collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 7);
    }
    let answer = client.send(client.request("calc.who").unwrap().idempotent()).unwrap();
    assert_eq!(answer.host, "one");
    let error = client.call::<_, u8>("calc.missing", ()).unwrap_err();
    assert!(matches!(error, blocking::Error::Call(_)), "{error}");
    client.close().unwrap();
}

#[tokio::test]
async fn a_blocking_client_inside_a_runtime_says_what_to_use() {
    let authority = Authority::new();
    let host = authority.host("one").await;
    let builder = authority.builder().direct(host.address().to_string());
    let error = blocking::Client::new(builder.clone()).unwrap_err();
    assert!(error.to_string().contains("use jackfield_client::Client"), "{error}");
    let made = std::thread::spawn(|| blocking::Client::new(builder).unwrap()).join().unwrap();
    let error = made.call::<_, Value>("calc.who", ()).unwrap_err();
    assert!(matches!(error, blocking::Error::InsideRuntime));
    drop(made); // Nor does its end wait.
}
