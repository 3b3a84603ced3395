//! What plugins are built with. Nobody needs all of it, and a host needs none.

use std::path::Path;

use super::finding::Finding;
use crate::build::{self, MAKE, NODE, PYTHON};

pub(super) async fn look() -> Vec<Finding> {
    let mut all = vec![rust().await];
    all.extend(LANGUAGES.iter().map(Language::look));
    all
}

async fn rust() -> Finding {
    match build::check_rust(Path::new(".")).await {
        Ok(()) => Finding::ok(ABOUT, "rust: cargo and the target wasm32-wasip2"),
        Err(problem) => {
            let (what, next) = problem.text().unwrap_or_default();
            let finding = Finding::note(ABOUT, format!("rust: {what}"));
            let commands = next.iter().map(|step| step.trim_start_matches("install it: "));
            commands.fold(finding, Finding::mend)
        }
    }
}

/// What one language is built with.
struct Language {
    name: &'static str,
    /// Each program by all its names, the usual one first.
    programs: &'static [&'static [&'static str]],
    install: &'static [&'static str],
}

impl Language {
    fn look(&self) -> Finding {
        let missing: Vec<&str> = self
            .programs
            .iter()
            .filter(|names| !names.iter().any(|name| build::is_installed(name)))
            .map(|names| names[0])
            .collect();
        if missing.is_empty() {
            let names: Vec<&str> = self.programs.iter().map(|names| names[0]).collect();
            return Finding::ok(ABOUT, format!("{}: {}", self.name, names.join(", ")));
        }
        let what = format!("{}: {} missing", self.name, missing.join(", "));
        let finding = Finding::note(ABOUT, what);
        self.install.iter().fold(finding, |finding, command| finding.mend(command))
    }
}

const ABOUT: &str = "tools";

const LANGUAGES: [Language; 3] = [
    Language { name: "js", programs: &[&["node"], &["npm"]], install: &[NODE] },
    Language { name: "python", programs: &[&["python3"]], install: &[PYTHON] },
    Language {
        name: "c",
        programs: &[
            &["make"],
            &["clang", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18"],
        ],
        install: &[MAKE, "apt install clang lld wasi-libc libclang-rt-dev-wasm32"],
    },
];
