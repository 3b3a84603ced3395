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
            loop {
                match dialer.dial(address, Role::Registry).await {
                    // Let in for the dialler, and given up by the registry, when the last packet of
                    // the handshake took too long to come.
                    Ok(connection) => {
                        if let Some(instances) = known(&connection).await {
                            return (instances, refusals, connection);
                        }
                    }
                    Err(DialError::Busy(_)) => refusals += 1,
                    // Of so many packets at once the kernel may have room for a part, and a handshake may
                    // take too long.
                    Err(DialError::NoAnswer(_) | DialError::Failed { .. }) => {}
                    Err(error) => panic!("neither let in nor told to come later: {error}"),
                }
                failures += 1;
                tokio::time::sleep(PAUSES.pause(failures, fastrand::u64(..))).await;
            }
        });
    }
    let all = soon(crowd.join_all()).await;
    assert!(all.iter().all(|(instances, ..)| *instances == 1));
    let told: usize = all.iter().map(|(_, refusals, _)| refusals).sum();
    assert!(told > 0, "nobody was told to come later");
    // Drawn at random, their pauses spread them: nobody comes in vain for ever.
    assert!(told < CROWD * 20, "they came {told} times too early");
}

/// How many instances the registry tells of; `None` when the connection is gone.
async fn known(connection: &Connection) -> Option<usize> {
    let mut exchange = connection.open().await.ok()?;
    let request = to_cbor(&Request::List(ListQuery::default()));
    exchange.send_last(&[(FrameKind::Message, &request)]).await.ok()?;
    let frame = exchange.recv().await.ok()?.expect("an answer");
    match from_cbor(&frame.payload).unwrap() {
        Reply::Listed(listing) => Some(listing.instances.len()),
        other => panic!("no list: {other:?}"),
    }
}
