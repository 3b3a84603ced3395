//! What authors of plugins do: begin a project, build it, test it, and work on it.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "binary/run.rs"]
mod run;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use run::{Ended, command};

/// An author's machine: a folder, and the binary with an environment of its own.
struct Author(TempDir);

impl Author {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        command(self.0.path(), args)
    }

    fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// A project whose tool, make, only copies: it needs no compiler.
    fn project(&self, wat: &str) {
        self.file("oracle/Makefile", "build/plugin.wasm: plugin.bin\n\tcp plugin.bin $@\n");
        self.file("oracle/wit/plugin.wit", WIT);
        self.source(wat);
    }

    fn source(&self, wat: &str) {
        self.file("oracle/plugin.bin", wat::parse_str(wat).unwrap());
    }
}

impl Ended {
    /// It ended with this code and said this.
    #[track_caller]
    fn said(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for text in said {
            let found = self.stderr.contains(text) || self.stdout.contains(text);
            assert!(found, "{text:?} is not in {self:?}");
        }
    }
}

const WIT: &str = "package local:plugin;\nworld plugin {\n    /// Knows it.\n    \
                   export answer: func(to: u32) -> u32;\n}\n";

/// Gives back what it is given, traps at 13, and does not end at 14.
const ORACLE: &str = r#"(component
    (core module $m (func (export "answer") (param i32) (result i32)
        (if (i32.eq (local.get 0) (i32.const 13)) (then unreachable))
        (if (i32.eq (local.get 0) (i32.const 14)) (then (loop $l (br $l))))
        local.get 0))
    (core instance $i (instantiate $m))
    (func (export "answer") (param "to" u32) (result u32) (canon lift (core func $i "answer"))))"#;

#[test]
fn a_project_is_begun_once_and_says_what_comes_next() {
    let author = Author::new();
    for (language, file) in
        [("rust", "Cargo.toml"), ("js", "package.json"), ("python", "app.py"), ("c", "Makefile")]
    {
        let name = format!("in-{language}");
        let ended = author.run(&["new", &name, "--lang", language]);
        let build = format!("jackfield build {name}");
        ended.said(0, &[&build, "jackfield dev --watch", &format!("call {name}.greet Ada")]);
        let told = ended.stdout.lines().nth(1).unwrap().split([' ', ',']);
        let places: Vec<&str> = told.filter(|word| word.contains('/')).collect();
        assert_eq!(places.len(), 2, "{ended:?}");
        assert!(places.iter().all(|place| author.path(place).is_file()), "{ended:?}");
        assert!(author.path(&name).join(file).is_file());
        let cases = fs::read_to_string(author.path(&name).join("cases.json")).unwrap();
        assert!(serde_json::from_str::<Value>(&cases).unwrap().is_array());
        author.run(&["new", &name, "--lang", language]).said(2, &["not empty", "--dir"]);
    }
    let cargo = fs::read_to_string(author.path("in-rust/Cargo.toml")).unwrap();
    assert!(cargo.contains("name = \"in-rust\""), "{cargo}");
    fs::create_dir_all(author.path("elsewhere/empty")).unwrap();
    author.run(&["new", "empty", "--lang", "c", "--dir", "elsewhere"]).said(0, &[]);
    author.run(&["new", "My Plugin", "--lang", "c"]).said(2, &["for example: my-plugin"]);
    author.run(&["new", "x"]).said(2, &["--lang <rust|js|python|c>"]);
    author.run(&["new", "x", "--lang", "cobol"]).said(2, &["rust, js, python, c"]);
    author.file("file", "");
    author.run(&["new", "x", "--lang", "c", "--dir", "file"]).said(2, &["is a file"]);
}

#[test]
fn a_project_is_given_what_jackfield_offers_as_often_as_it_asks() {
    let author = Author::new();
    author.run(&["new", "desk", "--lang", "rust"]).said(0, &[]);
    let shown = ["jackfield:plugin@0.1.0", "generate_all", "desk.toml", "services = ["];
    author.run(&["wit", "desk"]).said(0, &shown);
    let file = "desk/wit/deps/jackfield-plugin.wit";
    let text = fs::read_to_string(author.path(file)).unwrap();
    assert!(text.contains("package jackfield:plugin@0.1.0;"), "{text}");
    author.file(file, "of an older version");
    author.run(&["wit", "desk"]).said(0, &[]);
    assert_eq!(fs::read_to_string(author.path(file)).unwrap(), text);
    author.run(&["wit", "nowhere"]).said(3, &["jackfield new nowhere"]);
    author.project(ORACLE);
    author.file("oracle/wit/deps", "");
    author.run(&["wit", "oracle"]).said(9, &["cannot write", "oracle/wit/deps"]);
}

#[test]
fn a_build_leaves_a_documented_component_and_shows_its_interface() {
    let author = Author::new();
    author.project(ORACLE);
    let shown = ["oracle.wasm", "answer: func(to: u32) -> u32", "Knows it."];
    author.run(&["build", "oracle"]).said(0, &shown);
    author.run(&["check", "oracle/oracle.wasm"]).said(0, &["Knows it."]);
}

#[test]
fn a_build_that_fails_keeps_the_component_of_the_last() {
    let author = Author::new();
    author.project(ORACLE);
    author.run(&["build", "oracle"]).said(0, &[]);
    let before = fs::read(author.path("oracle/oracle.wasm")).unwrap();
    author.file("oracle/Makefile", "build/plugin.wasm:\n\techo no such luck >&2; exit 7\n");
    author.run(&["build", "oracle"]).said(11, &["no such luck", "make ended with exit code 2"]);
    author.file("oracle/Makefile", "build/plugin.wasm:\n\ttrue\n");
    author.run(&["build", "oracle"]).said(11, &["made no", "build/plugin.wasm"]);
    assert_eq!(fs::read(author.path("oracle/oracle.wasm")).unwrap(), before);
    author.file("oracle/Makefile", "build/plugin.wasm:\n\techo hello > $@\n");
    author.run(&["build", "oracle"]).said(10, &["not a wasm file"]);
}

#[test]
fn a_missing_tool_or_project_says_what_to_do() {
    let author = Author::new();
    for language in ["rust", "js", "python", "c"] {
        author.run(&["new", language, "--lang", language]).said(0, &[]);
        let mut command = author.command(&["build", language]);
        let ended = Ended::of(command.env("PATH", author.path("empty")).output().unwrap());
        ended.said(3, &["is missing", "install it: "]);
    }
    author.run(&["build", "nowhere"]).said(3, &["jackfield new nowhere"]);
    fs::create_dir(author.path("folder")).unwrap();
    author.run(&["build", "folder"]).said(3, &["Cargo.toml, package.json"]);
    author.run(&["dev", "--watch", "folder", "-p", "0"]).said(3, &["Cargo.toml, package.json"]);
}

#[test]
fn c_gets_its_bindings_before_make_runs_and_the_same_ones_are_left_alone() {
    let author = Author::new();
    author.project(ORACLE);
    author.file("oracle/src/plugin.c", "");
    let needs = "build/plugin.h build/plugin.c build/plugin_component_type.o";
    let makefile = format!("build/plugin.wasm: {needs}\n\tcp plugin.bin $@\n");
    author.file("oracle/Makefile", makefile);
    author.run(&["build", "oracle"]).said(0, &["answer: func(to: u32) -> u32"]);
    let header = author.path("oracle/build/plugin.h");
    assert!(fs::read_to_string(&header).unwrap().contains("exports_plugin_answer(uint32_t to)"));
    let made = fs::metadata(&header).unwrap().modified().unwrap();
    author.run(&["build", "oracle"]).said(0, &[]);
    assert_eq!(fs::metadata(&header).unwrap().modified().unwrap(), made);
    // One name for the files, whatever the world is called.
    author.file("oracle/wit/plugin.wit", WIT.replace("world plugin", "world delphi"));
    author.run(&["build", "oracle"]).said(0, &[]);
    assert!(fs::read_to_string(&header).unwrap().contains("exports_plugin_answer(uint32_t to)"));
}

#[test]
fn wit_that_c_cannot_have_says_where_and_why() {
    let author = Author::new();
    author.project(ORACLE);
    author.file("oracle/src/plugin.c", "");
    author.file("oracle/wit/plugin.wit", WIT.replace("u32;", "u33;"));
    author.run(&["build", "oracle"]).said(11, &["u33", "plugin.wit:4:"]);
    author.file("oracle/wit/plugin.wit", WIT.replace("to: u32", "to: list<u8, 4>"));
    author.run(&["build", "oracle"]).said(11, &["no bindings for in C", "leave them out"]);
    author.file("oracle/wit/plugin.wit", "package a:b;\nworld c {}\nworld d {}\n");
    author.run(&["build", "oracle"]).said(11, &["call the plugin's world plugin"]);
    fs::remove_dir_all(author.path("oracle/wit")).unwrap();
    author.run(&["build", "oracle"]).said(3, &["no folder wit", "wit/plugin.wit"]);
}

#[test]
fn a_build_that_fails_for_a_mistake_in_the_wit_says_where_it_is() {
    let author = Author::new();
    author.file("bin/npm", "#!/bin/sh\necho 'expected a colon, somewhere' >&2; exit 1\n");
    fs::set_permissions(author.path("bin/npm"), fs::Permissions::from_mode(0o755)).unwrap();
    author.file("oracle/package.json", r#"{"name": "oracle"}"#);
    author.file("oracle/node_modules/.jackfield-installed", r#"{"name": "oracle"}"#);
    for (wit, told) in [(WIT.replace("to:", "to"), true), (WIT.to_owned(), false)] {
        author.file("oracle/wit/plugin.wit", wit);
        let mut command = author.command(&["build", "oracle"]);
        let path = format!("{}:/usr/bin:/bin", author.path("bin").display());
        let ended = Ended::of(command.env("PATH", path).output().unwrap());
        ended.said(11, &["somewhere", "npm ended with exit code 1"]);
        assert_eq!(ended.stderr.contains("plugin.wit:4:"), told, "{ended:?}");
    }
}

#[test]
fn a_core_module_that_does_not_say_what_it_offers_is_refused() {
    let author = Author::new();
    author.project("(module)");
    author.run(&["build", "oracle"]).said(11, &["core module", "build/plugin_component_type.o"]);
}

#[test]
fn cases_that_hold_and_cases_that_do_not_are_told_apart() {
    let author = Author::new();
    author.file("oracle.wasm", wat::parse_str(ORACLE).unwrap());
    author.file(
        "good.json",
        r#"[{"method": "answer", "args": [1], "expect": 1},
            {"method": "answer", "args": {"to": 2}, "expect": 2.0},
            {"method": "answer", "args": [-1], "expect-status": "invalid-argument"},
            {"method": "anser", "expect-status": "not-found"},
            {"method": "answer", "args": [14], "timeout": "50ms",
             "expect-status": "deadline-exceeded"}]"#,
    );
    author.run(&["test", "oracle.wasm", "good.json"]).said(0, &["5 passed, 0 failed"]);
    author.file(
        "bad.json",
        r#"[{"name": "is off by one", "method": "answer", "args": [1], "expect": 2},
            {"method": "answer", "args": [13], "expect": 13},
            {"method": "answer", "args": [3], "expect-error": "no"},
            {"method": "answer", "args": [4]}]"#,
    );
    let ended = author.run(&["test", "oracle.wasm", "bad.json"]);
    let shown =
        ["FAIL  is off by one", "at $: expected 2, got 1", "status trapped", "1 passed, 3 failed"];
    ended.said(11, &shown);
    let ended = author.run(&["test", "oracle.wasm", "bad.json", "--json"]);
    ended.said(11, &[]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["passed"], &report["failed"]), (&1.into(), &3.into()));
    assert_eq!(report["cases"][0]["problems"][0], "at $: expected 2, got 1");
}

#[test]
fn a_plugin_under_test_has_its_manifest_and_is_not_quarantined() {
    let author = Author::new();
    author.file("oracle.wasm", wat::parse_str(ORACLE).unwrap());
    author.file("oracle.toml", "limits.deadline = \"2 s\"");
    let trap = r#"{"method": "answer", "args": [13], "expect-status": "trapped"}"#;
    let spin = r#"{"method": "answer", "args": [14], "expect-status": "deadline-exceeded"}"#;
    let good = r#"{"service": "oracle", "method": "answer", "args": [5], "expect": 5}"#;
    let cases = [vec![trap; 40], vec![spin, good]].concat().join(",");
    author.file("cases.json", format!("[{cases}]"));
    author.run(&["test", "oracle.wasm", "cases.json"]).said(0, &["42 passed, 0 failed"]);
    author.file("oracle.toml", "limits.deadlin = 1");
    author.run(&["test", "oracle.wasm", "cases.json"]).said(10, &["did you mean `deadline`"]);
}

#[test]
fn cases_that_cannot_be_read_say_why() {
    let author = Author::new();
    author.file("oracle.wasm", wat::parse_str(ORACLE).unwrap());
    author.file("cases.json", r#"[{"method": "answer", "exepct": 1}]"#);
    author.run(&["test", "oracle.wasm", "cases.json"]).said(2, &["line 1", "`exepct`"]);
    author.file("cases.json", "[]");
    author.run(&["test", "oracle.wasm", "cases.json"]).said(2, &["no case"]);
    author.file("cases.json", r#"[{"service": "calc", "method": "answer"}]"#);
    author.run(&["test", "oracle.wasm", "cases.json"]).said(2, &["this plugin is oracle"]);
    author.run(&["test", "oracle.wasm", "nowhere.json"]).said(3, &["nowhere.json"]);
    author.run(&["test", "nowhere.wasm", "cases.json"]).said(3, &["jackfield build"]);
}

/// `dev --watch`, whose lines are read one after the other. Killed when dropped.
struct Dev {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Dev {
    fn start(author: &Author) -> Self {
        let mut command = author.command(&["dev", "--watch", "oracle", "-p", "0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads on to the line that has all of `parts`.
    #[track_caller]
    fn until(&mut self, parts: &[&str]) -> String {
        let found = self.lines.by_ref().map(Result::unwrap);
        let mut found = found.filter(|line| parts.iter().all(|part| line.contains(part)));
        found.next().unwrap_or_else(|| panic!("it ended before it said {parts:?}"))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn dev_builds_on_every_change_tells_what_it_means_and_survives_a_failed_build() {
    let author = Author::new();
    author.project(ORACLE);
    let mut dev = Dev::start(&author);
    dev.until(&["built", "oracle"]);
    let line = dev.until(&["registry listening on "]);
    let registry = line.split([' ', ',']).nth(3).unwrap().to_owned();
    dev.until(&["watching"]);
    author.source(&ORACLE.replace("\"to\" u32", "\"to\" s32"));
    dev.until(&["changed", "plugin.bin"]);
    dev.until(&["replaced", "oracle"]);
    dev.until(&["~ answer: func(to: u32) -> u32 → answer: func(to: s32) -> u32", "break"]);
    let makefile = fs::read(author.path("oracle/Makefile")).unwrap();
    author.file("oracle/Makefile", "build/plugin.wasm:\n\texit 1\n");
    dev.until(&["failed", "the version before goes on serving"]);
    let call = ["call", "oracle.answer", "7", "--registry", &registry];
    author.run(&call).said(0, &["7"]);
    author.source(&ORACLE.replace("\"answer\") (param \"to\"", "\"reply\") (param \"to\""));
    author.file("oracle/Makefile", makefile);
    dev.until(&["- answer: func(to: s32) -> u32", "break"]);
    dev.until(&["+ reply: func(to: u32) -> u32"]);
}

#[test]
fn every_template_says_the_same_of_itself() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let read = |language: &str, file: &str| fs::read(root.join(language).join(file)).unwrap();
    for language in ["js", "python", "c"] {
        for file in ["cases.json", "wit/plugin.wit"] {
            assert_eq!(read(language, file), read("rust", file), "{language}/{file}");
        }
    }
}
