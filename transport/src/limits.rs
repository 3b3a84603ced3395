//! Every bound and timeout of a connection.
//!
//! quinn's defaults let one peer claim about 260 MB (100 + 100 streams of 1.25 MB, an unbounded
//! connection window, 10 MB of unacknowledged answers); with these it is about 2 MiB.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jackfield_wire::FrameLimits;
use quinn::{EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

/// Bounds of one endpoint and of each of its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportLimits {
    /// A connection on which nothing arrived for this long is dead. Default 6 s: three lost
    /// keep-alives. Longer hides dead hosts, shorter kills connections of a loaded machine.
    /// The shorter one of both sides' values holds. Zero is QUIC's word for never.
    pub idle_timeout: Duration,
    /// How long a side waits in silence before it asks whether the other one lives. Default 2 s:
    /// a process that died on the same machine is noticed soon after. Must be well below
    /// [`idle_timeout`](Self::idle_timeout).
    pub keep_alive: Duration,
    /// How long a server gives an incoming connection to finish its handshake. Default 5 s.
    pub handshake_timeout: Duration,
    /// Unread bytes that a peer may have on one stream. Default 256 KiB: larger arguments flow
    /// as they are read; the product of it and 1/RTT bounds the speed of one stream.
    pub stream_window: u32,
    /// Unread bytes that a peer may have on all streams of a connection. Default 1 MiB.
    pub connection_window: u32,
    /// Bytes sent but not acknowledged, per connection; what a peer that never acknowledges can
    /// make this side hold. Default 1 MiB.
    pub send_window: u32,
    /// Streams that a peer may have open at once. Default 1,024; the next one waits at the peer. A
    /// connection begins with at most 28 and gets more, within a round trip, when it uses them: each
    /// takes memory, used or not. Zero on the dialling side, always: nobody opens streams towards a
    /// client.
    pub streams: u32,
    /// Connections that a server holds at once. Default 1,024; the next one is refused.
    pub connections: usize,
    /// Connections in their handshake that a server holds at once. Default 1,024; the next one is
    /// refused.
    pub handshakes: usize,
    /// A connection on which the peer broke off more than half of this many exchanges within one
    /// second is closed, because each costs the server more than the peer. Default 512; a larger
    /// number forgives more, zero forgives everything.
    pub reset_flood: u32,
    /// From this many unfinished handshakes on, a new peer must first show that it receives at its
    /// address (a QUIC retry, one round trip). Default 256. Zero asks it of everyone.
    pub retry_above: usize,
    /// The longest frames that are taken.
    pub frames: FrameLimits,
    /// Threads of a server that serve connections beside the runtime that it is started in, each
    /// with a runtime of its own; a connection stays on one. Default 0: all are served in that
    /// runtime. A program whose runtime has one worker thread gives one less than there are cores.
    pub threads: usize,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(6),
            keep_alive: Duration::from_secs(2),
            handshake_timeout: Duration::from_secs(5),
            stream_window: 256 << 10,
            connection_window: 1 << 20,
            send_window: 1 << 20,
            streams: 1024,
            connections: 1024,
            handshakes: 1024,
            reset_flood: 512,
            retry_above: 256,
            frames: FrameLimits::default(),
            threads: 0,
        }
    }
}

impl TransportLimits {
    /// For a server that listens at `own`.
    pub(crate) fn serving(&self, own: IpAddr) -> Arc<TransportConfig> {
        let mut config = self.common(own);
        config.max_concurrent_bidi_streams(VarInt::from_u32(self.streams.min(FIRST_STREAMS)));
        Arc::new(config)
    }

    /// For a connection to a server at `other`.
    pub(crate) fn dialling(&self, other: IpAddr) -> Arc<TransportConfig> {
        let mut config = self.common(other);
        config.max_concurrent_bidi_streams(VarInt::from_u32(0));
        Arc::new(config)
    }

    fn common(&self, address: IpAddr) -> TransportConfig {
        let mut config = TransportConfig::default();
        config
            .max_idle_timeout(Some(idle_timeout(self.idle_timeout)))
            .stream_receive_window(VarInt::from_u32(self.stream_window))
            .receive_window(VarInt::from_u32(self.connection_window))
            .send_window(u64::from(self.send_window))
            .keep_alive_interval(Some(self.keep_alive))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .datagram_receive_buffer_size(None)
            .crypto_buffer_size(CRYPTO_BUFFER);
        if address.to_canonical().is_loopback() {
            let mut discovery = MtuDiscoveryConfig::default();
            discovery.upper_bound(LARGEST_DATAGRAM);
            config.mtu_discovery_config(Some(discovery));
        }
        config
    }
}

/// QUIC counts milliseconds in 62 bits; what is longer means for ever.
fn idle_timeout(limit: Duration) -> IdleTimeout {
    IdleTimeout::try_from(limit).unwrap_or_else(|_| IdleTimeout::from(VarInt::MAX))
}

/// Takes the datagrams that a peer on the same machine sends.
pub(crate) fn take_large_datagrams(config: &mut EndpointConfig) {
    config.max_udp_payload_size(LARGEST_DATAGRAM).expect("QUIC asks for 1,200 at least");
}

/// Bytes of a datagram on a machine's own network, whose packets may have 64 KiB: fewer of them cost
/// less. The kernel takes 64 KiB at a time, which quinn fills with up to ten datagrams. Elsewhere
/// quinn's own bound of 1,452 holds, because searching for more would lose packets on most paths.
const LARGEST_DATAGRAM: u16 = 6_500;

/// Streams that a new connection may open: as many as quinn's tables of 32 places hold.
pub(crate) const FIRST_STREAMS: u32 = 28;

/// Bytes of handshake that may arrive out of order. A chain of ours has below 2 KiB; quinn's
/// default of 16 KiB is kept because organisations bring chains of several certificates.
const CRYPTO_BUFFER: usize = 16 << 10;
