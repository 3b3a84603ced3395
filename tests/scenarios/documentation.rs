//! What the documents say, held against what is there.

use std::fs;
use std::path::Path;

use crate::stage;

#[test]
fn the_readme_has_the_exit_codes_of_the_help() {
    let help = stage().run(&["--help"]).unwrap().ok().unwrap();
    let codes = help.split("Exit codes:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let readme = document("README.md");
    for line in codes.lines() {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        let row = format!("| {code} | {meaning} |");
        assert!(readme.contains(&row), "README.md lacks {row}");
    }
}

#[test]
fn the_readme_has_every_command() {
    let help = stage().run(&["--help"]).unwrap().ok().unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let readme = document("README.md");
    for name in commands.lines().filter_map(|line| line.split_whitespace().next()) {
        assert!(readme.contains(&format!("| `{name}")), "README.md lacks {name}");
    }
}

#[test]
fn the_readmes_library_example_is_the_one_that_the_doctest_runs() {
    let example = document("docs/example.rs");
    assert!(document("README.md").contains(&format!("```rust\n{example}```")));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let pages = fs::read_dir(root().join("docs")).unwrap();
    let pages = pages.map(|page| format!("docs/{}", page.unwrap().file_name().display()));
    let top = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map(String::from);
    for name in top.into_iter().chain(pages.filter(|page| page.ends_with(".md"))) {
        let folder = root().join(&name).parent().unwrap().to_owned();
        for link in document(&name).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            let inside = !file.contains("://") && !file.is_empty();
            assert!(!inside || folder.join(file).exists(), "{name}: nothing at {link}");
        }
    }
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
