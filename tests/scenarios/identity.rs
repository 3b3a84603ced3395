//! Certificates that do not fit.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};

use jackfield_harness::eventually_blocking;

use crate::{Cluster, stage};

#[test]
fn another_users_certificate_is_refused_and_both_sides_say_so() {
    let cluster = Cluster::with(&["calc"]);
    let stranger = stage();
    let host = cluster.host.address().to_string();
    for words in [&["ls"][..], &["call", "--direct", &host, "calc.add", "1", "2"]] {
        let done = stranger.run_at(cluster.registry.address(), words).unwrap();
        assert_ne!(done.code, Some(0), "{done:?}");
        assert!(done.stderr.contains("certificate"), "{done:?}");
    }
    assert_eq!(cluster.call(&["calc.add", "1", "2"]), 3.0);
}

#[test]
fn an_open_address_needs_an_identity_that_was_set_up_on_purpose() {
    let stage = stage();
    let folder = stage.folder("open").unwrap();
    let path = folder.path().to_string_lossy().into_owned();
    for words in [&["registry", "-l", "0.0.0.0", "-p", "0"][..], &["host", &path, "-l", "0.0.0.0"]]
    {
        let done = stage.run(words).unwrap();
        assert_ne!(done.code, Some(0), "{done:?}");
        assert!(done.stderr.contains("0.0.0.0") && done.stderr.contains("--identity"), "{done:?}");
    }
}

#[test]
fn identities_set_up_on_purpose_work_and_an_expired_one_is_refused() {
    let stage = stage();
    let authority = Authority::new();
    let identity = |name: &str, until: i32| {
        let dir = stage.home().join(name.replace('/', "-"));
        authority.issue(name, until, &dir);
        dir.to_string_lossy().into_owned()
    };
    let registry = identity("registry/r", 2100);
    let registry = ["registry", "-l", "127.0.0.1", "-p", "0", "--identity", &registry];
    let registry = stage.spawn("registry", &registry).unwrap();
    let good = identity("client/c", 2100);
    stage.run_at(registry.address(), &["ls", "--identity", &good]).unwrap().ok().unwrap();
    let late = identity("client/late", 2002);
    let done = stage.run_at(registry.address(), &["ls", "--identity", &late]).unwrap();
    assert_ne!(done.code, Some(0), "{done:?}");
    assert!(done.stderr.contains("expired"), "{done:?}");
}

#[test]
fn only_operators_roll_back_where_identities_are_set_up_on_purpose() {
    let stage = stage();
    let authority = Authority::new();
    let identity = |name: &str| {
        let dir = stage.home().join(name.replace('/', "-"));
        authority.issue(name, 2100, &dir);
        dir.to_string_lossy().into_owned()
    };
    let (host, ada, bob) = (identity("host/h"), identity("client/ada"), identity("client/bob"));
    let folder = stage.folder("h").unwrap();
    folder.add("greeter").unwrap();
    let path = folder.path().to_string_lossy().into_owned();
    let host = ["host", &path, "-p", "0", "--identity", &host, "--operator", "ada"];
    let host = stage.spawn("h", &host).unwrap();
    let address = host.address().to_string();
    let by = |who: &str, words: &[&str]| {
        stage.run(&[words, &["--direct", &address, "--identity", who]].concat()).unwrap()
    };
    let described = || by(&bob, &["describe", "greeter"]).ok().unwrap();
    let old = described();
    folder.put_fixture("greeter", "greeter-v2").unwrap();
    eventually_blocking("the new version serves", || (described() != old).then_some(()));
    let refused = by(&bob, &["rollback", "greeter"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(
        refused.stderr.contains("client/bob may not change what this host serves"),
        "{refused:?}"
    );
    assert!(!described().contains("rolled back"));
    by(&ada, &["rollback", "greeter"]).ok().unwrap();
    assert!(described().contains("rolled back: its file is generation"));
}

/// An organisation's own certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2100, 1, 1);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes an identity that ends with the year `until` into `dir`.
    fn issue(&self, name: &str, until: i32, dir: &Path) {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let name = format!("spiffe://jackfield/{name}").try_into().unwrap();
        params.subject_alt_names = vec![SanType::URI(name)];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("ca.pem"), &self.pem).unwrap();
        fs::write(dir.join("cert.pem"), cert.pem()).unwrap();
        fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
        fs::set_permissions(dir.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn identities_of_one_authority_trust_each_other_and_doctor_says_who_is_who() {
    let stage = stage();
    let identity = |role: &str, name: &str, authority: &str| {
        let out = stage.home().join(format!("{authority}-{name}")).display().to_string();
        let authority = stage.home().join(authority).display().to_string();
        let words = ["identity", role, name, "--authority", &authority, "--out", &out];
        stage.run(&words).unwrap().ok().unwrap();
        out
    };
    let own = identity("registry", "one", "ours");
    let registry = ["registry", "-p", "0", "--identity", &own];
    let registry = stage.spawn("registry", &registry).unwrap();
    let folder = stage.folder("left").unwrap();
    folder.add("calc").unwrap();
    let (path, own) = (folder.path().display().to_string(), identity("host", "left", "ours"));
    let at = registry.address().to_string();
    let host = ["host", &path, "--registry", &at, "--identity", &own];
    let _host = stage.spawn("left", &host).unwrap();
    let client = identity("client", "ada", "ours");
    eventually_blocking("a call with its identity is answered", || {
        let call = ["call", "calc.add", "1", "2", "--identity", &client];
        let done = stage.run_at(registry.address(), &call).unwrap();
        (done.stdout.trim() == "3.0").then_some(())
    });
    let found = stage.run_at(registry.address(), &["doctor", "--identity", &client]).unwrap();
    assert!(found.stdout.contains("is spiffe://jackfield/registry/one, reached in"), "{found:?}");
    let stranger = identity("client", "eve", "theirs");
    let refused = stage.run_at(registry.address(), &["doctor", "--identity", &stranger]).unwrap();
    assert_eq!(refused.code, Some(11), "{refused:?}");
    assert!(refused.stdout.contains("certificate"), "{refused:?}");
}
