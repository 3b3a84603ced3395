//! Certificates of a run: an authority, a server and a client, for the peers that use TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

/// The folder that they are in.
#[derive(Clone, Debug)]
pub struct Keys(PathBuf);

impl Keys {
    /// The name in the server's certificate.
    pub const SERVER: &str = "localhost";

    /// For a peer that has its own.
    #[must_use]
    pub fn none() -> Self {
        Self(PathBuf::new())
    }

    pub(crate) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// `ca`, `server` or `client`: the certificate's PEM text.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn certificate(&self, of: &str) -> Result<String> {
        self.read(&format!("{of}.pem"))
    }

    /// `server` or `client`: the key's PEM text.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn key(&self, of: &str) -> Result<String> {
        self.read(&format!("{of}.key"))
    }

    /// QUIC with certificates on both sides, and quinn's defaults.
    ///
    /// # Errors
    /// When the certificates are no good.
    pub fn quic_server(&self) -> Result<quinn::ServerConfig> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier.build()?)
            .with_single_cert(self.chain("server")?, self.private("server")?)?;
        Ok(quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?)))
    }

    /// The client's side of it.
    ///
    /// # Errors
    /// When the certificates are no good.
    pub fn quic_client(&self) -> Result<quinn::ClientConfig> {
        let tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(self.chain("client")?, self.private("client")?)?;
        Ok(quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?)))
    }

    fn roots(&self) -> Result<Arc<RootCertStore>> {
        let mut roots = RootCertStore::empty();
        for certificate in self.chain("ca")? {
            roots.add(certificate)?;
        }
        Ok(Arc::new(roots))
    }

    fn chain(&self, of: &str) -> Result<Vec<CertificateDer<'static>>> {
        let pem = self.certificate(of)?;
        CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|certificate| certificate.context("a certificate's PEM is damaged"))
            .collect()
    }

    fn private(&self, of: &str) -> Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(self.key(of)?.as_bytes()).context("a key's PEM is damaged")
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.0.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
