//! Parts the arguments of `jackfield call` and `jackfield bench` before clap sees them.
//!
//! What stands behind the target is the user's: `--b 2` is a parameter, `-2` a number. Clap knows
//! only what it was told, so its options are picked out here, by its own tables, and the rest is
//! words and parameters. Pure: no I/O.

use std::ffi::OsString;

use clap::Command;
use clap::error::ErrorKind;
use jackfield_wire::ty::nearest;

/// The command line in two parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    /// What clap reads: everything, but of a call without words and parameters.
    pub(crate) for_clap: Vec<OsString>,
    /// Arguments by position.
    pub(crate) words: Vec<String>,
    /// Arguments by name, as typed.
    pub(crate) named: Vec<(String, String)>,
}

/// Parts `typed`; `command` is the whole built command.
///
/// # Errors
/// For text that is neither an option nor a word nor a parameter.
pub(crate) fn split(typed: Vec<OsString>, command: &Command) -> Result<Split, clap::Error> {
    let Some(at) = position_of_command(&typed, command) else {
        return Ok(whole(typed));
    };
    let call = CALLS.iter().find(|name| typed[at] == **name);
    match call.and_then(|name| command.find_subcommand(name)) {
        Some(call) => Splitter::new(typed, at, call).run(),
        None => Ok(whole(typed)),
    }
}

fn whole(typed: Vec<OsString>) -> Split {
    Split { for_clap: typed, ..Split::default() }
}

/// Where the command's name stands: behind options of every command and their values.
fn position_of_command(typed: &[OsString], command: &Command) -> Option<usize> {
    let mut at = 1;
    while at < typed.len() {
        let text = typed[at].to_str()?;
        match Known::find(text, command) {
            Some(option) => at += 1 + usize::from(option.takes_next),
            None if text.starts_with('-') => return None,
            None => return Some(at),
        }
    }
    None
}

/// The command that is typed; empty when there is none.
pub(crate) fn name_of_command(typed: &[OsString], command: &Command) -> String {
    let at = position_of_command(typed, command);
    let name = at.and_then(|at| typed[at].to_str());
    name.unwrap_or_default().to_owned()
}

/// The last value of an option, before clap reads the line: for what decides how it is read.
pub(crate) fn last_typed(typed: &[OsString], option: &str) -> Option<OsString> {
    let end = typed.iter().position(|word| word == "--").unwrap_or(typed.len());
    let mut words = typed[..end].iter();
    let mut last = None;
    while let Some(word) = words.next() {
        if word == option {
            last = words.next().cloned();
        } else if let Some(value) = word.to_str().and_then(|word| word.strip_prefix(option)) {
            last = value.strip_prefix('=').map(OsString::from).or(last);
        }
    }
    last
}

/// The commands that take a method's arguments.
const CALLS: [&str; 2] = ["call", "bench"];

/// An option that clap knows, as typed.
struct Known {
    /// Its value is the next argument.
    takes_next: bool,
}

impl Known {
    fn find(text: &str, command: &Command) -> Option<Self> {
        if let Some(long) = text.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name))?;
            return Some(Self { takes_next: value.is_none() && arg.get_action().takes_values() });
        }
        Self::find_short(text.strip_prefix('-')?, command)
    }

    /// `-v`, `-d JSON`, `-dJSON`, `-vd JSON`.
    fn find_short(letters: &str, command: &Command) -> Option<Self> {
        let mut rest = letters.chars();
        let mut found = None;
        while let Some(letter) = rest.next() {
            let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
            if arg.get_action().takes_values() {
                let takes_next = rest.as_str().is_empty();
                return Some(Self { takes_next });
            }
            found = Some(Self { takes_next: false });
        }
        found
    }
}

struct Splitter<'a> {
    split: Split,
    target: Option<OsString>,
    rest: std::iter::Peekable<std::vec::IntoIter<OsString>>,
    call: &'a Command,
}

impl<'a> Splitter<'a> {
    fn new(mut typed: Vec<OsString>, at: usize, call: &'a Command) -> Self {
        let rest = typed.split_off(at + 1).into_iter().peekable();
        Self { split: whole(typed), target: None, rest, call }
    }

    fn run(mut self) -> Result<Split, clap::Error> {
        while let Some(next) = self.rest.next() {
            let text = utf8(next)?;
            if text == "--" {
                self.take_words()?;
            } else if let Some(option) = Known::find(&text, self.call) {
                self.split.for_clap.push(text.into());
                if option.takes_next {
                    self.split.for_clap.extend(self.rest.next());
                }
            } else if let Some(parameter) = text.strip_prefix("--") {
                self.take_parameter(parameter)?;
            } else if is_word(&text) {
                self.take_word(text);
            } else {
                return Err(error(format!(
                    "{text:?} is no option of this command; write a word that begins with - after `--`"
                )));
            }
        }
        // Behind the options, where nothing of it can be taken for one.
        if let Some(target) = self.target {
            self.split.for_clap.extend([OsString::from("--"), target]);
        }
        Ok(self.split)
    }

    fn take_words(&mut self) -> Result<(), clap::Error> {
        while let Some(word) = self.rest.next() {
            let word = utf8(word)?;
            self.take_word(word);
        }
        Ok(())
    }

    fn take_word(&mut self, word: String) {
        match self.target {
            None => self.target = Some(word.into()),
            Some(_) => self.split.words.push(word),
        }
    }

    /// `--NAME=VALUE`, or `--NAME VALUE` with a value that is no further `--NAME`.
    fn take_parameter(&mut self, text: &str) -> Result<(), clap::Error> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => match self.rest.next() {
                Some(value) if !value.as_encoded_bytes().starts_with(b"--") => (text, utf8(value)?),
                _ => return Err(self.missing_value(text)),
            },
        };
        self.split.named.push((name.to_owned(), value));
        Ok(())
    }

    /// An unknown option at the end is more often a slip than a parameter.
    fn missing_value(&self, name: &str) -> clap::Error {
        let options = self.call.get_arguments().filter_map(clap::Arg::get_long);
        let slip = match nearest(name, options) {
            Some(option) => format!(" (did you mean the option --{option}?)"),
            None => String::new(),
        };
        error(format!("the parameter --{name} has no value; write --{name}=VALUE{slip}"))
    }
}

/// Whether text is a word although it may begin with a dash: `-2`, `-.5`, `-inf`, `-`.
fn is_word(text: &str) -> bool {
    match text.strip_prefix('-') {
        None | Some("") => true,
        Some(rest) => {
            rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                || rest.eq_ignore_ascii_case("inf")
                || rest.eq_ignore_ascii_case("infinity")
                || rest.eq_ignore_ascii_case("nan")
        }
    }
}

fn utf8(text: OsString) -> Result<String, clap::Error> {
    text.into_string()
        .map_err(|text| error(format!("{text:?} is not UTF-8; pass bytes by -d @FILE")))
}

fn error(message: String) -> clap::Error {
    clap::Error::raw(ErrorKind::UnknownArgument, message)
}
