//! Outside endpoints and orders of operators, with the binary alone: a registry, and commands.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// A registry in a process of its own, and the state folder that commands share with it.
struct World {
    folder: TempDir,
    registry: Child,
    address: String,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut registry = jackfield(folder.path(), &["registry", "-p", "0", "--log", "error"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = first_line(&mut registry);
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { folder, registry, address }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = jackfield(self.folder.path(), args);
        command.args(["--registry", &self.address]);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    fn said(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // It may have ended by itself; then the test has failed already.
        _ = self.registry.kill();
        _ = self.registry.wait();
    }
}

fn jackfield(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    command
        .args(args)
        .env("JACKFIELD_STATE", folder.join("state"))
        .env_remove("JACKFIELD_CONFIG")
        .env_remove("JACKFIELD_REGISTRY")
        .env_remove("JACKFIELD_NAMESPACE")
        .env_remove("JACKFIELD_IDENTITY")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

#[test]
fn an_endpoint_is_registered_ordered_about_and_taken_back() {
    let world = World::new();
    let address = ["register", "model", "--address", "gpu-1.example:8000"];
    let more = ["--weight", "3", "--metadata", "prompt=You are {name}.", "--zone", "a"];
    let said = world.said(&[&address[..], &more].concat());
    assert_eq!(said, "registered model@gpu-1.example-8000\n");
    let id = "model@gpu-1.example-8000";
    let said = world.said(&["instance", "set", id, "--disable", "--weight", "5", "--note", "hot"]);
    assert_eq!(said, format!("{id}: disabled, weight 5, note \"hot\"\n"));
    let shown = world.said(&["instance", "show", id]);
    for line in ["enabled    no", "weight     5", "zone       a", "prompt=You are {name}."] {
        assert!(shown.contains(line), "{line:?} is not in {shown}");
    }
    world.said(&["deregister", id]);
    assert!(world.refused(&["deregister", id]).contains("only 0 of 1"));
    world.said(&[&address[..], &more].concat());
    assert!(world.said(&["instance", "show", id]).contains("weight     5"));
    assert_eq!(world.said(&["instance", "unset", id]), format!("{id}: nothing ordered\n"));
    assert!(world.said(&["instance", "show", id]).contains("weight     3"));
}

#[test]
fn settings_of_a_service_are_set_shown_and_taken_back() {
    let world = World::new();
    let set = ["service", "set", "calc", "--timeout", "2s", "--max-retries", "3"];
    let more = ["--retry-delay", "50ms", "--retry-backoff", "2", "--picker", "random"];
    let all = "calc: timeout 2.0 s, max-retries 3, retry-delay 50.0 ms, retry-backoff 2, \
               picker random\n";
    assert_eq!(world.said(&[&set[..], &more].concat()), all);
    assert_eq!(world.said(&["service", "show"]), all);
    let left = world.said(&["service", "unset", "calc", "retry-delay", "retry-backoff"]);
    assert_eq!(left, "calc: timeout 2.0 s, max-retries 3, picker random\n");
    assert_eq!(world.said(&["service", "unset", "calc"]), "calc: nothing set\n");
    assert_eq!(world.said(&["service", "show"]), "");
    let refused = world.refused(&["service", "set", "calc", "--picker", "rnadom"]);
    assert!(refused.contains("random"), "{refused}");
    assert!(world.refused(&["service", "set", "calc"]).contains("nothing was set"));
}

#[test]
fn namespaces_keep_names_apart() {
    let world = World::new();
    let register = ["register", "model", "--address", "10.0.0.7:8000", "--namespace", "staging"];
    world.said(&register);
    assert!(!world.said(&["ls"]).contains("model"));
    assert!(world.said(&["ls", "--namespace", "staging"]).contains("10.0.0.7:8000"));
    let id = "model@10.0.0.7-8000";
    world.said(&["instance", "set", id, "--drain", "--namespace", "staging"]);
    world.said(&["deregister", "staging/model@10.0.0.7-8000"]);
}

#[test]
fn a_watch_tells_what_is_there_and_what_changes() {
    let world = World::new();
    world.said(&["register", "model", "--address", "10.0.0.7:8000"]);
    let mut watch = world.command(&["watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "+ model@10.0.0.7-8000 10.0.0.7:8000 healthy");
    world.said(&["service", "set", "model", "--timeout", "1s"]);
    assert_eq!(lines.next().unwrap(), "= model: timeout 1.0 s");
    world.said(&["deregister", "model@10.0.0.7-8000"]);
    assert_eq!(lines.next().unwrap(), "- model@10.0.0.7-8000");
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn what_is_kept_goes_with_the_command_that_keeps_it() {
    let world = World::new();
    let keep = ["register", "model", "--address", "10.0.0.7:8000", "--keep"];
    let mut kept = world.command(&keep).stdout(Stdio::piped()).spawn().unwrap();
    assert!(first_line(&mut kept).starts_with("registered model@10.0.0.7-8000"));
    assert!(world.said(&["ls"]).contains("healthy"));
    let pid = kept.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(kept.wait().unwrap().success());
    assert!(!world.said(&["ls"]).contains("healthy"));
}

#[test]
fn an_order_about_nothing_says_what_to_do() {
    let world = World::new();
    let refused = world.refused(&["instance", "set", "calc@left", "--disable"]);
    assert!(refused.contains("there is no instance calc@left"), "{refused}");
    assert!(world.refused(&["instance", "set", "calc", "--drain"]).contains("SERVICE@HOST"));
    assert!(world.refused(&["instance", "set", "calc@left"]).contains("nothing was ordered"));
}
