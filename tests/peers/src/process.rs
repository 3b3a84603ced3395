//! Processes: what is built, and what is started and never outlives the run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::options::Options;
use crate::peers::Peer;

/// Builds the programs, as many as can be, and says why for those that cannot. All in one command:
/// each by itself would have other features and build what they share again and again.
pub(crate) fn build_peers(peers: &[&Peer]) -> Result<BTreeMap<&'static str, String>> {
    let packages: BTreeSet<&str> = peers.iter().map(|peer| peer.package).collect();
    eprintln!("building {}", Vec::from_iter(packages.iter().copied()).join(", "));
    let mut args = vec!["--keep-going", "--message-format=json-render-diagnostics"];
    args.extend(packages.iter().flat_map(|package| ["-p", package]));
    let output = cargo(&here(), &args)?;
    if !output.status.success() {
        // For a person: which lines belong to which program only a person can tell.
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let built = executables(&String::from_utf8_lossy(&output.stdout));
    let failed = packages.into_iter().filter(|package| !built.contains(*package));
    let why = format!("not built: {}", first_error(&output));
    Ok(failed.map(|package| (package, why.clone())).collect())
}

/// The programs that a build has made or found unchanged, out of cargo's messages. A program that
/// lies there from before and is not among them is out of date.
fn executables(messages: &str) -> BTreeSet<String> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let paths = artifacts.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    paths.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
}

/// The binary to measure: the one that was named, or the release build of the tree around.
pub(crate) fn build_jackfield(options: &Options) -> Result<PathBuf> {
    if let Some(binary) = &options.jackfield {
        return binary.canonicalize().with_context(|| format!("no binary {}", binary.display()));
    }
    eprintln!("building jackfield");
    let tree = here().join("../..");
    let output = cargo(&tree, &["--bin", "jackfield"])?;
    ensure!(output.status.success(), "jackfield is not built: {}", first_error(&output));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(tree.join("target"), PathBuf::from);
    Ok(target.join("release/jackfield").canonicalize()?)
}

/// The program of a package, beside this one.
pub(crate) fn program(package: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().context("a program is in a folder")?.join(package))
}

/// The folder of this workspace.
pub(crate) fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn cargo(folder: &Path, args: &[&str]) -> Result<Output> {
    Command::new("cargo")
        .args(["build", "--release", "--quiet"])
        .args(args)
        .current_dir(folder)
        .output()
        .context("cannot run cargo")
}

fn first_error(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().find(|line| line.starts_with("error")).unwrap_or("cargo failed").to_owned()
}

/// A process that ends with its stdin, and is killed when nobody holds it any more.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// The first line that it printed.
    pub(crate) line: String,
}

impl Process {
    /// Starts it and waits for its first line.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut process = Self { child, line: String::new() };
        let mut lines = BufReader::new(stdout);
        lines.read_line(&mut process.line)?;
        ensure!(!process.line.is_empty(), "{command:?} ended before it was ready");
        // Nothing else is expected; it must not block on a full pipe all the same.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(process)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its memory that is resident, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(&path).with_context(|| format!("no {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        Ok(kib.context("no VmRSS")? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end, and kills it when that does not come.
pub(crate) fn run(mut command: Command, limit: Duration) -> Result<String> {
    let mut child = command
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let end = Instant::now() + limit;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() > end => {
                child.kill()?;
                child.wait()?;
                bail!("did not end within {limit:?}");
            }
            // A figure is one line: it fits in the pipe, so nobody has to read meanwhile.
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let mut output = Output { status, stdout: Vec::new(), stderr: Vec::new() };
    child.stdout.take().context("piped")?.read_to_end(&mut output.stdout)?;
    child.stderr.take().context("piped")?.read_to_end(&mut output.stderr)?;
    let said = String::from_utf8_lossy(&output.stderr);
    // The cause is at the end: programs print an error as a list.
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    ensure!(status.success(), "failed: {}", said.join(" "));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_comes_out_of_the_messages_of_cargo() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
            {"reason":"compiler-artifact","executable":"/target/release/peer-tonic","fresh":true}
            not JSON
            {"reason":"build-finished","success":false}"#;
        assert_eq!(Vec::from_iter(executables(messages)), ["peer-tonic"]);
    }
}
