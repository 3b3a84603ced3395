//! The nested cargo call: builds every Rust guest the same way on every machine.
//!
//! The result depends on the sources and on rustc alone: the caller's flags and wrappers are cleared, and the paths of the
//! checkout and of cargo's home are remapped, so that two machines with one rustc make identical bytes.

use crate::sources::{FIXTURES, PLUGINS, plugins_dir};
use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Whether this machine can build guests.
#[derive(Debug, Clone, PartialEq)]
pub enum Toolchain {
    /// It can.
    Present {
        /// Version and host, because another host's compiler may order code differently:
        /// `rustc 1.95.0 (59807616e 2026-04-14) on x86_64-unknown-linux-gnu`.
        rustc: String,
    },
    /// It cannot, or was told not to.
    Absent {
        /// Why, and what to do about it.
        reason: String,
    },
}

impl Toolchain {
    /// Asks rustc whether the target is installed, and rustup to add it where it is not.
    pub fn find() -> Self {
        if env::var_os("JACKFIELD_GUESTS").is_some_and(|choice| choice == "checked-in") {
            return Self::absent("JACKFIELD_GUESTS=checked-in");
        }
        let Some(libdir) = rustc(&["--print", "target-libdir", "--target", TARGET]) else {
            return Self::absent("rustc cannot be run or does not know wasm32-wasip2");
        };
        let installed = || Path::new(&libdir).is_dir();
        if !installed() && (!add_target() || !installed()) {
            return Self::absent(
                "the target is not installed and rustup could not add it; \
                 run: rustup target add wasm32-wasip2",
            );
        }
        let rustc = rustc(&["--version", "--verbose"]).map(|text| name_compiler(&text));
        Self::Present { rustc: rustc.unwrap_or_default() }
    }

    fn absent(reason: &str) -> Self {
        Self::Absent { reason: reason.into() }
    }
}

/// Whether rustup could add the target. Somebody without rustup, or without a network, builds nothing.
fn add_target() -> bool {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]).env("RUSTUP_MAX_RETRIES", "0");
    rustup.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut rustup) = rustup.spawn() else { return false };
    let end = Instant::now() + ADDING;
    while Instant::now() < end {
        match rustup.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(Duration::from_millis(100)),
            Err(_) => break,
        }
    }
    // It has ended meanwhile, or is ended now.
    let _ = rustup.kill();
    let _ = rustup.wait();
    false
}

/// A network that swallows packets must not hold the tests up for longer.
const ADDING: Duration = Duration::from_secs(90);

/// Builds all Rust guests and returns the folder that holds `NAME.wasm` of each. Waits for other processes that do the same.
pub(crate) fn build() -> Result<PathBuf> {
    let dir = target_dir().join("guests");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let lock_path = dir.join("build.lock");
    let lock = File::create(&lock_path)
        .with_context(|| format!("cannot create {}", lock_path.display()))?;
    lock.lock().with_context(|| format!("cannot lock {}", lock_path.display()))?;
    run_cargo(&dir)?;
    publish(&dir)
    // Dropping the file releases the lock.
}

/// The target folder of the running program: the guests go beside what they are tested with.
pub fn target_dir() -> PathBuf {
    let marked = |dir: &Path| dir.join("CACHEDIR.TAG").is_file();
    let program = env::current_exe().ok();
    let mut above = program.iter().flat_map(|program| program.ancestors());
    let fallback = || plugins_dir().with_file_name("target");
    above.find(|dir| marked(dir)).map_or_else(fallback, Path::to_owned)
}

fn run_cargo(dir: &Path) -> Result<()> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--release", "--locked", "--workspace", "--target", TARGET, "--target-dir"])
        .arg(dir);
    isolate(&mut command);
    command.env("CARGO_ENCODED_RUSTFLAGS", remap_flags());
    let shown = show(&command);
    let output = command.output().with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("the guests do not build ({}): {shown}\n{stderr}", output.status);
    }
    Ok(())
}

/// A command as a reader would type it, without the cleared environment.
fn show(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    format!("cd {} && {}", plugins_dir().display(), words.join(" "))
}

/// Frees a command from everything in the environment that would change what it builds or where.
fn isolate(command: &mut Command) {
    command.current_dir(plugins_dir());
    for (name, _) in env::vars_os().filter(|(name, _)| steers_a_build(name)) {
        command.env_remove(name);
    }
    // An empty wrapper also overrides one from a configuration file.
    command.env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
}

fn steers_a_build(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    match name {
        "RUSTC" | "RUSTDOC" | "RUSTFLAGS" | "RUSTC_WRAPPER" | "RUSTC_WORKSPACE_WRAPPER" => true,
        "CARGO" | "CARGO_HOME" => false,
        _ => name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept)),
    }
}

/// Remaps the checkout and the sources of dependencies, whose paths panics carry into the binary.
fn remap_flags() -> OsString {
    let mut flags = vec![remap(&plugins_dir(), "plugins")];
    let sources = cargo_home().map(|home| home.join("registry").join("src"));
    let indexes = sources.into_iter().filter_map(|sources| fs::read_dir(sources).ok()).flatten();
    let mut indexes: Vec<_> = indexes.filter_map(|entry| Some(entry.ok()?.path())).collect();
    // One order everywhere, because the order is part of cargo's fingerprint.
    indexes.sort();
    flags.extend(indexes.iter().map(|index| remap(index, "dependencies")));
    flags.join(OsStr::new("\u{1f}"))
}

fn remap(from: &Path, to: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(from);
    flag.push("=");
    flag.push(to);
    flag
}

fn cargo_home() -> Option<PathBuf> {
    let set = env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| Some(env::home_dir()?.join(".cargo")))
}

/// Copies what cargo made to files named as services are; untouched where nothing changed, replaced whole where it did.
fn publish(dir: &Path) -> Result<PathBuf> {
    let components = dir.join("components");
    fs::create_dir_all(&components)
        .with_context(|| format!("cannot create {}", components.display()))?;
    let made = dir.join(TARGET).join("release");
    for guest in PLUGINS.iter().chain(&FIXTURES).filter(|guest| guest.is_rust()) {
        let from = made.join(guest.artifact());
        let bytes = fs::read(&from).with_context(|| format!("cargo made no {}", from.display()))?;
        replace(&guest.built(&components), &bytes)?;
    }
    Ok(components)
}

/// Writes a file so that a reader sees the old or the new content, never a part.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let draft = path.with_extension("draft");
    fs::write(&draft, bytes).with_context(|| format!("cannot write {}", draft.display()))?;
    fs::rename(&draft, path).with_context(|| format!("cannot replace {}", path.display()))
}

/// Version and host out of `rustc --version --verbose`.
fn name_compiler(text: &str) -> String {
    let version = text.lines().next().unwrap_or_default();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    format!("{version} on {host}")
}

/// What rustc prints, as the nested cargo call would find it.
fn rustc(args: &[&str]) -> Option<String> {
    let mut command = Command::new("rustc");
    isolate(&mut command);
    let output = command.args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// WASI 0.2 components, straight from the linker.
const TARGET: &str = "wasm32-wasip2";

/// Settings of cargo that say where dependencies come from, not what is made of them.
const KEPT: [&str; 5] =
    ["CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_is_named_with_its_host() {
        let text = "rustc 1.95.0 (abc 2026-04-14)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n";
        assert_eq!(
            name_compiler(text),
            "rustc 1.95.0 (abc 2026-04-14) on x86_64-unknown-linux-gnu"
        );
    }

    #[test]
    fn flags_and_wrappers_of_the_caller_are_cleared_and_registries_kept() {
        let steers = |name: &str| steers_a_build(OsStr::new(name));
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_TARGET_DIR"] {
            assert!(steers(name), "{name}");
        }
        for name in ["CARGO_BUILD_TARGET", "CARGO_PROFILE_RELEASE_LTO", "CARGO_MANIFEST_DIR"] {
            assert!(steers(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_HTTP_PROXY", "CARGO_REGISTRIES_X_INDEX", "PATH"] {
            assert!(!steers(name), "{name}");
        }
    }
}
