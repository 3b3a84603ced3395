//! What counts, and what is wrong with files.

use super::*;
use crate::args::{Command, HostArgs, Unread as NotRead};
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

/// A folder with a settings file.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jackfield.toml");
    fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}

fn read(line: &str, path: &str) -> Cli {
    let words = line.split(' ').chain(["--config", path]);
    match Cli::read(words.map(OsString::from).collect()) {
        Ok(cli) => cli,
        Err(NotRead::Usage(error)) => panic!("{line}: {error}"),
        Err(NotRead::Settings(problem)) => panic!("{line}: {problem:?}"),
    }
}

fn host(line: &str, path: &str) -> HostArgs {
    match read(line, path).command {
        Command::Host(args) => args,
        other => panic!("{line}: {other:?}"),
    }
}

/// What is wrong with a text, one `line:column text` each.
fn wrong(text: &str) -> Vec<String> {
    let (_folder, path) = file(text);
    match ConfigFile::read(Path::new(&path)) {
        Err(Unread::Wrong(error)) => {
            let line = |p: &jackfield_settings::Problem| {
                format!("{}:{} {}", p.place.line, p.place.column, p.text)
            };
            error.problems().iter().map(line).collect()
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_file_stands_below_what_is_typed_and_above_the_default() {
    let text = "[common]\nregistry = [\"a:1\", \"b:2\"]\n[host]\nfolder = \"plugins\"\nport = 4433\n\
                operator = \"ada\"\nmetadata = { tier = \"gold\" }\naccept-breaking-changes = true";
    let (folder, path) = file(text);
    let args = host("jackfield host", &path);
    assert_eq!(args.folder, folder.path().join("plugins"));
    assert_eq!((args.port, args.listen.to_string().as_str()), (4433, "127.0.0.1"));
    assert_eq!(args.registry.registry, ["a:1", "b:2"]);
    assert_eq!(
        (args.operator, args.metadata),
        (vec!["ada".into()], vec![("tier".into(), "gold".into())])
    );
    assert!(args.accept_breaking_changes);
    let line = "jackfield host mine -p 1 --registry c:3 --accept-breaking-changes=false";
    let args = host(line, &path);
    assert_eq!((args.folder.to_str(), args.port), (Some("mine"), 1));
    assert_eq!(args.registry.registry, ["c:3"]);
    assert!(!args.accept_breaking_changes);
}

#[test]
fn a_role_s_own_section_goes_before_the_common_one() {
    let text = "[common]\nidentity = \"all\"\nregistry = [\"a:1\"]\n[registry]\nidentity = \"own\"\n\
                ttl = \"1m\"\nstore = \"sqlite:set.sqlite\"\n[client]\nregistry = \"b:2\"";
    let (folder, path) = file(text);
    let cli = read("jackfield registry", &path);
    assert_eq!(cli.common.identity, Some(folder.path().join("own")));
    let Command::Registry(args) = cli.command else { panic!("no registry") };
    assert_eq!(args.ttl, Duration::from_secs(60));
    let file = jackfield_registry::StoreConfig::Sqlite(folder.path().join("set.sqlite"));
    assert_eq!(args.store.config(), Some(file));
    let cli = read("jackfield gateway", &path);
    assert_eq!(cli.common.identity, Some(folder.path().join("all")));
    let Command::Gateway(args) = cli.command else { panic!("no gateway") };
    assert_eq!(args.registry.registry, ["a:1"]);
    for line in ["jackfield call calc.add 1 2", "jackfield instance show a@b"] {
        let registry = match read(line, &path).command {
            Command::Call(args) => args.request.registry,
            Command::Instance(args) => match args.command {
                crate::args::InstanceCommand::Show(args) => args.registry,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(registry.registry, ["b:2"], "{line}");
    }
}

#[test]
fn limits_of_hosts_reach_every_command_that_has_plugins() {
    let (_folder, path) = file("[host]\nstack = \"1 MiB\"\n[plugins.limits]\nmemory = \"32 MiB\"");
    for line in ["jackfield host .", "jackfield dev", "jackfield check x.wasm"] {
        let limits = read(line, &path).common.host.limits;
        assert_eq!((limits.stack, limits.plugin.memory), (1 << 20, 32 << 20), "{line}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_with_its_place() {
    let text = "[host]\nprot = 1\nport = 70000\nstck = 1\nmemory = 2\n[gatway]\n[registry]\n\
                ttl = \"10\"\nlisten = \"localhost\"\n[common]\ncolor = \"blue\"\nregistry = [\"a\", 1]\n\
                [gateway]\nopen-to-network = 1";
    let told = wrong(text);
    let expected = [
        "2:1 unknown key `host.prot`, did you mean `port`?",
        "3:8 `host.port`: \"70000\" does not fit: 70000 is not in 0..=65535",
        "4:1 unknown key `host.stck`, did you mean `stack`?",
        "6:2 unknown key `gatway`, did you mean `gateway`?",
        "11:9 `common.color`: \"blue\" is none of: auto, always, never",
    ];
    for line in expected {
        assert!(told.iter().any(|told| told == line), "{line:?} is not in {told:#?}");
    }
    for begin in ["8:7 `registry.ttl`", "9:10 `registry.listen`", "12:13 `common.registry[0]`"] {
        assert!(told.iter().any(|told| told.starts_with(begin)), "{begin:?} is not in {told:#?}");
    }
    assert!(told.iter().any(|told| told.contains("expected true or false")), "{told:#?}");
}

#[test]
fn no_key_has_two_meanings() {
    for section in Section::ALL {
        let mut keys: Vec<String> = section.options().iter().map(key).collect();
        if section == Section::Host {
            keys.extend(HostLimits::default().in_words().iter().map(|(key, _)| key.to_string()));
        }
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all, "[{}] {keys:?}", section.name());
    }
}

#[test]
fn a_contradiction_of_two_values_is_found() {
    for (text, said) in [
        ("[registry]\nttl = \"4s\"", "at least twice the heartbeat"),
        ("[registry]\netcd-cert = \"x\"", "--etcd-key"),
    ] {
        let (_folder, path) = file(text);
        let found = contradictions(&ConfigFile::read(Path::new(&path)).unwrap());
        assert!(format!("{found:?}").contains(said), "{found:?}");
    }
}

#[test]
fn the_example_holds_and_gives_what_is_the_default() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/jackfield.toml");
    let file = ConfigFile::read(Path::new(path)).unwrap();
    assert!(contradictions(&file).is_empty());
    assert_eq!(file.host.limits, HostLimits::default());
    // What is commented out holds too.
    let text = fs::read_to_string(path).unwrap();
    let keys = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => rest,
        _ => line,
    });
    let (_folder, path) = self::file(&keys.collect::<Vec<_>>().join("\n"));
    let all = ConfigFile::read(Path::new(&path)).unwrap_or_else(|error| panic!("{error:?}"));
    assert!(all.count(Section::Registry) > file.count(Section::Registry));
}
