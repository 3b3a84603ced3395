//! Which guests there are and where their sources stand. No building here.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A guest with a checked-in component beside its sources.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guest {
    /// The folder's name, the package's name and the component's stem.
    pub(crate) name: &'static str,
    /// The folder that holds the guest's folder, below `plugins/`.
    parent: &'static str,
    language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Language {
    Rust,
    C,
}

/// The example plugins.
pub(crate) const PLUGINS: [Guest; 6] = [
    rust("calc", ""),
    rust("greeter", ""),
    rust("text", ""),
    rust("shapes", ""),
    rust("till", ""),
    c("greeter-c"),
];

/// The fixtures that need a compiler; the others are WAT.
pub(crate) const FIXTURES: [Guest; 7] = [
    rust("echo", "fixtures"),
    rust("sleeper", "fixtures"),
    rust("panicking", "fixtures"),
    rust("chatty", "fixtures"),
    rust("nosy", "fixtures"),
    rust("reacher", "fixtures"),
    rust("greeter-v2", "fixtures"),
];

const fn rust(name: &'static str, parent: &'static str) -> Guest {
    Guest { name, parent, language: Language::Rust }
}

const fn c(name: &'static str) -> Guest {
    Guest { name, parent: "", language: Language::C }
}

impl Guest {
    /// Whether the nested cargo call builds it.
    pub(crate) fn is_rust(&self) -> bool {
        self.language == Language::Rust
    }

    /// The checked-in component.
    pub(crate) fn checked_in(&self) -> PathBuf {
        plugins_dir().join(self.relative())
    }

    /// The checked-in component below `plugins/`, with `/` on every system, as the record spells it.
    pub(crate) fn relative(&self) -> String {
        let slash = if self.parent.is_empty() { "" } else { "/" };
        format!("{}{slash}{name}/{name}.wasm", self.parent, name = self.name)
    }

    /// The component in a folder of built ones.
    pub(crate) fn built(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.wasm", self.name))
    }

    /// The file that cargo makes of it.
    pub(crate) fn artifact(&self) -> String {
        format!("{}.wasm", self.name.replace('-', "_"))
    }
}

/// Every guest with a checked-in component.
pub(crate) fn all() -> impl Iterator<Item = &'static Guest> {
    PLUGINS.iter().chain(&FIXTURES)
}

/// `plugins/` of the checkout that this crate was compiled in.
pub(crate) fn plugins_dir() -> PathBuf {
    root_dir().join("plugins")
}

/// The checkout that this crate was compiled in.
pub(crate) fn root_dir() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // tests/guests stands two folders below the root.
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The stems of the WAT fixtures, sorted.
pub(crate) fn wat_names() -> Result<Vec<String>> {
    let dir = plugins_dir().join("fixtures");
    let entries = fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let wats = paths.filter(|path| path.extension().is_some_and(|end| end == "wat"));
    let mut names: Vec<_> =
        wats.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// The files that decide what the components contain, sorted, as seen from the repository's root:
/// those of `plugins/`, and `wit/`, which guests are made against.
pub(crate) fn inputs() -> Result<Vec<PathBuf>> {
    let root = root_dir();
    let mut found = Vec::new();
    let mut folders = vec![plugins_dir(), root.join("wit")];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if path.is_dir() {
                folders.extend((!NOT_OURS.contains(&name)).then_some(path));
            } else if is_input(&path, name) {
                found.push(path.strip_prefix(&root).map(Into::into).unwrap_or(path));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_input(path: &Path, name: &str) -> bool {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    // components.lock is the record itself.
    INPUT_ENDS.contains(&end) && name != crate::record::FILE && name != "build-languages.sh"
}

/// Folders that no checked-in component comes from.
const NOT_OURS: [&str; 5] = ["target", "node_modules", ".venv", "greeter-js", "greeter-py"];

/// Rust, C and WIT sources, manifests, the lock file, the generated object file, build scripts.
const INPUT_ENDS: [&str; 8] = ["rs", "c", "h", "o", "wit", "toml", "lock", "sh"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_with_a_component_is_listed() {
        let mut folders = Vec::new();
        for parent in ["", "fixtures"] {
            let entries = fs::read_dir(plugins_dir().join(parent)).expect("plugins/ can be listed");
            for path in entries.map(|entry| entry.expect("an entry").path()) {
                let name =
                    path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
                let builds = path.join("src").is_dir() && !NOT_OURS.contains(&name.as_str());
                folders.extend((builds && name != "guest").then_some(name));
            }
        }
        folders.sort();
        let mut listed: Vec<_> = all().map(|guest| guest.name).collect();
        listed.sort_unstable();
        assert_eq!(folders, listed);
    }

    #[test]
    fn inputs_leave_out_components_and_the_record() {
        let inputs = inputs().expect("plugins/ can be listed");
        let has = |path: &str| inputs.iter().any(|input| input == Path::new(path));
        for input in ["calc/src/lib.rs", "Cargo.lock", "greeter-c/build.sh"] {
            assert!(has(&format!("plugins/{input}")), "{input}");
        }
        assert!(has("wit/services.wit") && !has("wit/README.md"));
        assert!(!has("plugins/calc/calc.wasm") && !has("plugins/components.lock"));
    }
}
