//! Reads what people write in TOML: manifests of plugins, and the settings file of every role.
//!
//! Pure: text in, values or every problem with its place out. It knows no key itself: a key is
//! known because a reader asks for it. The text may be anybody's: it never panics, and no more than
//! 64 KiB of it is read.

mod error;
mod reader;

pub use error::{Place, Problem, Problems, SettingsError};
pub use reader::{Item, MAX_TEXT, Range, Reader, Table};
