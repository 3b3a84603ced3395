//! A crowd that comes back in one moment.

use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::{
    Backoff, Connection, DialError, Dialer, Protocol, Role, TransportLimits,
};
use jackfield_wire::FrameKind;
use jackfield_wire::registry::{ListQuery, Reply, Request};
use jackfield_wire::{from_cbor, to_cbor};
use tokio::task::JoinSet;

use crate::harness::{World, instance, soon};

const CROWD: usize = 300;

/// Of a test that is not to last.
const PAUSES: Backoff =
    Backoff { first: Duration::from_millis(10), most: Duration::from_millis(500), factor: 2.0 };

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hundreds_that_come_at_once_are_let_in_a_few_at_a_time_and_all_get_in() {
    let world = World::with(|config| {
        config.ttl = Duration::from_secs(3600);
        config.limits.handshakes = 8;
        config.limits.retry_above = 4;
    });
    let host = world.host("left").await;
    host.register(vec![instance("calc", "left")]).await;
    let identity = world.identity(Role::Client, "client");
    let dialer = Dialer::new(&identity, Protocol::Registry, TransportLimits::default());
    let dialer = Arc::new(dialer.unwrap());
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let (dialer, address) = (Arc::clone(&dialer), world.address);
        crowd.spawn(async move {
            let (mut failures, mut refusals) = (0, 0);
            let connection = loop {
                match dialer.dial(address, Role::Registry).await {
                    Ok(connection) => break connection,
                    Err(DialError::Busy(_)) => refusals += 1,
                    // Of so many packets at once the kernel may have room for a part.
                    Err(DialError::NoAnswer(_)) => {}
                    Err(error) => panic!("neither let in nor told to come later: {error}"),
                }
                failures += 1;
                tokio::time::sleep(PAUSES.pause(failures, fastrand::u64(..))).await;
            };
            (known(&connection).await, refusals)
        });
    }
    let all = soon(crowd.join_all()).await;
    assert!(all.iter().all(|(instances, _)| *instances == 1));
    assert!(all.iter().any(|(_, refusals)| *refusals > 0), "nobody was told to come later");
}

/// How many instances the registry tells of.
async fn known(connection: &Connection) -> usize {
    let mut exchange = connection.open().await.unwrap();
    let request = to_cbor(&Request::List(ListQuery::default()));
    exchange.send_last(&[(FrameKind::Message, &request)]).await.unwrap();
    let frame = exchange.recv().await.unwrap().expect("an answer");
    match from_cbor(&frame.payload).unwrap() {
        Reply::Listed(listing) => listing.instances.len(),
        other => panic!("no list: {other:?}"),
    }
}
