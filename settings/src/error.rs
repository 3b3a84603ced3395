//! What is wrong with a text, and where.

use std::fmt;

/// A place in a text, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character of the line.
    pub column: usize,
}

impl Place {
    /// Where byte `at` of `text` is; its end when there are fewer.
    pub(crate) fn of(text: &str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |feed| feed + 1);
        Self { line, column: before[start..].chars().count() + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to write instead.
    pub text: String,
}

/// Everything that is wrong with a manifest or with a host's settings; there is at least one
/// problem. The caller changes the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    problems: Vec<Problem>,
    more: usize,
}

/// What is wrong so far, of a text that may have nothing right in it.
#[derive(Debug, Default)]
pub struct Problems {
    all: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// One more; `place` is asked only when there is room for it.
    pub fn add(&mut self, place: impl FnOnce() -> Place, text: impl Into<String>) {
        if self.all.len() >= MAX_SHOWN {
            self.more += 1;
            return;
        }
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        let problem = Problem { place: place(), text };
        if !self.all.contains(&problem) {
            self.all.push(problem);
        }
    }

    /// `Ok` without problems.
    ///
    /// # Errors
    /// What was added, in the order of the text.
    pub fn check(mut self) -> Result<(), SettingsError> {
        if self.all.is_empty() {
            return Ok(());
        }
        self.all.sort_by_key(|problem| problem.place);
        Err(SettingsError { problems: self.all, more: self.more })
    }
}

impl SettingsError {
    /// What is wrong, in the order of the text: the first twenty that were found.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many more there are.
    pub fn more(&self) -> usize {
        self.more
    }
}

impl std::error::Error for SettingsError {}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { place, text }) in self.problems.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{place}: {text}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Problems told at once: who mends these sees the others at the next look.
const MAX_SHOWN: usize = 20;

/// Bytes of one, which quotes no more than 200 of the text itself.
const MAX_TEXT: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_editors_count_them() {
        let text = "a = 1\nöb = 2";
        assert_eq!(Place::of(text, 0), Place { line: 1, column: 1 });
        assert_eq!(Place::of(text, text.find('b').unwrap()), Place { line: 2, column: 2 });
        assert_eq!(Place::of(text, 999), Place { line: 2, column: 7 });
    }
}
