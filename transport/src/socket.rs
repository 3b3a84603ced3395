//! The UDP sockets of servers and dialers.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use socket2::SockRef;

/// A socket with room for bursts.
///
/// # Errors
/// As [`UdpSocket::bind`].
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    let options = SockRef::from(&socket);
    // A system may grant less: bursts then lose packets, which are sent again.
    let _less = options.set_recv_buffer_size(BUFFER);
    let _less = options.set_send_buffer_size(BUFFER);
    Ok(socket)
}

/// Two windows of a connection. Linux gives 208 KiB unless asked: a few long messages at once fill
/// that, and each packet that it drops costs its call tens of milliseconds.
const BUFFER: usize = 2 << 20;
