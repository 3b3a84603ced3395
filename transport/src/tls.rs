//! TLS for both sides, configured by hand.
//!
//! TLS 1.3 only, certificates on both sides, no tickets, no early data: rustls does not verify a
//! client again on resumption, and quinn's convenience constructors allow replayable early data.

mod verify;

use std::sync::Arc;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::{client::Resumption, crypto::CryptoProvider, server::NoServerSessionStorage};

use self::verify::{ClientVerifier, ServerVerifier};
pub(crate) use self::verify::{Trust, peer_id, readable};
use crate::{Identity, Protocol, Role};

/// The cryptography that everything here uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a server of `protocol` shows and asks.
pub(crate) fn serving(
    identity: &Identity,
    protocol: Protocol,
) -> Result<QuicServerConfig, Unusable> {
    let verifier = Arc::new(ClientVerifier(identity.trust()));
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity.leaf());
    config.alpn_protocols = vec![protocol.alpn().into()];
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config.try_into()?)
}

/// What a client shows, and that it takes only a server of role `expect`.
pub(crate) fn dialling(
    identity: &Identity,
    protocol: Protocol,
    expect: Role,
) -> Result<QuicClientConfig, Unusable> {
    let verifier = Arc::new(ServerVerifier { trust: identity.trust(), expect });
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(identity.leaf());
    config.alpn_protocols = vec![protocol.alpn().into()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    // Names are in the certificates; what is dialled is an address.
    config.enable_sni = false;
    Ok(config.try_into()?)
}

/// The cryptography provider lacks what TLS 1.3 over QUIC needs: a broken build.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Suite(#[from] NoInitialCipherSuite),
}
