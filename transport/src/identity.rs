//! Who a process is: a certificate with one name, its key, and the authorities that it trusts.
//!
//! A local identity comes from the private authority in the state directory and lives in memory
//! only, as long as its process. An identity set up on purpose comes from files. Neither ever
//! trusts a public authority.

mod authority;
mod issue;
mod leaf;
mod peer_id;

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};

use self::authority::Authority;
pub(crate) use self::leaf::Leaf;
pub use self::peer_id::{PeerId, PeerIdError, Role};
use crate::{StateDir, tls::Trust};

/// Who this process is. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    id: PeerId,
    leaf: Arc<Leaf>,
    trust: Arc<Trust>,
    deliberate: bool,
    reset_secret: ring::hmac::Key,
}

impl Identity {
    /// An identity of this user on this machine, from the private authority in `state`.
    ///
    /// The authority is made on first use; any number of processes may do so at once. The
    /// certificate is fresh, good for 30 days, and renewed in memory while the process runs.
    ///
    /// # Errors
    /// When `name` is no name, or the authority's file cannot be made, read or used; the error
    /// says which file, and what to do. Blocks on the file system.
    pub fn local(state: &StateDir, role: Role, name: &str) -> Result<Self, IdentityError> {
        let id = PeerId::new(LOCAL_DOMAIN, role, name)?;
        let provider = crate::tls::provider();
        let authority = Arc::new(Authority::load_or_make(state)?);
        let trust = trusting([authority.certificate().clone()], &id, &provider)
            .map_err(|what| IdentityError::Authority { path: authority.file().into(), what })?;
        let reset_secret = authority.secret(&format!("stateless reset of {id}"));
        let file = authority.file().to_path_buf();
        let leaf = Leaf::issued(authority, id.clone(), provider)?;
        // Shows now, and with its file's name, that key and certificate belong together and that
        // the authority has not expired.
        check_own(&trust, &leaf.current(), &id)
            .map_err(|what| IdentityError::Authority { path: file, what })?;
        Ok(Self::of(Inner { id, leaf: Arc::new(leaf), trust, deliberate: false, reset_secret }))
    }

    /// An identity set up on purpose: `cert.pem` (leaf first, then intermediates), `key.pem` and
    /// `ca.pem` (the authorities to trust) in `dir`.
    ///
    /// # Errors
    /// When a file is missing, malformed, or open to others (the key), or when the certificate
    /// would not be accepted by a peer with the same `ca.pem`. Blocks on the file system.
    pub fn from_dir(dir: &Path) -> Result<Self, IdentityError> {
        let provider = crate::tls::provider();
        let chain_file = dir.join("cert.pem");
        let chain = certificates(&chain_file)?;
        let unusable = |what| IdentityError::Certificate { path: chain_file.clone(), what };
        let leaf = chain.first().ok_or_else(|| unusable("no certificate in it".into()))?;
        let id = crate::tls::peer_id(leaf).map_err(|error| unusable(error.to_string()))?;
        let roots = dir.join("ca.pem");
        let trust = trusting(certificates(&roots)?, &id, &provider)
            .map_err(|what| IdentityError::Certificate { path: roots, what })?;
        let key = private_key(&dir.join("key.pem"))?;
        let reset_secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.secret_der());
        let certified = CertifiedKey::from_der(chain.clone(), key, &provider)?;
        check_own(&trust, &certified, &id).map_err(unusable)?;
        let leaf = Arc::new(Leaf::fixed(certified));
        Ok(Self::of(Inner { id, leaf, trust, deliberate: true, reset_secret }))
    }

    fn of(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The name in the certificate.
    pub fn id(&self) -> &PeerId {
        &self.0.id
    }

    /// Whether somebody set it up on purpose. Only then may a server listen beyond loopback.
    pub fn is_deliberate(&self) -> bool {
        self.0.deliberate
    }

    /// The last second in which a peer that trusts the same authorities takes the certificate that
    /// is shown now; the present when none does. A private identity renews it before.
    pub fn good_until(&self) -> SystemTime {
        let now = UnixTime::now().as_secs();
        let key = self.0.leaf.current();
        let is_good = |after: u64| {
            let at = UnixTime::since_unix_epoch(Duration::from_secs(now + after));
            key.cert
                .split_first()
                .is_some_and(|(leaf, rest)| self.0.trust.verify(leaf, rest, at).is_ok())
        };
        // Verifying tells no date, only whether: so the last good second is searched for.
        let (mut good, mut bad) = (0, LONGEST_LIFE);
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            if is_good(middle) { good = middle } else { bad = middle }
        }
        SystemTime::UNIX_EPOCH + Duration::from_secs(now + good)
    }

    pub(crate) fn leaf(&self) -> Arc<Leaf> {
        self.0.leaf.clone()
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        self.0.trust.clone()
    }

    /// The same after a restart, another for every identity and every `purpose`.
    pub(crate) fn secret(&self, purpose: &str) -> ring::hmac::Key {
        let tag = ring::hmac::sign(&self.0.reset_secret, purpose.as_bytes());
        ring::hmac::Key::new(ring::hmac::HMAC_SHA256, tag.as_ref())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("id", &self.0.id)
            .field("deliberate", &self.0.deliberate)
            .finish_non_exhaustive()
    }
}

/// A process without an identity. It cannot talk to anybody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The name may not stand in a certificate.
    #[error(transparent)]
    Name(#[from] PeerIdError),
    /// The file system refused; the source says why.
    #[error("identity file {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A key that others may read is not a secret.
    #[error(
        "{} holds a private key but is open to others (mode {mode:03o}): run chmod 600 {}, \
         or replace the key if somebody else may have read it",
        path.display(),
        path.display()
    )]
    KeyNotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The private authority's file is damaged or out of date.
    #[error(
        "private authority {} is unusable ({what}): stop every jackfield process of this user, \
         delete that file, and start them again; a new one is made",
        path.display()
    )]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A certificate that was set up on purpose is not usable.
    #[error("certificate file {} is unusable: {what}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A certificate could not be made.
    #[error("certificate could not be made")]
    Making(#[from] rcgen::Error),
    /// Key and certificate do not fit together, or are of an unsupported kind.
    #[error("certificate and key cannot be used")]
    Key(#[from] rustls::Error),
}

fn trusting(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
    own: &PeerId,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<Trust>, String> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root).map_err(|error| error.to_string())?;
    }
    if store.is_empty() {
        return Err("no certificate in it".into());
    }
    Ok(Arc::new(Trust::new(store, own.domain(), provider.clone())))
}

fn check_own(trust: &Trust, own: &CertifiedKey, id: &PeerId) -> Result<(), String> {
    let (leaf, rest) = own.cert.split_first().ok_or("no certificate in it")?;
    let found = trust.verify(leaf, rest, UnixTime::now()).map_err(|error| error.to_string())?;
    if found != *id {
        return Err(format!("it names {found}, not {id}"));
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let bytes = read(path)?;
    CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| IdentityError::Certificate { path: path.into(), what: error.to_string() })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let meta =
        fs::metadata(path).map_err(|source| IdentityError::File { path: path.into(), source })?;
    let mode = meta.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::KeyNotPrivate { path: path.into(), mode });
    }
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|error| IdentityError::Certificate { path: path.into(), what: error.to_string() })
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|source| IdentityError::File { path: path.into(), source })
}

/// Seconds that no certificate lasts longer than: a hundred years.
const LONGEST_LIFE: u64 = 100 * 365 * 24 * 3600;

/// The trust domain of identities that nobody set up: they mean something on one machine only.
const LOCAL_DOMAIN: &str = "local";
