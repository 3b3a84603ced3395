//! Who is measured.

/// A program and one way to run it.
#[derive(Debug)]
pub(crate) struct Peer {
    /// In the tables and for `--only`.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) what: &'static str,
    /// The package of this workspace.
    pub(crate) package: &'static str,
    /// What the program is told.
    pub(crate) variant: &'static str,
    /// Crates of the lock file whose versions count.
    pub(crate) crates: &'static [&'static str],
    /// Whether it sends bytes too.
    pub(crate) echoes: bool,
}

/// In the order of the tables.
pub(crate) const PEERS: &[Peer] = &[
    Peer {
        name: FRESH,
        what: "Jackfield, a fresh instance for each call",
        package: "peer-jackfield",
        variant: "fresh",
        crates: &["jackfield-client"],
        echoes: true,
    },
    Peer {
        name: WARM,
        what: "Jackfield, warm instances (strategy = \"reuse\", calls = 1000)",
        package: "peer-jackfield",
        variant: "warm",
        crates: &["jackfield-client"],
        echoes: true,
    },
    Peer {
        name: QUINN,
        what: "the limit: a raw QUIC stream for each call, mTLS",
        package: "peer-quinn",
        variant: "echo",
        crates: &["quinn", "rustls"],
        echoes: true,
    },
    Peer {
        name: TONIC,
        what: "gRPC, native handler, plain HTTP/2",
        package: "peer-tonic",
        variant: "plain",
        crates: &["tonic", "h2"],
        echoes: true,
    },
    Peer {
        name: "tonic-tls",
        what: "gRPC, native handler, mTLS",
        package: "peer-tonic",
        variant: "tls",
        crates: &["tonic", "tokio-rustls"],
        echoes: true,
    },
    Peer {
        name: "tarpc-json",
        what: "tarpc, native handler, plain TCP, JSON",
        package: "peer-tarpc",
        variant: "json",
        crates: &["tarpc"],
        echoes: false,
    },
    Peer {
        name: "tarpc-bincode",
        what: "tarpc, native handler, plain TCP, bincode",
        package: "peer-tarpc",
        variant: "bincode",
        crates: &["tarpc", "bincode"],
        echoes: false,
    },
    Peer {
        name: "wrpc",
        what: "wRPC over QUIC with mTLS, native handler",
        package: "peer-wrpc",
        variant: "native",
        crates: &["wrpc-quic"],
        echoes: false,
    },
    Peer {
        name: WRPC_WASM,
        what: "wRPC over QUIC with mTLS, component, fresh instance out of a pool",
        package: "peer-wrpc-wasm",
        variant: "wasm",
        crates: &["wrpc-runtime-wasmtime", "wrpc-transport-quic"],
        echoes: false,
    },
    Peer {
        name: "axum",
        what: "JSON over HTTP/1.1, native handler, plain, a kept connection for each call in flight",
        package: "peer-http",
        variant: "json",
        crates: &["axum", "hyper"],
        echoes: false,
    },
];

pub(crate) const FRESH: &str = "jackfield";
pub(crate) const WARM: &str = "jackfield-warm";
pub(crate) const QUINN: &str = "quinn";
pub(crate) const TONIC: &str = "tonic";
pub(crate) const WRPC_WASM: &str = "wrpc-wasm";

/// One way of calling that every peer is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) in_flight: usize,
    /// Bytes to echo; none is a greeting.
    pub(crate) echo: usize,
}

pub(crate) const ONE: Scenario = Scenario { name: "greet, 1 in flight", in_flight: 1, echo: 0 };
pub(crate) const MANY: Scenario = Scenario { name: "greet, 64 in flight", in_flight: 64, echo: 0 };
pub(crate) const BYTES: Scenario =
    Scenario { name: "64 KiB list<u8>, 16 in flight", in_flight: 16, echo: 64 << 10 };

/// In the order of the tables.
pub(crate) const SCENARIOS: [Scenario; 3] = [MANY, ONE, BYTES];
