//! How a gateway begins and ends.

use std::time::Duration;

use jackfield_gateway::{Drained, Gateway, GatewayConfig, Reach, SpawnError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{Authority, LOOPBACK, PATIENCE, reaches};
use crate::{Stage, http};

#[tokio::test]
async fn an_address_that_others_can_reach_has_to_be_meant() {
    let authority = Authority::new();
    let host = authority.host("host").await;
    let client = authority.direct(&host).await;
    let mut config = GatewayConfig::new("0.0.0.0:0".parse().unwrap());
    let refused = Gateway::spawn(config.clone(), client.clone()).await;
    assert!(matches!(refused, Err(SpawnError::NotLoopback(_))));
    config.reach = Reach::Anybody;
    let open = Gateway::spawn(config, client.clone()).await.unwrap();
    assert_ne!(open.local_addr().port(), 0);
    let taken = GatewayConfig::new(([127, 0, 0, 1], open.local_addr().port()).into());
    assert!(matches!(Gateway::spawn(taken, client).await, Err(SpawnError::InUse(_))));
}

#[tokio::test]
async fn a_call_in_flight_is_answered_before_the_gateway_ends() {
    let stage = Stage::new().await;
    let held = stage.call("hold", &[], "");
    let end = async {
        reaches(&stage.host.desk.held, 1).await;
        let mut shutdown = Box::pin(stage.gateway.shutdown(PATIENCE));
        // Asks once, so that it has begun.
        assert!(tokio::time::timeout(Duration::ZERO, &mut shutdown).await.is_err());
        stage.host.desk.release.add_permits(1);
        shutdown.await
    };
    let (held, ended) = tokio::join!(held, end);
    assert_eq!((held.code, &*held.body), (200, "\"released\""));
    assert_eq!(ended, Drained::Finished);
    assert!(TcpStream::connect(stage.address()).await.is_err());
    assert_eq!(stage.gateway.shutdown(PATIENCE).await, Drained::Finished);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off_and_cancelled() {
    let stage = Stage::new().await;
    let mut stream = TcpStream::connect(stage.address()).await.unwrap();
    let request = http::text(stage.address(), "POST /call/any/hold", &[], "");
    stream.write_all(request.as_bytes()).await.unwrap();
    reaches(&stage.host.desk.held, 1).await;
    assert_eq!(stage.gateway.shutdown(Duration::ZERO).await, Drained::CutOff);
    reaches(&stage.host.desk.cancelled, 1).await;
}

#[tokio::test]
async fn streams_of_http_2_are_cut_off_too() {
    let stage = Stage::new().await;
    let mut tasks = JoinSet::new();
    let mut sender = http::h2(stage.address(), 65_535, &mut tasks).await;
    let held = sender.send_request(http::post(stage.address(), "hold", ""));
    tasks.spawn(async move { _ = held.await });
    reaches(&stage.host.desk.held, 1).await;
    assert_eq!(stage.gateway.shutdown(Duration::ZERO).await, Drained::CutOff);
    reaches(&stage.host.desk.cancelled, 1).await;
}

#[tokio::test]
async fn whoever_sends_requests_here_is_told_to_stop() {
    let stage = Stage::new().await;
    let keep = ["Connection: keep-alive"];
    let request = http::text(stage.address(), "POST /call/any/hold", &keep, "");
    let mut busy = TcpStream::connect(stage.address()).await.unwrap();
    busy.write_all(request.as_bytes()).await.unwrap();
    reaches(&stage.host.desk.held, 1).await;
    let mut shutdown = Box::pin(stage.gateway.shutdown(PATIENCE));
    assert!(tokio::time::timeout(Duration::ZERO, &mut shutdown).await.is_err());
    stage.host.desk.release.add_permits(1);
    let mut answer = String::new();
    let (read, _) = tokio::join!(busy.read_to_string(&mut answer), shutdown);
    read.unwrap();
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_gateway_that_is_dropped_ends() {
    let authority = Authority::new();
    let host = authority.host("host").await;
    let client = authority.direct(&host).await;
    let gateway = Gateway::spawn(GatewayConfig::new(LOOPBACK), client).await.unwrap();
    let address = gateway.local_addr();
    let mut idle = TcpStream::connect(address).await.unwrap();
    drop(gateway);
    _ = tokio::time::timeout(PATIENCE, idle.read(&mut [0])).await.expect("it is closed");
}
