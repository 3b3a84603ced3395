//! Settings by file, environment and flags, and set-ups that were broken on purpose.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "binary/run.rs"]
mod run;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use serde_json::Value;
use tempfile::TempDir;

use run::{Ended, command};

/// A folder for a set-up, with the state folder in it.
struct Setup(TempDir);

impl Setup {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    fn command(&self, args: &[&str]) -> Command {
        command(self.0.path(), args)
    }

    fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// What `doctor` finds of one part, and the code that it ended with.
    #[track_caller]
    fn doctor(&self, args: &[&str], about: &str) -> (Option<i32>, Vec<Value>) {
        let ended = self.run(&[&["doctor", "--json"], args].concat());
        let report: Value =
            serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        let found = report["findings"].as_array().unwrap().iter();
        let found = found.filter(|finding| finding["about"] == about).cloned().collect();
        assert_eq!(report["ok"], ended.code == Some(0), "{report}");
        (ended.code, found)
    }

    /// The only failure of a part says this, and this command mends it.
    #[track_caller]
    fn broken(&self, args: &[&str], about: &str, said: &str, mend: &str) {
        let (code, found) = self.doctor(args, about);
        let failed: Vec<&Value> = found.iter().filter(|f| f["level"] == "fail").collect();
        assert_eq!((code, failed.len()), (Some(11), 1), "{found:?}");
        assert!(failed[0]["what"].as_str().unwrap().contains(said), "{found:?}");
        let mends = failed[0]["mend"].to_string();
        assert!(mends.contains(mend), "{mend:?} is not in {mends}");
    }

    /// An identity of `role` whose certificate lasts for so many days.
    fn identity(&self, role: &str, days: i64) -> PathBuf {
        let authority = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&authority).unwrap().pem();
        let issuer = Issuer::new(params, authority);
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::default();
        let name = format!("spiffe://test/{role}/it");
        leaf.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
        leaf.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let now = time::OffsetDateTime::now_utc();
        leaf.not_before = now - time::Duration::days(400);
        leaf.not_after = now + time::Duration::days(days) + time::Duration::hours(1);
        let dir = self.path(role);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("ca.pem"), ca).unwrap();
        fs::write(dir.join("cert.pem"), leaf.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
        mode(&dir.join("key.pem"), 0o600);
        dir
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A port where nobody listens: it was free a moment ago.
fn closed() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn config_check_tells_everything_as_compilers_do() {
    let setup = Setup::new();
    let file = setup.file("bad.toml", "[host]\nprot = 1\n[registry]\nttl = \"ten\"\n[x]\n");
    let ended = setup.run(&["config", "check", &file]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(10), ""));
    for line in
        ["bad.toml:2:1: unknown key `host.prot`", "bad.toml:4:7: `registry.ttl`", "bad.toml:5:2:"]
    {
        assert!(ended.stderr.contains(line), "{line:?} is not in {}", ended.stderr);
    }
    let late = setup.file("late.toml", "[registry]\nttl = \"4s\"");
    let ended = setup.run(&["config", "check", &late]);
    assert!(ended.code == Some(10) && ended.stderr.contains("twice the heartbeat"), "{ended:?}");
    let good = setup.file("good.toml", "[registry]\nttl = \"1m\"");
    let ended = setup.run(&["config", "check", &good]);
    assert!(ended.code == Some(0) && ended.stdout.contains("[registry] 1"), "{ended:?}");
    assert_eq!(setup.run(&["config", "check", "none.toml"]).code, Some(3));
}

#[test]
fn config_show_says_who_gives_a_value() {
    let setup = Setup::new();
    let file =
        setup.file("jackfield.toml", "[host]\nzone = \"eu\"\nport = 4433\nstack = \"1 MiB\"");
    let mut command = setup.command(&["config", "show", "host", "--json", "--config", &file]);
    command.env("JACKFIELD_HOST__PORT", "4444").env("JACKFIELD_REGISTRY", "a:1,b:2");
    let ended = Ended::of(command.output().unwrap());
    let rows: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let row = |option: &str| {
        let rows = rows.as_array().unwrap();
        rows.iter()
            .find(|row| row["option"] == option)
            .unwrap_or_else(|| panic!("{option}"))
            .clone()
    };
    assert_eq!(row("port")["values"][0], "4444");
    assert_eq!(row("port")["from"], "JACKFIELD_HOST__PORT");
    assert!(row("zone")["from"].as_str().unwrap().ends_with("jackfield.toml:2"), "{rows}");
    assert_eq!(row("registry")["from"], "JACKFIELD_REGISTRY");
    assert_eq!(
        (&row("listen")["from"], &row("listen")["values"][0]),
        (&"default".into(), &"127.0.0.1".into())
    );
    assert_eq!(row("stack")["values"][0], "1 MiB");
    let table = setup.run(&["config", "show", "client"]);
    assert!(table.stdout.contains("namespace"), "{table:?}");
}

#[test]
fn a_variable_that_does_not_fit_is_told_with_its_option() {
    let setup = Setup::new();
    let mut command = setup.command(&["registry"]);
    command.env("JACKFIELD_REGISTRY__PORT", "tcp://10.0.0.1:9999");
    let ended = Ended::of(command.output().unwrap());
    assert!(ended.code == Some(2) && ended.stderr.contains("--port"), "{ended:?}");
}

#[test]
fn doctor_is_content_with_a_sound_set_up() {
    let setup = Setup::new();
    let dir = setup.identity("host", 300);
    let plugins = setup.path("plugins");
    fs::create_dir(&plugins).unwrap();
    mode(&plugins, 0o755);
    let text = format!(
        "[host]\nidentity = {dir:?}\nfolder = \"plugins\"\n[registry]\nport = 0\n[gateway]\nport = 0"
    );
    let file = setup.file("jackfield.toml", &text);
    for (about, said) in [
        ("settings", "holds"),
        ("state", "this user's alone"),
        ("identity", "good for 300 days"),
        ("plugins", "has 0 components"),
    ] {
        let (_, found) = setup.doctor(&["--config", &file], about);
        let told =
            found.iter().any(|f| f["level"] == "ok" && f["what"].as_str().unwrap().contains(said));
        assert!(told, "{said:?} is not in {found:?}");
    }
    let words = setup.run(&["doctor", "--config", &file]);
    assert!(words.stdout.lines().any(|line| line.starts_with("ok    settings ")), "{words:?}");
}

#[test]
fn doctor_finds_what_is_wrong_with_settings_and_state() {
    let setup = Setup::new();
    let file = setup.file("bad.toml", "[host]\nprot = 1");
    setup.broken(&["--config", &file], "settings", "did you mean `port`", "jackfield config check");
    let state = setup.path("state");
    mode(&state, 0o755);
    setup.broken(&[], "state", "open to others", &format!("chmod 700 {}", state.display()));
}

#[test]
fn doctor_finds_identities_that_nobody_would_take() {
    let setup = Setup::new();
    let dir = setup.identity("host", -1);
    let shown = dir.display().to_string();
    setup.broken(&["--identity", &shown], "identity", "cert.pem", "openssl x509 -in");
    let dir = setup.identity("registry", 5);
    let shown = dir.display().to_string();
    let (_, found) = setup.doctor(&["--identity", &shown], "identity");
    assert!(
        found.iter().any(
            |f| f["level"] == "warn" && f["what"].as_str().unwrap().contains("good for 5 days")
        ),
        "{found:?}"
    );
    mode(&dir.join("key.pem"), 0o644);
    setup.broken(&["--identity", &shown], "identity", "open to others", "chmod 600");
    mode(&dir.join("key.pem"), 0o600);
    let file = setup.file("mixed.toml", &format!("[host]\nidentity = {dir:?}"));
    setup.broken(&["--config", &file], "identity", "is given to a host", "in [host]");
}

#[test]
fn doctor_finds_ports_that_others_have_and_registries_that_are_not_there() {
    let setup = Setup::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let file = setup.file("taken.toml", &format!("[registry]\nport = {port}"));
    setup.broken(&["--config", &file], "port", "is taken by", "-p PORT");
    setup.broken(
        &["--registry", &closed()],
        "registry",
        "nothing listens",
        "jackfield registry -l 127.0.0.1",
    );
    setup.broken(
        &["--registry", "name.invalid:1"],
        "registry",
        "looked up",
        "getent hosts name.invalid",
    );
}

#[test]
fn doctor_finds_plugin_folders_that_are_not_right() {
    let setup = Setup::new();
    setup.broken(&["none"], "plugins", "cannot be read", "mkdir -p none");
    let folder = setup.path("open");
    fs::create_dir(&folder).unwrap();
    mode(&folder, 0o777);
    let (_, found) = setup.doctor(&["open"], "plugins");
    assert!(found[0]["level"] == "warn" && found[0]["mend"][0] == "chmod o-w open", "{found:?}");
}
