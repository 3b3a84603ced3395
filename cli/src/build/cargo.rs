//! Rust: cargo builds, and says in its messages where the component is.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::tool::Tool;
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::project::Project;

/// Builds, and gives the path of what cargo made.
pub(super) async fn build(project: &Project) -> Outcome<PathBuf> {
    check_target(project.dir()).await?;
    let mut child = Command::new("cargo")
        .args(["build", "--release", "--target", TARGET, "--message-format"])
        .arg("json-render-diagnostics")
        .current_dir(project.dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| CARGO.not_started(&error))?;
    let mut made = None;
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            made = component(&line, project.dir()).or(made);
        }
    }
    let status = child.wait().await.map_err(|error| CARGO.not_started(&error))?;
    CARGO.check(status)?;
    made.ok_or_else(|| {
        let file = project.dir().join("Cargo.toml");
        let what = format!("cargo made no component of {}", file.display());
        Problem::new(Exit::Failed, what)
            .next("let it make one: [lib] with crate-type = [\"cdylib\"]")
    })
}

/// The component that a message of cargo's tells of, if it is this package's.
fn component(message: &str, project: &Path) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        #[serde(default)]
        manifest_path: PathBuf,
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    let message: Message = serde_json::from_str(message).ok()?;
    let ours = message.reason == "compiler-artifact" && same(&message.manifest_path, project);
    let mut files = message.filenames.into_iter().filter(|_| ours);
    files.find(|file| file.extension().is_some_and(|end| end == "wasm"))
}

/// Cargo tells paths without links in them.
fn same(manifest: &Path, project: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    manifest.parent().is_some_and(|folder| real(folder).is_some_and(|f| Some(f) == real(project)))
}

/// Cargo would say that it cannot find crate `core`, which helps only those who know.
pub(super) async fn check_target(project: &Path) -> Outcome {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(project)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .await
        .map_err(|error| CARGO.not_started(&error))?;
    let folder = String::from_utf8_lossy(&asked.stdout);
    if asked.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    Err(Tool { name: "Rust's target wasm32-wasip2", install: "rustup target add wasm32-wasip2" }
        .missing())
}

const CARGO: Tool<'_> = Tool {
    name: "cargo",
    install: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --target wasm32-wasip2",
};

/// The target whose linker makes components.
const TARGET: &str = "wasm32-wasip2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_components_of_this_package_count() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        let message = |manifest: &Path, file: &str| {
            serde_json::json!({ "reason": "compiler-artifact", "manifest_path": manifest,
                "filenames": [file], "fresh": true })
            .to_string()
        };
        let found = |text: &str| component(text, folder.path());
        assert_eq!(found(&message(&manifest, "/x/plugin.wasm")), Some("/x/plugin.wasm".into()));
        assert_eq!(found(&message(&manifest, "/x/libplugin.rlib")), None);
        assert_eq!(found(&message(Path::new("/other/Cargo.toml"), "/x/plugin.wasm")), None);
        assert_eq!(found("not JSON"), None);
    }
}
