//! Two thousand clients whose registry dies, and who come to the next one in one moment.

use std::net::SocketAddr;
use std::sync::Arc;

use jackfield_transport::{
    Backoff, Connection, DialError, Dialer, Identity, Protocol, Role, TransportLimits,
};
use jackfield_wire::registry::{ListQuery, Reply, Request};
use jackfield_wire::{FrameKind, from_cbor, to_cbor};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::child::Plan;
use crate::peer::Peer;
use crate::{HOUR, bounded, plan};

/// All get in, a few at a time, and learn what the registry before knew; who came too early was told so.
pub(crate) fn returns(runtime: &Runtime) {
    let (_dir, plan) = plan("registry.sqlite", HOUR);
    bounded(runtime, async {
        let serving = plan.start();
        let host = Peer::connect(&plan.state(), "host", serving.address).await;
        host.ask(&Request::Register(vec![host.instance("calc", "1")])).await.expect("an answer");
        let dialer = Arc::new(dialer(&plan));
        let (crowd, _) = all_in(&dialer, serving.address, Vec::new()).await;
        serving.kill();
        let next = plan.start();
        let (crowd, too_early) = all_in(&dialer, next.address, crowd).await;
        assert_eq!(crowd.len(), CROWD);
        // Pauses that are drawn at random and grow: nobody comes in vain for ever.
        assert!(too_early < CROWD * 20, "they came {too_early} times too early");
    });
}

fn dialer(plan: &Plan) -> Dialer {
    let identity = Identity::local(&plan.state(), Role::Client, "client").expect("an identity");
    let limits = TransportLimits::default();
    Dialer::new(&identity, Protocol::Registry, limits).expect("a dialler")
}

/// Lets everybody come whose connection, if there was one, has ended; says how often somebody was told
/// to come later.
async fn all_in(
    dialer: &Arc<Dialer>,
    registry: SocketAddr,
    before: Vec<Connection>,
) -> (Vec<Connection>, usize) {
    let mut before = before.into_iter();
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let (dialer, lost) = (Arc::clone(dialer), before.next());
        crowd.spawn(async move {
            if let Some(lost) = lost {
                lost.closed().await;
            }
            come(&dialer, registry).await
        });
    }
    let (connections, told): (Vec<_>, Vec<usize>) = crowd.join_all().await.into_iter().unzip();
    (connections, told.into_iter().sum())
}

async fn come(dialer: &Dialer, registry: SocketAddr) -> (Connection, usize) {
    let mut told = 0;
    for failures in 1.. {
        match dialer.dial(registry, Role::Registry).await {
            Ok(connection) => {
                if let Some(instances) = known(&connection).await {
                    assert_eq!(instances, 1, "what the registry before knew");
                    return (connection, told);
                }
            }
            Err(DialError::Busy(_)) => told += 1,
            // The kernel has room for a part of so many packets, and a handshake may take too long.
            Err(DialError::NoAnswer(_) | DialError::Failed { .. }) => {}
            Err(error) => panic!("neither let in nor told to come later: {error}"),
        }
        // As hosts and clients pause: drawn anew each time, up to 5 s.
        sleep(Backoff::RECONNECT.pause(failures, fastrand::u64(..))).await;
    }
    unreachable!("somebody tries for ever")
}

/// How many instances the registry tells of; `None` when the connection is gone.
async fn known(connection: &Connection) -> Option<usize> {
    let mut exchange = connection.open().await.ok()?;
    let query = ListQuery { all: true, ..ListQuery::default() };
    exchange.send_last(&[(FrameKind::Message, &to_cbor(&Request::List(query)))]).await.ok()?;
    match from_cbor(&exchange.recv().await.ok()??.payload).expect("a reply") {
        Reply::Listed(listing) => Some(listing.instances.len()),
        // They are all one identity, whose requests are counted.
        Reply::Refused(_) => None,
        other => panic!("no list: {other:?}"),
    }
}

const CROWD: usize = 2000;
