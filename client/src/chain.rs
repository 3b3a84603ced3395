//! An error with its causes, as one line.

use std::error::Error;
use std::fmt::Write;

/// `error: cause: cause`.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        _ = write!(text, ": {error}"); // Writing to a string cannot fail.
        cause = error.source();
    }
    text
}
