//! What the documents say, held against what is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::stage;

#[test]
fn the_readme_has_every_command() {
    let help = stage().run(&["--help"]).unwrap().ok().unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let readme = document("README.md");
    for name in commands.lines().filter_map(|line| line.split_whitespace().next()) {
        let told = readme.contains(&format!("`{name}`")) || readme.contains(&format!("`{name} "));
        assert!(told, "README.md lacks {name}");
    }
}

#[test]
fn the_readmes_library_example_is_the_one_that_the_doctest_runs() {
    let example = document("docs/example.rs");
    assert!(document("README.md").contains(&format!("```rust\n{example}```")));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut count = 0;
    for name in pages() {
        let folder = root().join(&name).parent().unwrap().to_owned();
        let text = outside_of_code(&document(&name));
        let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let named = text.lines().filter(|line| line.starts_with('['));
        let named = named.filter_map(|line| Some(line.split_once("]: ")?.1));
        for link in inline.chain(named).filter(|link| !link.contains("://")) {
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(&name) } else { folder.join(file) };
            assert!(target.exists(), "{name}: nothing at {link}");
            if !anchor.is_empty() {
                let page = fs::read_to_string(&target).unwrap();
                assert!(anchors(&page).contains(anchor), "{name}: {link} has no such heading");
            }
        }
    }
    assert!(count > 60, "only {count} links were found");
}

/// Every page that we wrote.
fn pages() -> Vec<String> {
    let mut pages = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap().flatten() {
            let name = entry.file_name().display().to_string();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if entry.path().is_dir() {
                let ours = !name.starts_with('.') && !name.starts_with("target");
                folders.extend((ours && name != "node_modules").then_some(path));
            } else if name.ends_with(".md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// A page without its blocks and pieces of code, where brackets mean something else.
fn outside_of_code(page: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            // A link's words may be code: only its target counts here.
            text.push_str(&line.split('`').step_by(2).collect::<String>());
            text.push('\n');
        }
    }
    text
}

/// What its headings are called in links: small letters, words joined by dashes, no punctuation.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut anchors = BTreeSet::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = !inside;
        }
        let Some(heading) = line.strip_prefix('#').filter(|_| !inside) else { continue };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        anchors.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    anchors
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
