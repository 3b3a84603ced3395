//! What an instance takes of a registry's memory.

use jackfield_wire::registry::{Instance, Kind, Reply, Request};
use jackfield_wire::{ServiceName, to_cbor};

use crate::peer::Peer;
use crate::table::Table;
use crate::{HOUR, Settings, plan, process};

pub(crate) async fn measure(settings: &Settings, table: &mut Table) {
    let hosts = settings.scaled(500_000) / OF_HOST;
    let (_dir, plan) = plan("memory:", HOUR);
    let serving = plan.start();
    let mut peers = Vec::new();
    for n in 0..hosts {
        peers.push(Peer::connect(&plan.state(), &format!("host-{n}"), serving.address).await);
    }
    let before = process::rss(serving.pid());
    for peer in &peers {
        fill(peer, 0, OF_HOST).await;
    }
    let instances = hosts * OF_HOST;
    let each = (process::rss(serving.pid()) - before) as usize / instances;
    let measured = format!("{each} B, {:.2} M per GB", 1e9 / each as f64 / 1e6);
    let figure = format!("memory per instance of 256 bytes, {instances} of them");
    table.row(&figure, &measured, "≥ 2.5 M per GB");
}

/// Registers so many instances of 256 bytes.
pub(crate) async fn fill(peer: &Peer, from: usize, to: usize) {
    let all: Vec<_> = (from..to).map(|n| sized(peer, n)).collect();
    for part in all.chunks(500) {
        let reply = peer.ask(&Request::Register(part.to_vec())).await;
        assert!(matches!(reply, Some(Reply::Registered(_))), "{reply:?}");
    }
}

/// An instance whose encoded form has 256 bytes: the `n`th endpoint of a service that all peers
/// serve, with some metadata.
pub(crate) fn sized(peer: &Peer, n: usize) -> Instance {
    let service = ServiceName::new("model").expect("a name");
    let host = format!("{}:gpu-{n}", peer.name);
    let mut instance = Instance::new(service, &host, "192.0.2.7:4433");
    (instance.kind, instance.version) = (Kind::Endpoint, Some("1.0.0".into()));
    instance.metadata.insert("text".into(), String::new());
    let room = 256 - to_cbor(&instance).len();
    // Its length takes a byte more once it has 24 characters.
    instance.metadata.insert("text".into(), "x".repeat(room - usize::from(room >= 24)));
    instance
}

const OF_HOST: usize = 5_000;
