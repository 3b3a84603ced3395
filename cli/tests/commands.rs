//! What the binary alone can show: usage, exit codes, `check`, and servers that cannot start.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "binary/run.rs"]
mod run;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use run::{Ended, command};

/// The binary with an environment of its own: nothing of the user's reaches it.
struct Jackfield(TempDir);

impl Jackfield {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        command(self.folder(), args)
    }

    fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// A file of the folder.
    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }
}

impl Ended {
    /// It failed with this code, said this, and left stdout to results.
    #[track_caller]
    fn failed(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for text in said {
            assert!(self.stderr.contains(text), "{text:?} is not in {}", self.stderr);
        }
        assert_eq!(self.stdout, "");
    }
}

/// A port of this machine where nobody answers: held, so that no one else gets it.
fn silent_port() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

const COMPONENT: &str = r#"(component
    (core module $m (func (export "answer") (param i32) (result i32) local.get 0))
    (core instance $i (instantiate $m))
    (func (export "answer") (param "to" u32) (result u32) (canon lift (core func $i "answer"))))"#;

#[test]
fn without_a_command_it_shows_how_to_begin() {
    let ended = Jackfield::new().run(&[]);
    ended.failed(2, &["jackfield dev plugins", "Commands:"]);
}

#[test]
fn help_goes_to_stdout_with_examples_and_exit_codes() {
    let jackfield = Jackfield::new();
    let help = jackfield.run(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Exit codes:") && help.stdout.contains("JACKFIELD_REGISTRY"));
    for command in
        ["dev", "registry", "host", "call", "bench", "ls", "describe", "check", "completions"]
    {
        let help = jackfield.run(&[command, "--help"]);
        assert_eq!(help.code, Some(0), "{command}");
        assert!(help.stdout.contains("Examples:"), "{command}: {}", help.stdout);
    }
    assert!(jackfield.run(&["--version"]).stdout.starts_with("jackfield "));
}

#[test]
fn wrong_usage_ends_with_2_and_the_next_step() {
    let jackfield = Jackfield::new();
    jackfield.run(&["lss"]).failed(2, &["'ls'"]);
    jackfield.run(&["call", "calc"]).failed(2, &["SERVICE.METHOD"]);
    jackfield.run(&["call", "a.b", "--deadline", "2"]).failed(2, &["write 500ms, 2s or 1m"]);
    jackfield.run(&["call", "a.b", "--x"]).failed(2, &["--x=VALUE"]);
    jackfield.run(&["ls", "--registry", "localhost"]).failed(2, &["127.0.0.1:9999"]);
    jackfield.run(&["ls", "--log", "a=b=c"]).failed(2, &["--log"]);
    jackfield
        .run(&["registry", "--store", "file"])
        .failed(2, &["memory:, sqlite:PATH or etcd:ADDR"]);
    jackfield.run(&["registry", "--ttl", "3s"]).failed(2, &["at least twice the heartbeat"]);
}

#[test]
fn bad_data_is_refused_before_anybody_is_asked() {
    let jackfield = Jackfield::new();
    jackfield.run(&["call", "a.b", "-d", "5"]).failed(2, &["-d '[5]'"]);
    jackfield.run(&["call", "a.b", "-d", "{a"]).failed(2, &["not JSON"]);
    jackfield.run(&["call", "a.b", "-d", "@missing.json"]).failed(2, &["missing.json"]);
    jackfield.run(&["call", "a.b", "-d", "[1]", "2"]).failed(2, &["given twice"]);
}

#[test]
fn a_run_that_cannot_be_made_is_refused_before_anybody_is_asked() {
    let jackfield = Jackfield::new();
    let saved = jackfield.file("run.json", b"[]");
    jackfield.run(&["bench", "a.b", "-c", "0"]).failed(2, &["--concurrency 0"]);
    jackfield.run(&["bench", "a.b", "--rate", "0"]).failed(2, &["--rate 0"]);
    jackfield.run(&["bench", "a.b", "--rate", "fast"]).failed(2, &["--rate"]);
    jackfield.run(&["bench", "a.b", "--duration", "10"]).failed(2, &["write 500ms, 2s or 1m"]);
    jackfield.run(&["bench", "a.b", "--compare", "none.json"]).failed(3, &["none.json", "--save"]);
    jackfield.run(&["bench", "a.b", "--compare", &saved]).failed(2, &["no saved run"]);
    jackfield.run(&["bench", "a.b", "--save", "no/run.json"]).failed(2, &["no folder no"]);
    jackfield.run(&["bench", "a.b", "-d", "5"]).failed(2, &["-d '[5]'"]);
}

#[test]
fn without_a_registry_it_says_which_command_starts_one() {
    let jackfield = Jackfield::new();
    let (_held, address) = silent_port();
    let registry = ["--registry", &address];
    for command in [
        &["ls"][..],
        &["describe", "calc"],
        &["call", "calc.add", "-d", "[1]"],
        &["bench", "calc.add", "-d", "[1]"],
    ] {
        let mut args = command.to_vec();
        args.extend(registry);
        if command[0] == "call" {
            args.extend(["--deadline", "1s"]);
        }
        jackfield.run(&args).failed(4, &["jackfield registry", &address]);
    }
}

#[test]
fn the_registry_may_come_from_the_environment() {
    let jackfield = Jackfield::new();
    let (_held, address) = silent_port();
    let output = jackfield.command(&["ls"]).env("JACKFIELD_REGISTRY", &address).output().unwrap();
    Ended::of(output).failed(4, &[&address]);
}

#[test]
fn a_host_that_does_not_answer_is_unavailable() {
    let jackfield = Jackfield::new();
    let (_held, address) = silent_port();
    let args = ["call", "calc.add", "-d", "[1]", "--direct", &address, "--deadline", "1s"];
    let ended = jackfield.run(&args);
    assert!(matches!(ended.code, Some(4 | 6)), "{ended:?}");
    assert!(ended.stderr.contains(&address), "{ended:?}");
}

#[test]
fn a_folder_that_is_not_there_says_what_to_do() {
    let jackfield = Jackfield::new();
    for command in ["dev", "host"] {
        jackfield.run(&[command, "nowhere", "-p", "0"]).failed(3, &["nowhere", "mkdir"]);
    }
}

#[test]
fn a_file_instead_of_a_folder_says_so() {
    let jackfield = Jackfield::new();
    jackfield.file("file", b"");
    jackfield.run(&["host", "file"]).failed(2, &["file", "folder"]);
}

#[test]
fn beyond_loopback_needs_an_identity_set_up_on_purpose() {
    let jackfield = Jackfield::new();
    fs::create_dir(jackfield.folder().join("plugins")).unwrap();
    jackfield.run(&["registry", "-l", "0.0.0.0", "-p", "0"]).failed(9, &["--identity"]);
    jackfield.run(&["host", "plugins", "-l", "0.0.0.0"]).failed(9, &["--identity"]);
}

#[test]
fn a_state_folder_open_to_others_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let jackfield = Jackfield::new();
    let open = jackfield.folder().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let args = ["ls", "--state", open.to_str().unwrap()];
    jackfield.run(&args).failed(9, &["chmod 700"]);
}

#[test]
fn a_port_in_use_says_what_to_do() {
    let jackfield = Jackfield::new();
    let (held, _) = silent_port();
    let port = held.local_addr().unwrap().port().to_string();
    fs::create_dir(jackfield.folder().join("plugins")).unwrap();
    jackfield.run(&["registry", "-p", &port]).failed(4, &["in use", "-p"]);
    jackfield.run(&["host", "plugins", "-p", &port]).failed(4, &["in use", "-p"]);
    jackfield.run(&["dev", "-p", &port]).failed(4, &["in use", "-p"]);
}

#[test]
fn check_shows_the_methods_of_a_component() {
    let jackfield = Jackfield::new();
    let file = jackfield.file("oracle.wasm", &wat::parse_str(COMPONENT).unwrap());
    let ended = jackfield.run(&["check", &file]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("answer: func(to: u32) -> u32"), "{}", ended.stdout);
    assert!(ended.stdout.contains("jackfield call oracle.answer 1"), "{}", ended.stdout);
    let json = jackfield.run(&["check", &file, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["service"]["methods"][0]["name"], "answer");
}

#[test]
fn check_explains_a_manifest_and_says_where_it_is_wrong() {
    let jackfield = Jackfield::new();
    let file = jackfield.file("oracle.wasm", &wat::parse_str(COMPONENT).unwrap());
    let text = b"limits.memory = \"1 MiB\"\ngrants.network = [\"db.internal:5432\"]";
    let manifest = jackfield.file("oracle.toml", text);
    let ended = jackfield.run(&["check", &file]);
    for part in ["  memory          1 MiB", "db.internal, port 5432", "network is never used"] {
        assert!(ended.stdout.contains(part), "{part:?} is not in {}", ended.stdout);
    }
    let json = jackfield.run(&["check", &manifest, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["settings"]["limits"]["memory"], "1 MiB");
    assert_eq!(json["warnings"].as_array().unwrap().len(), 1);
    jackfield.file("oracle.toml", b"[limits]\nmemroy = 1");
    jackfield.run(&["check", &file]).failed(10, &["line 2, column 1", "did you mean `memory`"]);
    let settings = jackfield.file("host.toml", b"[host]\nstck = 1");
    for command in [&["check", &file][..], &["host", ".", "-p", "0"], &["dev", ".", "-p", "0"]] {
        let args = [command, &["--config", &settings]].concat();
        jackfield.run(&args).failed(2, &["host.toml", "line 2, column 1", "`stack`"]);
    }
}

#[test]
fn check_says_why_a_file_would_not_load() {
    let jackfield = Jackfield::new();
    let component = wat::parse_str(COMPONENT).unwrap();
    let module = wat::parse_str("(module)").unwrap();
    let rejected: [(&str, &[u8], &str); 4] = [
        ("text.wasm", b"hello", "not a wasm file"),
        ("module.wasm", &module, "a core module, not a component"),
        ("cut.wasm", &component[..component.len() - 7], "cut.wasm"),
        ("empty.wasm", b"", "empty"),
    ];
    for (name, content, reason) in rejected {
        let file = jackfield.file(name, content);
        let ended = jackfield.run(&["check", &file]);
        assert_eq!(ended.code, Some(10), "{ended:?}");
        assert!(ended.stderr.contains(reason), "{ended:?}");
        let json = jackfield.run(&["check", &file, "--json"]);
        assert_eq!(json.code, Some(10));
        let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert!(json["rejected"].is_string(), "{json}");
    }
    jackfield.run(&["check", "missing.wasm"]).failed(3, &["missing.wasm"]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let jackfield = Jackfield::new();
    let mut child = jackfield
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn completion_says_nothing_when_nobody_answers() {
    let jackfield = Jackfield::new();
    let (_held, address) = silent_port();
    let output = jackfield
        .command(&["--", "jackfield", "call", "--registry", &address, "cal"])
        .env("JACKFIELD_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "4")
        .output()
        .unwrap();
    let ended = Ended::of(output);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""));
}

#[test]
fn colours_come_only_when_asked_for() {
    let jackfield = Jackfield::new();
    let (_held, address) = silent_port();
    let plain = jackfield.run(&["ls", "--registry", &address]);
    assert!(!plain.stderr.contains('\u{1b}'), "{plain:?}");
    let colored = jackfield.run(&["ls", "--registry", &address, "--color", "always"]);
    assert!(colored.stderr.contains('\u{1b}'), "{colored:?}");
}

/// A server whose first line has been read; killed if a test fails.
struct Server {
    child: Child,
    line: String,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, line }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_registry_says_where_it_listens_and_ends_on_either_signal() {
    let jackfield = Jackfield::new();
    for signal in ["INT", "TERM"] {
        let mut registry = Server::start(jackfield.command(&["registry", "-p", "0"]));
        assert!(registry.line.starts_with("registry listening on 127.0.0.1:"), "{}", registry.line);
        registry.signal(signal);
        assert_eq!(registry.end(), Some(0), "{signal}");
    }
}

#[test]
fn a_registry_keeps_its_set_in_a_file_of_its_own_that_another_cannot_have() {
    let jackfield = Jackfield::new();
    let store = format!("sqlite:{}", jackfield.folder().join("set.sqlite").display());
    let args = ["registry", "-p", "0", "--store", &store];
    let mut registry = Server::start(jackfield.command(&args));
    jackfield.run(&args).failed(4, &["set.sqlite is in use", "--store sqlite:PATH"]);
    registry.signal("TERM");
    assert_eq!(registry.end(), Some(0));
    fs::write(jackfield.folder().join("set.sqlite"), "no set".repeat(1000)).unwrap();
    jackfield
        .run(&args)
        .failed(1, &["set.sqlite is damaged", "jackfield registry repair", "--store"]);
}

#[test]
fn an_empty_list_says_what_to_do_next() {
    let jackfield = Jackfield::new();
    let registry = Server::start(jackfield.command(&["registry", "-p", "0"]));
    let address = registry.line.trim().rsplit(' ').next().unwrap().to_owned();
    let ended = jackfield.run(&["ls", "--registry", &address]);
    assert_eq!((ended.code, &*ended.stdout), (Some(0), ""), "{ended:?}");
    assert!(ended.stderr.contains("jackfield host"), "{ended:?}");
    let json = jackfield.run(&["ls", "--json", "--registry", &address]);
    assert_eq!(json.stdout.trim(), "[]", "{json:?}");
}

#[test]
fn data_may_come_from_stdin() {
    let jackfield = Jackfield::new();
    let mut child = jackfield
        .command(&["call", "a.b", "-d", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"[\xff]").unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap());
    ended.failed(2, &["stdin is not UTF-8 at byte 1"]);
}
