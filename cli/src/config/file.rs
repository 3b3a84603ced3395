//! A settings file, read whole: what it gives for options of the command line, and for hosts.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::builder::ValueParser;
use clap::error::ContextKind;
use clap::{Arg, Command, ValueHint};
use jackfield_host::HostFile;
use jackfield_settings::{Item, MAX_TEXT, Place, Reader, SettingsError};

use super::section::{Section, is_list, is_switch, key};
use crate::exit::Exit;
use crate::problem::Problem;

/// A settings file that holds.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    given: Vec<Given>,
    /// The limits of hosts, and what plugins get.
    pub(crate) host: HostFile,
}

/// What the file says of one option.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    section: Section,
    key: String,
    pub(crate) values: Vec<OsString>,
    pub(crate) place: Place,
}

/// Why a file was not taken.
#[derive(Debug)]
pub(crate) enum Unread {
    Io(io::Error),
    Wrong(SettingsError),
}

impl ConfigFile {
    /// Reads a file; relative paths in it begin at its folder.
    pub(crate) fn read(path: &Path) -> Result<Self, Unread> {
        let text = text(path).map_err(Unread::Io)?;
        let path = std::path::absolute(path).map_err(Unread::Io)?;
        let folder = path.parent().unwrap_or(&path);
        let (given, host) = parse(&text, folder).map_err(Unread::Wrong)?;
        Ok(Self { path, given, host })
    }

    /// What it says of an option for the commands of a section.
    pub(crate) fn given(&self, section: Section, key: &str) -> Option<&Given> {
        let of = |wanted| move |g: &&Given| g.section == wanted && g.key == key;
        let own = self.given.iter().find(of(section));
        own.or_else(|| self.given.iter().find(of(Section::Common)))
    }

    /// How many options it gives in a section.
    pub(crate) fn count(&self, section: Section) -> usize {
        self.given.iter().filter(|given| given.section == section).count()
    }
}

impl Unread {
    /// In words, for a command that cannot go on without the file.
    pub(crate) fn problem(&self, path: &Path) -> Problem {
        let path = path.display();
        match self {
            Self::Io(error) => {
                Problem::new(Exit::NotFound, format!("cannot read the settings {path}: {error}"))
                    .next("name another file by --config FILE or JACKFIELD_CONFIG")
            }
            Self::Wrong(error) => Problem::usage(format!("{path}: {error}"))
                .next(format!("see everything that is wrong: jackfield config check {path}")),
        }
    }
}

/// No more of it than can be a settings file.
fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_TEXT as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn parse(text: &str, folder: &Path) -> Result<(Vec<Given>, HostFile), SettingsError> {
    Reader::read(text, |root| {
        let mut given = Vec::new();
        let mut host = HostFile::default();
        for section in Section::ALL {
            let table = root.table(section.name());
            for arg in section.options() {
                let key = key(&arg);
                let Some(item) = table.get(&key) else { continue };
                if let Some(values) = values(&arg, &item, folder) {
                    given.push(Given { section, key, values, place: item.place() });
                }
            }
            if section == Section::Host {
                host = HostFile::read(&table, root.table("plugins"), folder);
            }
            table.finish();
        }
        root.finish();
        (given, host)
    })
}

/// What would have been typed.
fn values(arg: &Arg, item: &Item<'_>, folder: &Path) -> Option<Vec<OsString>> {
    if is_switch(arg) {
        return Some(vec![item.boolean()?.to_string().into()]);
    }
    let mut values = Vec::new();
    for (item, text) in texts(arg, item)? {
        let value = absolute(arg, text, folder);
        item.accept(fits(arg, &value))?;
        values.push(value);
    }
    Some(values)
}

/// Each text, and where it stands.
fn texts<'r>(arg: &Arg, item: &Item<'r>) -> Option<Vec<(Item<'r>, String)>> {
    let is_map = arg.get_value_names().is_some_and(|names| names == ["KEY=VALUE"]);
    let mut texts = Vec::new();
    if is_list(arg) && item.is_array() {
        for item in item.elements()? {
            let text = item.typed()?;
            texts.push((item, text));
        }
    } else if is_map && item.is_table() {
        for (name, item) in item.pairs("a table of texts")? {
            let text = format!("{name}={}", item.typed()?);
            texts.push((item, text));
        }
    } else {
        texts.push((item.clone(), item.typed()?));
    }
    Some(texts)
}

/// A path begins at the file's folder, wherever the command is run.
fn absolute(arg: &Arg, text: String, folder: &Path) -> OsString {
    let is_path = matches!(arg.get_value_hint(), ValueHint::DirPath | ValueHint::FilePath);
    match text.strip_prefix("sqlite:").filter(|path| !path.is_empty() && arg.get_id() == "store") {
        Some(path) => {
            let mut value = OsString::from("sqlite:");
            value.push(folder.join(path));
            value
        }
        None if is_path && !text.is_empty() => folder.join(text).into(),
        None => text.into(),
    }
}

/// Whether the option takes the value, by its own reader.
fn fits(arg: &Arg, value: &OsStr) -> Result<(), String> {
    let parser: ValueParser = arg.get_value_parser().clone();
    let mut probe = Arg::new("value").value_parser(parser);
    if let Some(delimiter) = arg.get_value_delimiter() {
        probe = probe.value_delimiter(delimiter).num_args(1..);
    }
    let command = Command::new("probe").no_binary_name(true).disable_help_flag(true).arg(probe);
    let Err(error) = command.try_get_matches_from([OsStr::new("--"), value]) else {
        return Ok(());
    };
    let source = std::error::Error::source(&error).map(ToString::to_string);
    Err(match (source, error.get(ContextKind::ValidValue)) {
        (Some(source), _) => format!("{value:?} does not fit: {source}"),
        (None, Some(valid)) => format!("{value:?} is none of: {valid}"),
        (None, None) => format!("{value:?} does not fit"),
    })
}
