//! A network between one client and one server that can hold up what the server sends.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{net::UdpSocket, sync::watch, task::JoinSet};

/// While `open` says no, the first long datagram of the server, and all after it, wait. Handshakes
/// and acknowledgements pass until then.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) open: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let client = Arc::new(Mutex::new(None));
        let (open, gate) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let address = front.local_addr().unwrap();
        tasks.spawn(forth(front.clone(), back.clone(), client.clone(), server));
        tasks.spawn(back_again(front, back, client, server, gate));
        Self { address, open, _tasks: tasks }
    }
}

type Client = Arc<Mutex<Option<SocketAddr>>>;

async fn forth(front: Arc<UdpSocket>, back: Arc<UdpSocket>, client: Client, server: SocketAddr) {
    let mut datagram = [0; 2048];
    loop {
        let (len, from) = front.recv_from(&mut datagram).await.unwrap();
        // The client's probes come from elsewhere and are no QUIC.
        if len > 1 {
            *client.lock().unwrap() = Some(from);
            back.send_to(&datagram[..len], server).await.unwrap();
        }
    }
}

async fn back_again(
    front: Arc<UdpSocket>,
    back: Arc<UdpSocket>,
    client: Client,
    server: SocketAddr,
    mut gate: watch::Receiver<bool>,
) {
    let mut datagram = [0; 2048];
    loop {
        let (len, from) = back.recv_from(&mut datagram).await.unwrap();
        if from != server {
            continue;
        }
        let is_handshake = datagram[0] & 0x80 != 0;
        if len > 100 && !is_handshake {
            gate.wait_for(|open| *open).await.unwrap();
        }
        let to = client.lock().unwrap().unwrap();
        front.send_to(&datagram[..len], to).await.unwrap();
    }
}
