//! Compilation in a child process: its bounds, its end, the cache that it fills.

mod bombs;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jackfield_harness::eventually;
use jackfield_host::{CheckReport, Compiler, Host, HostConfig, HostFile};
use jackfield_transport::{Identity, Role, StateDir};
use tempfile::TempDir;

/// The folders of a host.
struct Place {
    root: TempDir,
}

/// A host over them.
struct Rig {
    host: Host,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("plugins")).unwrap();
        StateDir::resolve(Some(&root.path().join("state"))).unwrap();
        Self { root }
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let plugins = self.root.path().join("plugins");
        let partial = plugins.join(".partial");
        fs::write(&partial, bytes).unwrap();
        fs::rename(partial, plugins.join(format!("{name}.wasm"))).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// Files of the cache with compiled code.
    fn compiled(&self) -> Vec<PathBuf> {
        let entries = |path: &Path| -> Vec<PathBuf> {
            let read = fs::read_dir(path).into_iter().flatten();
            read.map(|entry| entry.unwrap().path()).collect()
        };
        let versions = entries(&self.state().join("compiled/modules"));
        let files = versions.iter().flat_map(|version| entries(version));
        files.filter(|file| file.extension().is_none()).collect()
    }

    async fn host(&self, tune: impl FnOnce(&mut HostConfig)) -> Rig {
        let state = StateDir::resolve(Some(&self.state())).unwrap();
        let identity = Identity::local(&state, Role::Host, "host-a").unwrap();
        let listen = ([127, 0, 0, 1], 0).into();
        let folder = self.root.path().join("plugins");
        let mut config = HostConfig::new(folder, listen, identity, state);
        config.limits.concurrency = 4;
        config.compiler = child(env!("CARGO_BIN_EXE_jackfield"));
        tune(&mut config);
        Rig { host: Host::spawn(config).await.unwrap() }
    }
}

impl Rig {
    fn serves(&self) -> Vec<String> {
        self.host.services().iter().map(|info| info.service.to_string()).collect()
    }

    /// Why the only file that is rejected is.
    async fn rejection(&self) -> String {
        let reason = || self.host.rejected().pop().map(|file| file.reason);
        eventually("a file is rejected", async || reason()).await
    }
}

fn child(program: &str) -> Compiler {
    Compiler::Child { program: program.into(), arguments: vec!["compile".into()] }
}

fn calc() -> Vec<u8> {
    fs::read(jackfield_guests::plugin("calc")).unwrap()
}

/// A component that takes a minute to compile: many long functions without a loop, whose every value
/// is needed to the end. As bytes, because text of this length takes long itself.
fn bomb() -> Vec<u8> {
    // local.get 0, i64.const 3, i64.rotl, local.tee 0; then i64.add for all but one; end.
    let values = [0x20, 0, 0x42, 3, 0x89, 0x22, 0].repeat(4000);
    let function = [vec![0], values, vec![0x7c; 3999], vec![0x0b]].concat();
    let functions = 1000;
    let code = [leb(function.len()), function].concat().repeat(functions);
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 1, 0x7e, 1, 0x7e]),
        section(3, &[leb(functions), vec![0; functions]].concat()),
        section(10, &[leb(functions), code].concat()),
    ];
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module.concat())].concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], leb(content.len()).as_slice(), content].concat()
}

/// A number as wasm writes it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The processes that this one has started and that run.
fn children() -> BTreeSet<String> {
    children_of("self")
}

fn children_of(process: &str) -> BTreeSet<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
    let lists =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let all: Vec<String> = lists.collect();
    all.iter().flat_map(|list| list.split_whitespace()).map(str::to_owned).collect()
}

/// Whether the process is there and compiles.
fn compiles(process: &str) -> bool {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|word| word == b"compile")
}

#[tokio::test]
async fn what_a_child_compiled_is_in_the_cache_and_a_restart_needs_no_child() {
    let place = Place::new();
    place.put("calc", &calc());
    let rig = place.host(|_| {}).await;
    rig.host.settled().await;
    assert_eq!((rig.serves(), rig.host.rejected()), (vec!["calc".to_owned()], vec![]));
    assert_eq!(place.compiled().len(), 1);
    rig.host.shutdown(Duration::ZERO).await;
    let rig = place.host(|config| config.compiler = child("/no/such/program")).await;
    rig.host.settled().await;
    assert_eq!((rig.serves(), rig.host.rejected()), (vec!["calc".to_owned()], vec![]));
    assert_eq!(place.compiled().len(), 1, "the engines of child and host agree");
}

#[tokio::test]
async fn a_component_that_takes_too_long_to_compile_is_rejected_and_others_are_not() {
    let place = Place::new();
    place.put("bomb", &bomb());
    let second = Duration::from_secs(1);
    let rig = place.host(|config| config.limits.compile_time = second).await;
    // On a busy machine a process of low priority reaches its limit of wall time first.
    let rejection = rig.rejection().await;
    let limits = ["took more than 1 s of CPU time", "took more than 4s in all"];
    assert!(limits.iter().any(|limit| rejection.contains(limit)), "{rejection}");
    place.put("calc", &calc());
    eventually("the other serves", async || (rig.serves() == ["calc"]).then_some(())).await;
}

#[tokio::test]
async fn a_check_is_bounded_as_a_host_is_and_what_it_compiled_is_there_for_hosts() {
    let place = Place::new();
    let state = StateDir::resolve(Some(&place.state())).unwrap();
    let mut settings = HostFile::default();
    settings.limits.compile_memory = 256 << 20;
    let check = async |name: &str, settings: &HostFile| {
        let file = place.root.path().join(format!("plugins/{name}.wasm"));
        let program = child(env!("CARGO_BIN_EXE_jackfield"));
        Box::pin(jackfield_host::check(&file, settings, program, &state)).await
    };
    place.put("bomb", &bomb());
    let CheckReport::Rejected(rejection) = check("bomb", &settings).await else {
        panic!("no host of these limits would serve it");
    };
    assert!(rejection.to_string().contains("took more than 256 MiB of memory"), "{rejection}");
    place.put("calc", &calc());
    let checked = check("calc", &HostFile::default()).await;
    assert!(matches!(checked, CheckReport::Serves(_)), "{checked:?}");
    assert_eq!(place.compiled().len(), 1);
}

#[tokio::test]
async fn a_component_that_takes_too_much_memory_to_compile_is_rejected() {
    let place = Place::new();
    place.put("bomb", &bomb());
    // The program itself, unoptimised, takes more than half of it.
    let rig = place.host(|config| config.limits.compile_memory = 256 << 20).await;
    let rejection = rig.rejection().await;
    assert!(rejection.contains("took more than 256 MiB of memory"), "{rejection}");
    assert!(place.compiled().is_empty());
}

#[tokio::test]
async fn a_component_whose_code_is_too_long_is_rejected() {
    let place = Place::new();
    place.put("calc", &calc());
    let rig = place.host(|config| config.limits.compiled_code = 10 << 10).await;
    let rejection = rig.rejection().await;
    assert!(rejection.contains("for its code"), "{rejection}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_newer_version_ends_the_compilation_of_an_older_one() {
    let place = Place::new();
    let before = children();
    place.put("calc", &bomb());
    let rig = place.host(|_| {}).await;
    let child = eventually("the child runs", async || {
        children().difference(&before).find(|child| compiles(child)).cloned()
    })
    .await;
    place.put("calc", &calc());
    eventually("the newer one serves", async || (rig.serves() == ["calc"]).then_some(())).await;
    assert_eq!(rig.host.rejected(), []);
    eventually("the child is gone", async || (!compiles(&child)).then_some(())).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_host_that_is_killed_takes_its_compilation_along() {
    let stage = crate::stage();
    let folder = stage.folder("host-a").unwrap();
    let registry = stage.registry().unwrap();
    let host = stage.host(&folder, registry.address()).unwrap();
    folder.put("bomb", &bomb()).unwrap();
    let pid = host.id().to_string();
    let child = eventually("the child runs", async || {
        children_of(&pid).into_iter().find(|child| compiles(child))
    })
    .await;
    host.kill().unwrap();
    eventually("the child is gone", async || (!compiles(&child)).then_some(())).await;
}

#[tokio::test]
async fn a_compiler_that_cannot_be_started_is_said_and_tried_again() {
    let place = Place::new();
    let program = place.root.path().join("compiler");
    place.put("calc", &calc());
    let rig = place.host(|config| config.compiler = child(&program.to_string_lossy())).await;
    assert!(rig.rejection().await.contains("tried again"));
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_jackfield"), &program).unwrap();
    eventually("it serves", async || (rig.serves() == ["calc"]).then_some(())).await;
    assert_eq!(rig.host.rejected(), []);
}

#[tokio::test]
async fn a_compiler_that_is_killed_from_outside_is_said_and_started_again() {
    let place = Place::new();
    place.put("calc", &calc());
    let marker = place.root.path().join("killed");
    let (marker, jackfield) = (marker.to_string_lossy(), env!("CARGO_BIN_EXE_jackfield"));
    let script = format!(
        "test -e '{marker}' || {{ : > '{marker}'; kill -KILL $$; }}; exec '{jackfield}' compile"
    );
    let arguments = vec!["-c".into(), script.into()];
    let compiler = Compiler::Child { program: "/bin/sh".into(), arguments };
    let rig = place.host(|config| config.compiler = compiler).await;
    let reason = rig.rejection().await;
    assert!(reason.contains("killed from outside (SIGKILL"), "{reason}");
    eventually("it serves", async || (rig.serves() == ["calc"]).then_some(())).await;
    assert_eq!(rig.host.rejected(), []);
}

#[tokio::test]
async fn a_full_disk_under_the_cache_keeps_no_plugin_from_serving() {
    let place = Place::new();
    let state = place.state();
    let mount = ["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"];
    let mounted = std::process::Command::new("mount").args(mount).arg(&state).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a small file system cannot be mounted here");
        return;
    }
    Identity::local(&StateDir::resolve(Some(&state)).unwrap(), Role::Host, "host-a").unwrap();
    fs::write(state.join("filler"), vec![0; 64 << 10]).expect_err("the disk is full");
    place.put("calc", &calc());
    let rig = place.host(|_| {}).await;
    rig.host.settled().await;
    assert!(place.compiled().is_empty());
    let (serves, rejected) = (rig.serves(), rig.host.rejected());
    rig.host.shutdown(Duration::ZERO).await;
    let unmounted = std::process::Command::new("umount").arg("-l").arg(&state).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    assert_eq!((serves, rejected), (vec!["calc".to_owned()], vec![]));
}

#[test]
fn people_who_start_the_compiler_are_told_that_it_is_not_for_them() {
    let done = crate::stage().run(&["compile"]).unwrap();
    assert_ne!(done.code, Some(0));
    assert!(done.stderr.contains("hosts start this command"), "{done:?}");
}
