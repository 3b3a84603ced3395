//! Reads a TOML text key by key and collects everything that is wrong with it.
//!
//! A key is known because somebody asks for it: what is left over at the end of a table is an
//! error with the nearest name, and no list of names has to be kept beside the code that reads.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use jackfield_wire::ty::nearest;
use jackfield_wire::units;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Place, Problems, SettingsError};

/// A text and what is wrong with it so far.
pub struct Reader<'i> {
    text: &'i str,
    problems: RefCell<Problems>,
    /// The paths that were asked for.
    known: RefCell<Vec<String>>,
}

impl<'i> Reader<'i> {
    /// Reads `text` by `read`, which gives what the text means.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read<T>(text: &'i str, read: impl FnOnce(Table<'_>) -> T) -> Result<T, SettingsError> {
        Self::read_keys(text, read).0
    }

    /// The same, with the paths of all keys that `read` knows.
    pub fn read_keys<T>(
        text: &'i str,
        read: impl FnOnce(Table<'_>) -> T,
    ) -> (Result<T, SettingsError>, Vec<String>) {
        let reader = Self { text, problems: RefCell::default(), known: RefCell::default() };
        if text.len() > MAX_TEXT {
            let text = format!("the text has {} bytes, the limit is {MAX_TEXT}", text.len());
            reader.problem(0, text);
            return (Err(reader.end().expect_err("there is a problem")), Vec::new());
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            reader.problem(error.span().map_or(0, |span| span.start), one_line(error.message()));
        }
        let root = root.into_inner();
        let value = read(Table::new(&reader, String::new(), Some(&root)));
        let known = reader.known.take();
        (reader.end().map(|()| value), known)
    }

    fn problem(&self, at: usize, text: String) {
        self.problems.borrow_mut().add(|| Place::of(self.text, at), text);
    }

    fn end(self) -> Result<(), SettingsError> {
        self.problems.into_inner().check()
    }
}

/// A table of the text; also one that is not there, which has no keys.
pub struct Table<'r> {
    reader: &'r Reader<'r>,
    path: String,
    entries: Option<&'r DeTable<'r>>,
    asked: RefCell<Vec<String>>,
}

impl<'r> Table<'r> {
    fn new(reader: &'r Reader<'_>, path: String, entries: Option<&'r DeTable<'_>>) -> Self {
        Self { reader, path, entries, asked: RefCell::default() }
    }

    /// What the text says of `key`, if anything.
    pub fn get(&self, key: &str) -> Option<Item<'r>> {
        let path = join(&self.path, key);
        self.reader.known.borrow_mut().push(path.clone());
        self.asked.borrow_mut().push(key.to_owned());
        let (name, value) = self.entries?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Item { reader: self.reader, path, key_at: name.span().start, value })
    }

    /// The table `key`; an empty one when there is none.
    pub fn table(&self, key: &str) -> Table<'r> {
        let path = join(&self.path, key);
        let entries = self.get(key).and_then(|item| item.entries("a table"));
        Table::new(self.reader, path, entries)
    }

    /// Says what is wrong at a place of the text that was read before.
    pub fn wrong_at(&self, place: Place, text: impl Into<String>) {
        self.reader.problems.borrow_mut().add(|| place, text);
    }

    /// Every key that nobody asked for is an error.
    pub fn finish(self) {
        let asked = self.asked.into_inner();
        for (name, _) in self.entries.into_iter().flatten() {
            if asked.iter().any(|asked| asked == name.get_ref()) {
                continue;
            }
            let mut text = format!("unknown key `{}`", shown(&join(&self.path, name.get_ref())));
            match nearest(name.get_ref(), asked.iter().map(String::as_str)) {
                Some(near) => text.push_str(&format!(", did you mean `{near}`?")),
                None => text.push_str(&format!("; there is: {}", asked.join(", "))),
            }
            self.reader.problem(name.span().start, text);
        }
    }
}

/// A value of the text and where it is.
#[derive(Clone)]
pub struct Item<'r> {
    reader: &'r Reader<'r>,
    path: String,
    key_at: usize,
    value: &'r Spanned<DeValue<'r>>,
}

impl<'r> Item<'r> {
    /// Where its key is; of an element, where it is itself.
    pub fn place(&self) -> Place {
        Place::of(self.reader.text, self.key_at)
    }

    /// Says what is wrong with it.
    pub fn wrong(&self, text: impl std::fmt::Display) {
        let text = format!("`{}`: {text}", shown(&self.path));
        self.reader.problem(self.value.span().start, text);
    }

    /// Gives what `result` has, or says what is wrong.
    pub fn accept<T, E: std::fmt::Display>(&self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.wrong(error)).ok()
    }

    /// It as text.
    pub fn string(&self) -> Option<&'r str> {
        let text = self.value.get_ref().as_str();
        if text.is_none() {
            self.other_type("text in quotes");
        }
        text
    }

    /// It as somebody would type it: text, a number, `true` or `false`.
    pub fn typed(&self) -> Option<String> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::Integer(_) => {
                let number = self.integer().map(|number| number.to_string());
                if number.is_none() {
                    self.wrong("no key takes a number that long");
                }
                number
            }
            _ => {
                self.other_type("text, a number, true or false");
                None
            }
        }
    }

    /// It as true or false.
    pub fn boolean(&self) -> Option<bool> {
        let value = self.value.get_ref().as_bool();
        if value.is_none() {
            self.other_type("true or false");
        }
        value
    }

    /// It as a whole number.
    pub fn number(&self, range: &Range) -> Option<u64> {
        let Some(number) = self.integer() else {
            self.other_type("a whole number");
            return None;
        };
        self.within(number, range, |number| number.to_string())
    }

    /// Bytes: a number, or text with a unit.
    pub fn size(&self, range: &Range) -> Option<u64> {
        let size = match (self.integer(), self.value.get_ref().as_str()) {
            (Some(bytes), _) => bytes,
            (None, Some(text)) => i128::from(self.accept(units::parse_size(text))?),
            (None, None) => {
                self.other_type("a size such as \"64 MiB\"");
                return None;
            }
        };
        self.within(size, range, units::show_size)
    }

    /// It as a duration, to the millisecond.
    pub fn duration(&self, range: &Range) -> Option<Duration> {
        let Some(text) = self.value.get_ref().as_str() else {
            self.other_type("a duration such as \"250 ms\"");
            return None;
        };
        let duration = self.accept(units::parse_duration(text))?;
        let ms = i128::try_from(duration.as_millis()).unwrap_or(i128::MAX);
        let show = |ms| units::show_duration(Duration::from_millis(ms));
        self.within(ms, range, show).map(Duration::from_millis)
    }

    /// The elements of an array.
    pub fn elements(&self) -> Option<Vec<Item<'r>>> {
        let Some(array) = self.value.get_ref().as_array() else {
            self.other_type("an array in [ ]");
            return None;
        };
        let element = |(index, value): (usize, &'r Spanned<DeValue<'r>>)| Item {
            reader: self.reader,
            path: format!("{}[{index}]", self.path),
            key_at: value.span().start,
            value,
        };
        Some(array.iter().enumerate().map(element).collect())
    }

    /// It as a table with keys of ours.
    pub fn table(&self, form: &str) -> Option<Table<'r>> {
        let entries = self.entries(form)?;
        Some(Table::new(self.reader, self.path.clone(), Some(entries)))
    }

    /// Its keys, which the author chooses, and their values.
    pub fn pairs(&self, form: &str) -> Option<Vec<(String, Item<'r>)>> {
        let entries = self.entries(form)?;
        let pair = |(name, value): (&Spanned<_>, &'r Spanned<DeValue<'r>>)| {
            let name: &std::borrow::Cow<'_, str> = name.get_ref();
            let path = join(&self.path, name);
            let item = Item { reader: self.reader, path, key_at: value.span().start, value };
            (name.to_string(), item)
        };
        Some(entries.iter().map(pair).collect())
    }

    /// Whether it is an array.
    pub fn is_array(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// Whether it is a table.
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    fn entries(&self, form: &str) -> Option<&'r DeTable<'r>> {
        let entries = self.value.get_ref().as_table();
        if entries.is_none() {
            self.other_type(form);
        }
        entries
    }

    fn integer(&self) -> Option<i128> {
        let integer = self.value.get_ref().as_integer()?;
        i128::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    fn within(&self, number: i128, range: &Range, show: impl Fn(u64) -> String) -> Option<u64> {
        let fits = u64::try_from(number).ok().filter(|number| range.of.contains(number));
        if fits.is_none() {
            let (least, most) = (show(*range.of.start()), show(*range.of.end()));
            self.wrong(format!("must be from {least} to {most}: {}", range.why));
        }
        fits
    }

    fn other_type(&self, wanted: &str) {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format!("expected {wanted}, got {found}"));
    }
}

/// What a number may be, and why no less and no more.
pub struct Range {
    /// The least and the most.
    pub of: RangeInclusive<u64>,
    /// Why, for those who gave something else.
    pub why: &'static str,
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A path that an author wrote, fit for one line of a log.
fn shown(path: &str) -> String {
    let cut: String = path.chars().take(MAX_PATH).collect();
    one_line(&cut)
}

fn one_line(text: &str) -> String {
    jackfield_wire::status::printable(text).replace('\n', " ")
}

/// Bytes of a text: a manifest has some hundred.
pub const MAX_TEXT: usize = 64 << 10;

/// Characters shown of a path.
const MAX_PATH: usize = 80;
