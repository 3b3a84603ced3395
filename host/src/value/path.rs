//! Where in the arguments a reader is, and what it found wrong there.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display, Write as _};

use jackfield_wire::Type;
use serde::de;

/// One step into a JSON value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'t> {
    /// A field of an object, a case, a parameter.
    Key(&'t str),
    /// An element of an array.
    Index(usize),
}

/// What the readers of one call's arguments share: the path from the root, and the first fault.
///
/// A reader that fails leaves the path where it is, so that a fault that only the JSON parser
/// sees (a missing comma) can be told with its place as well.
#[derive(Debug, Default)]
pub(super) struct Context<'t> {
    path: RefCell<Vec<Step<'t>>>,
    fault: RefCell<Option<String>>,
    values: Cell<usize>,
}

impl<'t> Context<'t> {
    /// Runs `read` one step further in; the step stays on the path when it fails.
    pub(super) fn within<T, E>(
        &self,
        step: Step<'t>,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.path.borrow_mut().push(step);
        let value = read()?;
        self.path.borrow_mut().pop();
        Ok(value)
    }

    /// Notes a fault at this place, and makes the parser stop.
    pub(super) fn refuse<E: de::Error>(&self, what: impl Display) -> E {
        let text = format!("at {}: {what}", self.place());
        self.fault.borrow_mut().get_or_insert(text);
        E::custom("")
    }

    /// Notes a fault of the arguments as a whole, and makes the parser stop.
    pub(super) fn refuse_whole<E: de::Error>(&self, text: String) -> E {
        self.fault.borrow_mut().get_or_insert(text);
        E::custom("")
    }

    /// Notes that `ty` was expected here.
    pub(super) fn mismatch<E: de::Error>(&self, ty: &Type, got: impl Display) -> E {
        self.refuse(format_args!("expected {}, got {got}", shown_type(ty)))
    }

    /// Counts values.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn count<E: de::Error>(&self, more: usize) -> Result<(), E> {
        self.values.set(self.values.get().saturating_add(more));
        if self.values.get() > MAX_VALUES {
            return Err(self.refuse(format_args!("more than {MAX_VALUES} values in one call")));
        }
        Ok(())
    }

    /// The text of what went wrong: the fault, or what the parser says of malformed text.
    pub(super) fn explain(&self, error: &serde_json::Error) -> String {
        match self.fault.take() {
            Some(fault) => fault,
            None if error.is_data() => {
                let text = error.to_string();
                let what = text.split(" at line ").next().unwrap_or_default();
                format!("at {}: {what}", self.place())
            }
            None => format!("at {}: not valid JSON: {error}", self.place()),
        }
    }

    fn place(&self) -> String {
        let mut text = String::from("$");
        for step in self.path.borrow().iter() {
            let written = match step {
                Step::Key(name) => write!(text, ".{name}"),
                Step::Index(index) => write!(text, "[{index}]"),
            };
            written.expect("writing into a String cannot fail");
        }
        text
    }
}

/// A string as an error shows it: escaped, in quotes, cut when long.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// A type as an error shows it: with its range where a number can fall out of it, cut when long.
fn shown_type(ty: &Type) -> String {
    let text = ty.to_wit();
    match (ty.range(), text.char_indices().nth(SHOWN_TYPE_CHARS)) {
        (Some((min, max)), _) if !matches!(ty, Type::S64 | Type::U64) => {
            format!("{text} ({min} to {max})")
        }
        (_, Some((end, _))) => format!("{}…", &text[..end]),
        _ => text,
    }
}

/// Enough of a string to recognise it in one line of an error.
const SHOWN_CHARS: usize = 40;

/// Types without a name are written out, and can be any length.
const SHOWN_TYPE_CHARS: usize = 120;

/// A value takes up to 40 bytes in memory and as little as two in JSON: without a limit of its
/// own, a request within its size limit could take twenty times as much memory.
const MAX_VALUES: usize = 2_000_000;
