//! Who is let in: a chain to a trusted authority, in time, for the right use, with exactly one name.
//!
//! Names are identities, not addresses: nothing here looks at host names.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use webpki::{EndEntityCert, KeyUsage};

use crate::{PeerId, PeerIdError, Role};

/// Which authorities are trusted, and for which domain.
pub(crate) struct Trust {
    roots: RootCertStore,
    domain: String,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    pub(crate) fn new(roots: RootCertStore, domain: &str, provider: Arc<CryptoProvider>) -> Self {
        Self { roots, domain: domain.into(), provider }
    }

    /// The name of whoever shows this chain.
    ///
    /// Certificates are held to both uses: every process may dial and be dialled in its life, and
    /// one rule is easier to see through than two.
    pub(crate) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<PeerId, Rejection> {
        let certificate = EndEntityCert::try_from(leaf).map_err(Rejection::Chain)?;
        for usage in [KeyUsage::client_auth(), KeyUsage::server_auth()] {
            certificate
                .verify_for_usage(
                    self.provider.signature_verification_algorithms.all,
                    &self.roots.roots,
                    intermediates,
                    now,
                    usage,
                    None,
                    None,
                )
                .map_err(Rejection::Chain)?;
        }
        let id = peer_id(leaf)?;
        if id.domain() != self.domain {
            return Err(Rejection::Domain { found: id, expected: self.domain.clone() });
        }
        Ok(id)
    }

    /// When a certificate that was verified runs out, or its authority does.
    ///
    /// The verifying library does not give validity out, except in its refusal of a certificate
    /// that has expired; at the end of time every one has. That check comes before signatures.
    pub(crate) fn expires(&self, leaf: &CertificateDer<'_>) -> Option<SystemTime> {
        match self.verify(leaf, &[], END_OF_TIME) {
            Err(Rejection::Chain(webpki::Error::CertExpired { not_after, .. })) => {
                SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(not_after.as_secs()))
            }
            _ => None,
        }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The one name in a certificate, unverified.
pub(crate) fn peer_id(leaf: &CertificateDer<'_>) -> Result<PeerId, Rejection> {
    let certificate = EndEntityCert::try_from(leaf).map_err(Rejection::Chain)?;
    let names: Vec<&str> = certificate.valid_uri_names().collect();
    match names.as_slice() {
        [name] => Ok(name.parse()?),
        _ => Err(Rejection::Names(names.len())),
    }
}

/// Why a certificate is not accepted. The text reaches both sides.
#[derive(thiserror::Error)]
pub(crate) enum Rejection {
    #[error("{}", chain_text(.0))]
    Chain(webpki::Error),
    #[error("it holds {0} URI names; exactly one is needed")]
    Names(usize),
    #[error("its name {0}")]
    Name(#[from] PeerIdError),
    #[error("{found} is of another domain than `{expected}`")]
    Domain { found: PeerId, expected: String },
    #[error("{found} is not a {expected}")]
    Role { found: PeerId, expected: Role },
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(rejection))))
    }
}

/// rustls puts the `Debug` form into the text that both sides see; see [`readable`].
impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What rustls made of a [`Rejection`], without its wrapping.
pub(crate) fn readable(text: &str) -> &str {
    let inner = text.split_once("OtherError(").and_then(|(_, rest)| rest.strip_suffix("))"));
    inner.or_else(|| text.strip_prefix("invalid peer certificate: ")).unwrap_or(text)
}

fn chain_text(error: &webpki::Error) -> String {
    match error {
        webpki::Error::CertExpired { .. } => "it has expired".into(),
        webpki::Error::CertNotValidYet { .. } => "it is not valid yet".into(),
        webpki::Error::UnknownIssuer => "it was issued by an authority that is not trusted".into(),
        webpki::Error::RequiredEkuNotFoundContext(_) => {
            "it is not meant for both TLS clients and TLS servers".into()
        }
        other => other.to_string(),
    }
}

/// One second after the last one of the year 9999, which X.509 has for "never": by then even such a
/// certificate has expired.
const END_OF_TIME: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_800));

/// A server's eye on its clients.
pub(super) struct ClientVerifier(pub(super) Arc<Trust>);

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.verify(leaf, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.schemes()
    }
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientVerifier").finish_non_exhaustive()
    }
}

/// A client's eye on the server that it dialled.
pub(super) struct ServerVerifier {
    pub(super) trust: Arc<Trust>,
    pub(super) expect: Role,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = self.trust.verify(leaf, intermediates, now)?;
        if found.role() != self.expect {
            return Err(Rejection::Role { found, expected: self.expect }.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.schemes()
    }
}

impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerVerifier").field("expect", &self.expect).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_reads_the_same_through_rustls() {
        let text = Error::from(Rejection::Names(2)).to_string();
        assert_eq!(readable(&text), "it holds 2 URI names; exactly one is needed");
    }

    /// A server closes a connection at once when it does not know how long the certificate is good.
    #[test]
    fn the_end_of_a_certificate_is_known_even_if_it_never_ends() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let mut roots = RootCertStore::empty();
        roots.add(authority.self_signed(&key).unwrap().der().clone()).unwrap();
        let issuer = rcgen::Issuer::new(authority, key);
        let trust = Trust::new(roots, "test", crate::tls::provider());
        for last in [4_000_000_000, 253_402_300_799] {
            let mut leaf = rcgen::CertificateParams::default();
            leaf.not_after = time::OffsetDateTime::from_unix_timestamp(last).unwrap();
            let key = rcgen::KeyPair::generate().unwrap();
            let leaf = leaf.signed_by(&key, &issuer).unwrap();
            let end = SystemTime::UNIX_EPOCH + Duration::from_secs(last.unsigned_abs());
            assert_eq!(trust.expires(leaf.der()), Some(end));
        }
    }
}
