//! The binary with an environment of its own, and what it ended with.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary in `folder`, which holds its state: nothing of the user's reaches it.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    command
        .args(args)
        .current_dir(folder)
        .env("JACKFIELD_STATE", folder.join("state"))
        .env_remove("JACKFIELD_CONFIG")
        .env_remove("JACKFIELD_REGISTRY")
        .env_remove("JACKFIELD_IDENTITY")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
