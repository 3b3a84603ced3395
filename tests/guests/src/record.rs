//! The record beside the checked-in components: which rustc made them, of which sources, and their hashes.

use crate::sources::{Guest, all, inputs, plugins_dir, root_dir};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

/// The record's file name in `plugins/`.
pub(crate) const FILE: &str = "components.lock";

/// What the record says.
#[derive(Debug, PartialEq)]
pub(crate) struct Record {
    /// Which compiler, on which host.
    pub(crate) rustc: String,
    /// The hash over all inputs.
    pub(crate) sources: String,
    /// Component below `plugins/` → hash.
    pub(crate) components: BTreeMap<String, String>,
}

impl Record {
    /// Describes the components that are checked in now.
    pub(crate) fn of_now(rustc: &str) -> Result<Self> {
        let components = all().map(|guest| Ok((guest.relative(), hash_of(guest)?)));
        Ok(Self {
            rustc: rustc.into(),
            sources: hash_sources()?,
            components: components.collect::<Result<_>>()?,
        })
    }

    /// Reads the record.
    pub(crate) fn read() -> Result<Self> {
        let path = path();
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}; {REFRESH}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is damaged; {REFRESH}", path.display()))
    }

    /// Writes the record.
    pub(crate) fn write(&self) -> Result<()> {
        crate::cargo::replace(&path(), self.to_text().as_bytes())
    }

    fn to_text(&self) -> String {
        let mut text = format!("{HEADING}\n{}\nsources {}\n", self.rustc, self.sources);
        for (path, hash) in &self.components {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{hash}  {path}");
        }
        text
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let rustc =
            lines.next().filter(|line| line.starts_with("rustc ")).context("no rustc line")?;
        let sources = lines
            .next()
            .and_then(|line| line.strip_prefix("sources "))
            .context("no sources line")?;
        let mut components = BTreeMap::new();
        for line in lines {
            let Some((hash, path)) = line.split_once("  ") else {
                bail!("no hash and path in {line:?}")
            };
            components.insert(path.to_owned(), hash.to_owned());
        }
        Ok(Self { rustc: rustc.into(), sources: sources.into(), components })
    }
}

/// The SHA-256 of bytes in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash_of(guest: &Guest) -> Result<String> {
    let path = guest.checked_in();
    Ok(hash(&fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?))
}

/// One hash over the names and contents of all inputs.
pub(crate) fn hash_sources() -> Result<String> {
    let mut list = String::new();
    for input in inputs()? {
        let path = root_dir().join(&input);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // Writing to a String cannot fail.
        let _ = writeln!(list, "{}  {}", hash(&bytes), input.display());
    }
    Ok(hash(list.as_bytes()))
}

fn path() -> PathBuf {
    plugins_dir().join(FILE)
}

/// What to do about any difference.
pub(crate) const REFRESH: &str = "run: cargo run -p jackfield-guests -- refresh";

const HEADING: &str = "# Which rustc made the checked-in components, the hash of their sources, and their own hashes.\n\
    # Written by `cargo run -p jackfield-guests -- refresh`, verified by `-- check` and by the tests.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_being_written_and_read() {
        let components = [("a/a.wasm", "00"), ("b/b.wasm", "11")];
        let record = Record {
            rustc: "rustc 1.2.3 (abc)".into(),
            sources: "22".into(),
            components: components.map(|(path, hash)| (path.into(), hash.into())).into(),
        };
        assert_eq!(Record::parse(&record.to_text()).expect("parses"), record);
    }

    #[test]
    fn a_record_without_its_lines_is_refused() {
        for text in ["", "rustc 1\n", "rustc 1\nsources x\nhash path\n"] {
            assert!(Record::parse(text).is_err(), "{text:?}");
        }
    }
}
