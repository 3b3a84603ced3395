//! What is typed by those who write plugins.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use jackfield_wire::units::parse_duration;

/// `new`
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The plugin's name, and its service's: lower-case letters, digits, `-` and `_`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The language
    #[arg(long, value_name = "rust|js|python|c")]
    pub(crate) lang: Language,
    /// The folder to make the project's folder in [default: this one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// The languages that there is a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// cargo and wit-bindgen
    Rust,
    /// npm and componentize-qjs
    #[value(alias = "javascript")]
    Js,
    /// pip and componentize-py
    #[value(alias = "py")]
    Python,
    /// make and clang
    C,
}

/// `wit`
#[derive(Debug, Args)]
pub(crate) struct WitArgs {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) dir: PathBuf,
}

/// `build`
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) dir: PathBuf,
}

/// `test`
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The component
    #[arg(value_name = "PLUGIN.wasm", value_hint = ValueHint::FilePath)]
    pub(crate) plugin: PathBuf,
    /// The calls, and what each is to come to
    #[arg(value_name = "CASES.json", value_hint = ValueHint::FilePath)]
    pub(crate) cases: PathBuf,
    /// How long a call may take whose case names no timeout [default: the plugin's deadline]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}
