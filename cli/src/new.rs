//! `new`: writes a small project that builds with its ecosystem's ordinary tools.
//!
//! The templates are folders of their own, under `cli/templates/`, each a project that builds as it
//! is; only the name in them is replaced. Nothing that is there already is ever overwritten.

use std::fs;
use std::io;
use std::path::Path;

use jackfield_wire::name::BUILTIN_SERVICE;

use crate::args::{Language, NewArgs};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;
use crate::view::example;

/// Writes a project.
pub(crate) fn run(args: NewArgs, terminal: Terminal) -> Outcome {
    check_name(&args.name)?;
    let dir = args.dir.unwrap_or_default().join(&args.name);
    make_folder(&dir)?;
    for (file, text) in template(args.lang) {
        write(&dir.join(file), &text.replace(PLACEHOLDER, &args.name))?;
    }
    let shown = dir.display();
    terminal.out(format!("wrote the plugin {} to {shown}", args.name))?;
    let place = example::quote(&shown.to_string());
    let code = args.lang.code();
    terminal
        .out(format!("  {shown}/wit/plugin.wit says what it offers, {shown}/{code} does it"))?;
    terminal.out("next:")?;
    terminal.out(format!("  jackfield build {place}"))?;
    terminal.out(format!("  jackfield dev --watch {place}"))?;
    Ok(terminal
        .out(format!("  jackfield call {}.greet Ada    (in another terminal)", args.name))?)
}

/// A name that every part takes: cargo and npm (no capitals), and a service.
fn check_name(name: &str) -> Outcome {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let what = if name.is_empty() {
        "a plugin's name cannot be empty".into()
    } else if name == BUILTIN_SERVICE {
        format!("{name} is the service that every host answers itself")
    } else if name.len() > LONGEST {
        format!("a plugin's name has at most {LONGEST} characters, this one {}", name.len())
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(allowed) {
        format!(
            "{name:?} cannot be a plugin's name: it begins with a lower-case letter, and has \
                 lower-case letters, digits, `-` and `_`"
        )
    } else {
        return Ok(());
    };
    let problem = Problem::usage(what);
    Err(match suggestion(name) {
        Some(better) => problem.next(format!("for example: {better}")),
        None => problem.next("for example: hello"),
    })
}

/// The nearest name that could be one.
fn suggestion(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let plain = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "-");
    let plain = plain.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let plain = plain.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let plain: String = plain.chars().take(LONGEST).collect();
    (!plain.is_empty() && plain != BUILTIN_SERVICE).then_some(plain)
}

fn make_folder(dir: &Path) -> Outcome {
    let shown = dir.display();
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Problem::usage(format!("{shown} is there already, and is not empty"))
                .next("choose another name, or another folder by --dir DIR")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(dir).map_err(|error| unwritable(dir, &error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(Problem::usage(format!("{shown} is a file, or lies in one"))
                .next("choose another name, or another folder by --dir DIR"))
        }
        Err(error) => Err(unwritable(dir, &error)),
    }
}

fn write(file: &Path, text: &str) -> Outcome {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let new = fs::OpenOptions::new().write(true).create_new(true).open(file);
    new.and_then(|mut new| io::Write::write_all(&mut new, text.as_bytes()))
        .map_err(|error| unwritable(file, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(Exit::Denied, format!("cannot write {}: {error}", path.display()))
        .next("choose a folder that you may write to by --dir DIR")
}

/// The files of a template, by their places in the project.
macro_rules! files {
    ($folder:literal: $($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../templates/", $folder, "/", $file)))),*]
    };
}

impl Language {
    /// The file that does what the WIT says.
    fn code(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Js => "src/plugin.js",
            Self::Python => "app.py",
            Self::C => "src/plugin.c",
        }
    }
}

fn template(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::Rust => files!("rust": "Cargo.toml", ".cargo/config.toml", ".gitignore",
            "cases.json", "src/lib.rs", "wit/plugin.wit"),
        Language::Js => files!("js": "package.json", ".gitignore", "cases.json",
            "src/plugin.js", "wit/plugin.wit"),
        Language::Python => files!("python": "requirements.txt", ".gitignore", "cases.json",
            "app.py", "wit/plugin.wit"),
        Language::C => files!("c": "Makefile", ".gitignore", "cases.json", "src/plugin.c",
            "wit/plugin.wit"),
    }
}

/// What the templates are called.
const PLACEHOLDER: &str = "my-plugin";

/// What a service's name may have.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    fn refusal(name: &str) -> String {
        let problem = check_name(name).unwrap_err();
        let (what, next) = problem.text().unwrap();
        format!("{what} | {}", next.join(" "))
    }

    #[test]
    fn a_bad_name_is_told_a_better_one() {
        for name in ["hello", "a", "my-plugin2", "a_b"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        assert!(refusal("My Plugin!").ends_with("for example: my-plugin"));
        assert!(refusal("../etc").ends_with("for example: etc"));
        assert!(refusal("7up").ends_with("for example: up"));
        assert!(refusal("").ends_with("for example: hello"));
        assert!(refusal("jackfield").contains("every host"));
        assert!(refusal(&"a".repeat(65)).contains("64"));
        assert!(refusal("é").ends_with("for example: hello"));
    }

    #[test]
    fn every_suggestion_could_be_a_name() {
        for name in ["-A-", "9_x", "x y", "A_", "jackfield!"] {
            if let Some(better) = suggestion(name) {
                assert!(check_name(&better).is_ok(), "{name:?} → {better:?}");
            }
        }
    }

    #[test]
    fn every_file_of_a_template_is_written() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        for language in Language::value_variants() {
            let name = language.to_possible_value().unwrap().get_name().to_owned();
            let mut there = Vec::new();
            list(&root.join(&name), "", &mut there);
            let mut written: Vec<_> = template(*language).iter().map(|(file, _)| *file).collect();
            there.sort();
            written.sort();
            assert_eq!(there, written, "{name}");
            assert!(written.contains(&language.code()), "{name}");
        }
    }

    /// The files that belong to a template: not what building it there has left.
    fn list(folder: &Path, prefix: &str, into: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let made = ["target", "build", "node_modules", ".venv", "__pycache__", "Cargo.lock"];
            if made.contains(&&*name) || name.ends_with(".wasm") {
                continue;
            }
            let place = format!("{prefix}{name}");
            match entry.path().is_dir() {
                true => list(&entry.path(), &format!("{place}/"), into),
                false => into.push(place),
            }
        }
    }
}
