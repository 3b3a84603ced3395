//! The certificate that a process shows, renewed in memory before it runs out.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    crypto::CryptoProvider,
    pki_types::UnixTime,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{
    IdentityError, PeerId,
    authority::{Authority, renew_at},
};

/// Gives TLS the certificate of this process.
pub(crate) struct Leaf {
    /// Held to read or swap the current certificate, never across an await.
    current: Mutex<Arc<CertifiedKey>>,
    renewal: Option<Renewal>,
}

/// What it takes to make the next certificate.
struct Renewal {
    authority: Arc<Authority>,
    id: PeerId,
    provider: Arc<CryptoProvider>,
    /// Held while a new certificate is made: one thread renews, the others go on with the old one.
    due: Mutex<UnixTime>,
}

impl Leaf {
    /// One certificate for good, set up on purpose.
    pub(super) fn fixed(key: CertifiedKey) -> Self {
        Self { current: Mutex::new(Arc::new(key)), renewal: None }
    }

    /// Issued by the authority, now and again when two thirds of its life are over.
    pub(super) fn issued(
        authority: Arc<Authority>,
        id: PeerId,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, IdentityError> {
        let now = UnixTime::now();
        let first = issue(&authority, &id, &provider, now)?;
        let due = Mutex::new(renew_at(now));
        let renewal = Renewal { authority, id, provider, due };
        Ok(Self { current: Mutex::new(Arc::new(first)), renewal: Some(renewal) })
    }

    pub(super) fn current(&self) -> Arc<CertifiedKey> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn at(&self, now: UnixTime) -> Arc<CertifiedKey> {
        if let Some(next) = self.renewal.as_ref().and_then(|renewal| renewal.next(now)) {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        }
        self.current()
    }
}

impl Renewal {
    fn next(&self, now: UnixTime) -> Option<CertifiedKey> {
        let mut due = self.due.try_lock().ok()?;
        if now < *due {
            return None;
        }
        match issue(&self.authority, &self.id, &self.provider, now) {
            Ok(next) => {
                *due = renew_at(now);
                Some(next)
            }
            Err(error) => {
                tracing::error!(id = %self.id, %error, "certificate could not be renewed");
                None
            }
        }
    }
}

fn issue(
    authority: &Authority,
    id: &PeerId,
    provider: &CryptoProvider,
    now: UnixTime,
) -> Result<CertifiedKey, IdentityError> {
    let issued = authority.issue(id, now)?;
    Ok(CertifiedKey::from_der(vec![issued.certificate], issued.key, provider)?)
}

impl ResolvesServerCert for Leaf {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.at(UnixTime::now()))
    }
}

impl ResolvesClientCert for Leaf {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.at(UnixTime::now()))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Role, StateDir};

    const DAY: u64 = 24 * 3600;

    #[test]
    fn a_certificate_is_renewed_before_it_runs_out_and_not_at_each_handshake() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::resolve(Some(&dir.path().join("state"))).unwrap();
        let authority = Arc::new(Authority::load_or_make(&state).unwrap());
        let id = PeerId::new("local", Role::Host, "one").unwrap();
        let provider = crate::tls::provider();
        let roots = [authority.certificate().clone()];
        let trust = super::super::trusting(roots, &id, &provider).unwrap();
        let leaf = Leaf::issued(authority, id, provider).unwrap();
        let started = UnixTime::now().as_secs();
        let in_days =
            |days| UnixTime::since_unix_epoch(std::time::Duration::from_secs(started + days * DAY));
        let is_good =
            |key: &CertifiedKey, days| trust.verify(&key.cert[0], &[], in_days(days)).is_ok();

        let first = leaf.at(in_days(0));
        assert!(Arc::ptr_eq(&first, &leaf.at(in_days(19))));
        let second = leaf.at(in_days(21));
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(is_good(&first, 29) && !is_good(&first, 31) && is_good(&second, 50));
        assert!(Arc::ptr_eq(&second, &leaf.at(in_days(40))));
    }
}
