//! The private certificate authority of one user, one file in the state directory.
//!
//! It is made once, under a lock, by whichever process comes first, and is never changed or
//! repaired: every process that runs already trusts it. Key and certificate share one file, so
//! that they are replaced together or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime, pem::PemObject,
};
use time::{Duration, OffsetDateTime};

use super::{IdentityError, PeerId};
use crate::StateDir;

/// The authority, loaded: it can issue leaves.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    file: PathBuf,
}

/// A certificate with its key, fresh from the authority.
pub(super) struct Issued {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Authority {
    /// Loads the authority of `state`, making it when there is none.
    ///
    /// Any number of processes may do this at once: one makes it, all get the same.
    pub(super) fn load_or_make(state: &StateDir) -> Result<Self, IdentityError> {
        let dir = state.path().join("authority");
        let file = dir.join("authority.pem");
        if let Some(found) = Self::load(&file)? {
            return Ok(found);
        }
        let failed = |source| IdentityError::File { path: file.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
        let lock = private_file(&dir.join("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        // Another process may have made it while this one waited for the lock, which lasts until
        // `lock` is dropped.
        if let Some(found) = Self::load(&file)? {
            return Ok(found);
        }
        let pem = make()?;
        replace(&dir, &file, pem.as_bytes()).map_err(failed)?;
        Self::load(&file)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }

    fn load(file: &Path) -> Result<Option<Self>, IdentityError> {
        let failed = |source| IdentityError::File { path: file.into(), source };
        let meta = match fs::metadata(file) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = meta.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(IdentityError::KeyNotPrivate { path: file.into(), mode });
        }
        let bytes = fs::read(file).map_err(failed)?;
        Self::parse(&bytes, file).map(Some)
    }

    fn parse(bytes: &[u8], file: &Path) -> Result<Self, IdentityError> {
        let corrupt = |what: String| IdentityError::Authority { path: file.into(), what };
        let key = PrivatePkcs8KeyDer::from_pem_slice(bytes)
            .map_err(|error| corrupt(format!("no private key: {error}")))?;
        let key = KeyPair::try_from(&key).map_err(|error| corrupt(error.to_string()))?;
        let certificate = CertificateDer::from_pem_slice(bytes)
            .map_err(|error| corrupt(format!("no certificate: {error}")))?;
        let issuer = Issuer::new(params(&key), key);
        Ok(Self { issuer, certificate, file: file.into() })
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// A secret that only processes with this authority know, for `purpose`.
    pub(super) fn secret(&self, purpose: &str) -> ring::hmac::Key {
        let own = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.issuer.key().serialized_der());
        ring::hmac::Key::new(
            ring::hmac::HMAC_SHA256,
            ring::hmac::sign(&own, purpose.as_bytes()).as_ref(),
        )
    }

    /// The certificate as its file has it.
    pub(super) fn pem(&self) -> io::Result<String> {
        let text = fs::read_to_string(&self.file)?;
        let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n");
        let from = text.find(begin).unwrap_or_default();
        let to = text.find(end).map_or(text.len(), |at| at + end.len());
        Ok(text.get(from..to).unwrap_or_default().to_owned())
    }

    /// A fresh key, and a certificate for `id` from `now` on, for this process alone.
    pub(super) fn issue(&self, id: &PeerId, now: UnixTime) -> Result<Issued, rcgen::Error> {
        let (certificate, key) = self.sign(id, now, LEAF_LIFE)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Issued { certificate: certificate.der().clone(), key })
    }

    /// A fresh key, and a certificate for `id` that lasts `life` from `now` on.
    pub(super) fn sign(
        &self,
        id: &PeerId,
        now: UnixTime,
        life: std::time::Duration,
    ) -> Result<(Certificate, KeyPair), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::default();
        let now = std::time::Duration::from_secs(now.as_secs());
        let now = OffsetDateTime::from(std::time::SystemTime::UNIX_EPOCH + now);
        leaf.not_before = now - BACKDATE;
        leaf.not_after = now + life;
        leaf.distinguished_name = named(id.name());
        leaf.subject_alt_names = vec![SanType::URI(id.to_string().try_into()?)];
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok((leaf.signed_by(&key, &self.issuer)?, key))
    }
}

/// When a leaf issued at `now` has used up two thirds of its life: time for the next one.
pub(super) fn renew_at(now: UnixTime) -> UnixTime {
    let life = LEAF_LIFE * 2 / 3;
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_secs()) + life)
}

fn make() -> Result<String, IdentityError> {
    let key = KeyPair::generate()?;
    let certificate = params(&key).self_signed(&key)?;
    Ok(format!("{}{}{}", README, certificate.pem(), key.serialize_pem()))
}

/// The authority's certificate, decided by its key alone, so that the issuer's name need not be
/// parsed back: each key has its own name, and two authorities are never taken for each other.
fn params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let id = params.key_identifier(key);
    let id: String = id.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let now = OffsetDateTime::from(std::time::SystemTime::now());
    params.not_before = now - BACKDATE;
    params.not_after = now + AUTHORITY_LIFE;
    params.distinguished_name = named(&format!("Jackfield private authority {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// Writes beside the target and renames, so that nobody ever reads half of it.
fn replace(dir: &Path, file: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = dir.join("authority.draft");
    let mut out = private_file(&draft)?;
    out.set_len(0)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(&draft, file)?;
    File::open(dir)?.sync_all()
}

pub(super) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Clocks of two machines, or of a machine before its first synchronisation, differ.
const BACKDATE: Duration = Duration::minutes(5);
/// Longer than any machine's use; replacing it means restarting everything.
const AUTHORITY_LIFE: Duration = Duration::days(3650);
/// A leaf lives in memory only and is renewed by its process; a stolen one is worth 30 days.
const LEAF_LIFE: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

const README: &str = "\
# Jackfield's private certificate authority for this user, made on first use.
# Whoever reads this file can pose as any host, registry or client of this user.
# To replace it: stop every jackfield process, delete this file, start them again.
";
