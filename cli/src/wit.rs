//! `wit`: gives a project what Jackfield offers to plugins, package `jackfield:plugin`.
//!
//! It is the WIT of this very program's hosts, in one file of its own among the project's
//! dependencies. An older one is replaced; nothing else in the project is touched.

use std::fs;
use std::path::Path;

use crate::args::WitArgs;
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::project::{Kind, Project};
use crate::terminal::Terminal;

/// Writes the file, and says what to do with it.
pub(crate) fn run(args: WitArgs, terminal: Terminal) -> Outcome {
    let project = Project::at(&args.dir)?;
    write(&project.dir().join(FILE)).map_err(|(path, error)| {
        Problem::new(Exit::Denied, format!("cannot write {}: {error}", path.display()))
            .next("let this user write there")
    })?;
    terminal.out(format!("wrote {PACKAGE} to {}", args.dir.join(FILE).display()))?;
    terminal.out("next, into the world in wit/, what the plugin wants of these:")?;
    for (line, what) in WORLDS {
        terminal.out(format!("  {line:<42}  {what}"))?;
    }
    if project.kind() == Kind::Rust {
        terminal.out("in src/lib.rs:")?;
        terminal.out("  wit_bindgen::generate!({ world: …, path: \"wit\", generate_all });")?;
    }
    terminal.out(format!("and, if it calls others, into {}.toml:", project.name()))?;
    terminal.out("  [grants]")?;
    Ok(terminal.out("  services = [\"NAME\"]  # those that it may call")?)
}

/// Writes the file whole, or says where it went wrong.
fn write(file: &Path) -> Result<(), (&Path, std::io::Error)> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).map_err(|error| (folder, error))?;
    fs::write(file, text()).map_err(|error| (file, error))
}

/// The whole package in one file, which every tool takes.
fn text() -> String {
    const PARTS: [&str; 5] = [
        include_str!("../../wit/package.wit"),
        include_str!("../../wit/call.wit"),
        include_str!("../../wit/log.wit"),
        include_str!("../../wit/services.wit"),
        include_str!("../../wit/worlds.wit"),
    ];
    PARTS.join("\n")
}

/// Where tools look for the packages that a project's own one uses.
const FILE: &str = "wit/deps/jackfield-plugin.wit";

const PACKAGE: &str = "jackfield:plugin@0.1.0";

/// The worlds, as a project includes them.
const WORLDS: [(&str, &str); 3] = [
    ("include jackfield:plugin/plugin@0.1.0;", "who calls, the time left, the trace, the log"),
    ("include jackfield:plugin/caller@0.1.0;", "the same, and calls of other services"),
    ("include jackfield:plugin/tested@0.1.0;", "a test of its own, before a version serves"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_world_can_be_included_and_there_are_no_others() {
        let mut resolve = wit_bindgen_core::wit_parser::Resolve::default();
        let package = resolve.push_str("jackfield-plugin.wit", &text()).unwrap();
        let there: Vec<String> = resolve.packages[package]
            .worlds
            .keys()
            .map(|world| format!("include jackfield:plugin/{world}@0.1.0;"))
            .collect();
        assert_eq!(there, WORLDS.map(|(line, _)| line));
        assert_eq!(resolve.packages[package].name.to_string(), PACKAGE);
        let project = format!("package local:plugin; world plugin {{ {} }}", there.join(" "));
        resolve.push_str("plugin.wit", &project).unwrap();
    }
}
