//! Keeps the checked-in components true to their sources: a machine without the target runs what the sources say.

use crate::cargo::{Toolchain, build, replace};
use crate::record::{REFRESH, Record, hash};
use crate::sources::{Guest, all, plugins_dir};
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;

/// How much [`check`] could prove.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Every Rust component was built again and came out the same, byte for byte.
    Rebuilt,
    /// Recorded hashes match sources and components; nothing was rebuilt, for this reason.
    RecordOnly(String),
}

/// Checks that the checked-in components match the record, the record the sources, and, where the target and the same rustc
/// are here, that building them again makes the same bytes.
///
/// # Errors
/// They do not: says which, and the command that makes them match.
pub fn check() -> Result<Verdict> {
    let record = Record::read()?;
    compare(&record, &Record::of_now(&record.rustc)?)?;
    let rustc = match Toolchain::find() {
        Toolchain::Present { rustc } => rustc,
        Toolchain::Absent { reason } => return Ok(Verdict::RecordOnly(reason)),
    };
    if rustc != record.rustc {
        return Ok(Verdict::RecordOnly(format!(
            "this is {rustc}, they were made by {}",
            record.rustc
        )));
    }
    let dir = build()?;
    for guest in all().filter(|guest| guest.is_rust()) {
        let built =
            fs::read(guest.built(&dir)).with_context(|| format!("no {} was built", guest.name))?;
        if Some(&hash(&built)) != record.components.get(&guest.relative()) {
            bail!("plugins/{} is not what its sources make; {REFRESH}", guest.relative());
        }
    }
    Ok(Verdict::Rebuilt)
}

/// Builds every component, replaces the checked-in ones and writes the record. Returns notes about what was left alone.
///
/// # Errors
/// The target is missing, or something does not build.
pub fn refresh() -> Result<Vec<String>> {
    let rustc = match Toolchain::find() {
        Toolchain::Present { rustc } => rustc,
        Toolchain::Absent { reason } => bail!("cannot build the guests here: {reason}"),
    };
    let dir = build()?;
    let mut notes = Vec::new();
    for guest in all() {
        if guest.is_rust() {
            let built = guest.built(&dir);
            let bytes =
                fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
            replace(&guest.checked_in(), &bytes)?;
        } else {
            notes.extend(run_script(guest)?);
        }
    }
    Record::of_now(&rustc)?.write()?;
    Ok(notes)
}

fn compare(record: &Record, now: &Record) -> Result<()> {
    for (path, hash) in &now.components {
        match record.components.get(path) {
            Some(recorded) if recorded == hash => {}
            Some(_) => bail!("plugins/{path} differs from its recorded hash; {REFRESH}"),
            None => bail!("plugins/{path} is not in the record; {REFRESH}"),
        }
    }
    if let Some(path) = record.components.keys().find(|path| !now.components.contains_key(*path)) {
        bail!("the record lists plugins/{path}, which no guest has; {REFRESH}");
    }
    if record.sources != now.sources {
        bail!("the sources in plugins/ or wit/ changed since the components were made; {REFRESH}");
    }
    Ok(())
}

/// Builds a guest that cargo cannot build; a note where its tools are missing and the old component stays.
fn run_script(guest: &Guest) -> Result<Option<String>> {
    let script = plugins_dir().join(guest.name).join("build.sh");
    let output = Command::new(&script)
        .output()
        .with_context(|| format!("cannot run {}", script.display()))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(None),
        Some(TOOL_MISSING) => {
            Ok(Some(format!("kept the old {}: {}", guest.relative(), stderr.trim())))
        }
        _ => bail!("{} failed ({})\n{stderr}", script.display(), output.status),
    }
}

/// The exit status of a build script that lacks a tool.
const TOOL_MISSING: i32 = 3;
