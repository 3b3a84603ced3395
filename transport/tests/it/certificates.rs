//! Who is let in, and what both sides are told when somebody is not.

mod blind;

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
};

use jackfield_transport::{
    CloseCode, CloseReason, DialError, Dialer, Identity, Protocol, Role, Server, ServerConfig,
    TransportLimits,
};
use jackfield_wire::{Executed, FrameKind};
use quinn::{ConnectionError, Endpoint};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use crate::harness::{With, ask, echo, soon};

/// An authority that somebody set up on purpose.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What somebody shows in a handshake.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, uri: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf(uri);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Shown { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
    }

    fn identity(&self, uri: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        Identity::from_dir(self.write(&self.issue(uri, change)).path()).unwrap()
    }

    fn write(&self, shown: &Shown) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), &self.pem).unwrap();
        fs::write(dir.path().join("cert.pem"), &shown.pem).unwrap();
        let key = dir.path().join("key.pem");
        fs::write(&key, shown.key.serialize_pem()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        dir
    }
}

fn leaf(uri: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

impl Shown {
    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

const CLIENT: &str = "spiffe://test/client/c";
const HOST: &str = "spiffe://test/host/h";

/// Certificates for `uri` that must not get in, each with a part of what both sides are told.
fn bad(authority: &Authority, uri: &str) -> Vec<(&'static str, Shown)> {
    let now = OffsetDateTime::now_utc();
    let named = |names: Vec<SanType>| authority.issue(uri, |p| p.subject_alt_names = names);
    let text = |text: &str| SanType::URI(text.try_into().unwrap());
    let dns = SanType::DnsName("localhost".try_into().unwrap());
    let used = |usage| authority.issue(uri, |p| p.extended_key_usages = vec![usage]);
    vec![
        ("it has expired", authority.issue(uri, |p| p.not_after = now - Duration::HOUR)),
        ("it is not valid yet", authority.issue(uri, |p| p.not_before = now + Duration::HOUR)),
        ("not trusted", Authority::new("stranger").issue(uri, |_| {})),
        ("not trusted", self_signed(uri)),
        ("not meant for both", used(ExtendedKeyUsagePurpose::ServerAuth)),
        ("not meant for both", used(ExtendedKeyUsagePurpose::ClientAuth)),
        ("not meant for both", used(ExtendedKeyUsagePurpose::EmailProtection)),
        ("0 URI names", named(vec![])),
        ("0 URI names", named(vec![dns])),
        ("2 URI names", named(vec![text(uri), text("spiffe://test/registry/r")])),
        ("2 URI names", named(vec![text(uri), text("https://example.org/")])),
        ("not of the form", named(vec![text("spiffe://test/admin/a")])),
        ("not of the form", named(vec![text("https://test/host/h")])),
        ("not of the form", named(vec![text(&format!("{uri}/more"))])),
        ("is no name", named(vec![text("spiffe://test/host/a%20b")])),
        ("of another domain", named(vec![text("spiffe://other/host/h")])),
        ("CaUsedAsEndEntity", authority.issue(uri, as_authority)),
    ]
}

fn as_authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

fn self_signed(uri: &str) -> Shown {
    let key = KeyPair::generate().unwrap();
    let certificate = leaf(uri).self_signed(&key).unwrap();
    Shown { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
}

/// A server that keeps to the rules.
fn server(authority: &Authority) -> Server {
    let config = ServerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        identity: authority.identity(HOST, |_| {}),
        protocol: Protocol::Call,
        limits: TransportLimits::default(),
    };
    Server::spawn(config, Arc::new(With(echo))).unwrap()
}

fn dialer(identity: &Identity) -> Dialer {
    Dialer::new(identity, Protocol::Call, TransportLimits::default()).unwrap()
}

/// A client without any rules: trusts everyone, shows what it is given.
async fn raw_client(to: SocketAddr, shown: Option<&Shown>) -> ConnectionError {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(blind::TrustsAnyone(provider)));
    let mut config = match shown {
        Some(shown) => config.with_client_auth_cert(shown.chain.clone(), shown.key()).unwrap(),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![Protocol::Call.alpn().into()];
    let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(config));
    match soon(endpoint.connect_with(config, to, "any").unwrap()).await {
        // TLS 1.3 lets a client finish before the server has judged it.
        Ok(connection) => soon(connection.closed()).await,
        Err(error) => error,
    }
}

/// A server without any rules; gives the end of its first connection.
fn raw_server(shown: &Shown) -> (SocketAddr, impl Future<Output = ConnectionError> + use<>) {
    let mut config = rustls::ServerConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_protocol_versions(&[&rustls::version::TLS13])
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(shown.chain.clone(), shown.key())
    .unwrap();
    config.alpn_protocols = vec![Protocol::Call.alpn().into()];
    let config = quinn::crypto::rustls::QuicServerConfig::try_from(config).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(config));
    let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = endpoint.local_addr().unwrap();
    let end = async move {
        match endpoint.accept().await.unwrap().await {
            Ok(connection) => connection.closed().await,
            Err(error) => error,
        }
    };
    (address, end)
}

/// What was logged on this thread since.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_bad_client_gets_in_and_both_sides_know_why() {
    let authority = Authority::new("trusted");
    let server = server(&authority);
    for (told, shown) in bad(&authority, CLIENT) {
        let (log, _guard) = Log::capture();
        let error = raw_client(server.local_addr(), Some(&shown)).await.to_string();
        assert!(error.contains(told), "client was told: {error}; expected: {told}");
        assert!(log.text().contains(told), "server logged: {}; expected: {told}", log.text());
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_does_not_get_in() {
    let authority = Authority::new("trusted");
    let server = server(&authority);
    let (log, _guard) = Log::capture();
    let error = raw_client(server.local_addr(), None).await.to_string();
    assert!(error.contains("no certificates"), "{error}");
    assert!(log.text().contains("no certificates"), "{}", log.text());
}

#[tokio::test]
async fn a_good_client_of_the_same_making_gets_in() {
    let authority = Authority::new("trusted");
    let server = server(&authority);
    let dialer = dialer(&authority.identity(CLIENT, |_| {}));
    let connection = soon(dialer.dial(server.local_addr(), Role::Host)).await.unwrap();
    assert_eq!(soon(ask(&connection, b"x")).await, b"x");
    assert_eq!(connection.peer().id.to_string(), HOST);
}

#[tokio::test]
async fn no_bad_server_is_believed_and_both_sides_know_why() {
    let authority = Authority::new("trusted");
    let dialer = dialer(&authority.identity(CLIENT, |_| {}));
    let mut servers = bad(&authority, HOST);
    servers.push(("is not a host", authority.issue(CLIENT, |_| {})));
    for (told, shown) in servers {
        let (address, end) = raw_server(&shown);
        let (dialled, end) =
            soon(async { tokio::join!(dialer.dial(address, Role::Host), end) }).await;
        let error = dialled.err().unwrap();
        assert!(matches!(error, DialError::PeerCertificate { .. }), "{error:?}");
        assert!(error.to_string().contains(told), "dialer says: {error}; expected: {told}");
        assert!(end.to_string().contains(told), "server was told: {end}; expected: {told}");
    }
}

#[tokio::test]
async fn a_refused_certificate_shows_at_the_first_exchange_as_not_executed() {
    let (mine, theirs) = (Authority::new("mine"), Authority::new("theirs"));
    let server = server(&theirs);
    // This client trusts their authority, but was certified by its own.
    let dir = theirs.write(&theirs.issue(CLIENT, |_| {}));
    fs::write(dir.path().join("ca.pem"), format!("{}{}", mine.pem, theirs.pem)).unwrap();
    let foreign = mine.issue(CLIENT, |_| {});
    fs::write(dir.path().join("cert.pem"), &foreign.pem).unwrap();
    fs::write(dir.path().join("key.pem"), foreign.key.serialize_pem()).unwrap();
    let dialer = dialer(&Identity::from_dir(dir.path()).unwrap());
    let connection = soon(dialer.dial(server.local_addr(), Role::Host)).await.unwrap();
    let mut exchange = connection.open().await.unwrap();
    // Whether the refusal is here already is a matter of time.
    let _early = exchange.send_last(&[(FrameKind::Value, b"x")]).await;
    let error = soon(exchange.recv()).await.unwrap_err();
    assert_eq!(error.executed(), Executed::No);
    let reason = soon(connection.closed()).await;
    assert!(matches!(reason, CloseReason::CertificateRefused(_)), "{reason:?}");
    assert!(reason.to_string().contains("not trusted"), "{reason}");
}

#[tokio::test]
async fn a_connection_ends_when_a_certificate_runs_out() {
    let authority = Authority::new("trusted");
    let server = server(&authority);
    let soon_over = |p: &mut CertificateParams| {
        p.not_after = OffsetDateTime::now_utc() + Duration::seconds(3);
    };
    let dialer = dialer(&authority.identity(CLIENT, soon_over));
    let connection = soon(dialer.dial(server.local_addr(), Role::Host)).await.unwrap();
    assert_eq!(soon(ask(&connection, b"x")).await, b"x");
    let reason = soon(connection.closed()).await;
    let code = Some(CloseCode::CertificateExpired);
    assert_eq!(reason, CloseReason::Peer { code, taken: Some(1) });
}

#[test]
fn an_identity_that_no_peer_would_accept_does_not_load() {
    let authority = Authority::new("trusted");
    for (told, shown) in bad(&authority, HOST) {
        // A certificate of another domain makes a good identity of that domain.
        if told == "of another domain" {
            continue;
        }
        let error = Identity::from_dir(authority.write(&shown).path()).err().unwrap().to_string();
        assert!(error.contains(told) && error.contains("cert.pem"), "{error}; expected: {told}");
    }
}

#[test]
fn a_key_that_others_may_read_does_not_load() {
    let authority = Authority::new("trusted");
    let dir = authority.write(&authority.issue(HOST, |_| {}));
    let key = dir.path().join("key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Identity::from_dir(dir.path()).err().unwrap().to_string();
    assert!(error.contains("chmod 600") && error.contains("key.pem"), "{error}");
}

#[test]
fn the_end_of_a_certificate_is_known_to_the_second() {
    let authority = Authority::new("test");
    let end = OffsetDateTime::now_utc() + Duration::days(10);
    let ten = authority.identity(HOST, |params| params.not_after = end);
    let left = OffsetDateTime::from(ten.good_until()) - end;
    assert!(left.whole_seconds().abs() <= 1, "{left}");
}
