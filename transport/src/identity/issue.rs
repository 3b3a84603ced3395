//! Identities for other machines, from an authority that somebody keeps for them.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
    time::Duration,
};

use rustls::pki_types::UnixTime;

use super::{Identity, IdentityError, PeerId, authority::Authority};
use crate::StateDir;

impl Identity {
    /// Makes the identity `id`, good for `life` from now, and writes it to `dir` as
    /// [`from_dir`](Self::from_dir) reads it; what is there is replaced, file by file.
    ///
    /// The authority is made on first use. Whoever has its folder can be anybody of it: only `dir`
    /// goes to the other machine. Blocks on the file system.
    ///
    /// # Errors
    /// When the authority cannot be made, read or used, or a file cannot be written.
    pub fn issue(
        authority: &StateDir,
        id: &PeerId,
        life: Duration,
        dir: &Path,
    ) -> Result<(), IdentityError> {
        let authority = Authority::load_or_make(authority)?;
        let (certificate, key) = authority.sign(id, UnixTime::now(), life)?;
        let failed = |source| IdentityError::File { path: dir.into(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let ca = authority.pem().map_err(failed)?;
        // The key first: a certificate whose key is not there yet is of no use to anybody.
        for (name, text) in
            [("key.pem", key.serialize_pem()), ("cert.pem", certificate.pem()), ("ca.pem", ca)]
        {
            let path = dir.join(name);
            let failed = |source| IdentityError::File { path: path.clone(), source };
            replace(&path, text.as_bytes()).map_err(failed)?;
        }
        Ok(())
    }
}

/// Readable by this user alone from its first byte on, whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut out: File = super::authority::private_file(&draft)?;
    out.set_len(0)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use std::time::SystemTime;

    #[test]
    fn what_was_issued_is_an_identity_that_others_of_the_authority_take() {
        let place = tempfile::tempdir().unwrap();
        let authority = StateDir::resolve(Some(&place.path().join("authority"))).unwrap();
        let issue = |role, name: &str, days: u64| {
            let dir = place.path().join(name);
            let id = PeerId::new("example", role, name).unwrap();
            Identity::issue(&authority, &id, Duration::from_secs(days * 24 * 3600), &dir).unwrap();
            Identity::from_dir(&dir).unwrap()
        };
        let host = issue(Role::Host, "left", 90);
        assert_eq!(host.id().to_string(), "spiffe://example/host/left");
        let left = host.good_until().duration_since(SystemTime::now()).unwrap();
        assert_eq!(left.as_secs() / (24 * 3600), 89);
        let client = issue(Role::Client, "ada", 1);
        let (leaf, rest) =
            host.leaf().current().cert.split_first().map(|(l, r)| (l.clone(), r.to_vec())).unwrap();
        let found = client.trust().verify(&leaf, &rest, UnixTime::now()).unwrap();
        assert_eq!(found, *host.id());
        // Renewing replaces it.
        assert!(issue(Role::Host, "left", 200).good_until() > host.good_until());
    }
}
