//! The plugin folder: whether a host can read it, and who may change it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::finding::Finding;

/// Looks at the folder that was named, if any was.
pub(super) fn look(folder: Option<PathBuf>) -> Vec<Finding> {
    folder.map(|folder| look_at(&folder)).unwrap_or_default()
}

fn look_at(folder: &Path) -> Vec<Finding> {
    let shown = folder.display();
    let read = fs::metadata(folder).and_then(|meta| Ok((meta, fs::read_dir(folder)?)));
    let (meta, entries) = match read {
        Ok(read) => read,
        Err(error) => {
            let finding = Finding::fail(ABOUT, format!("{shown} cannot be read: {error}"));
            return vec![match error.kind() {
                std::io::ErrorKind::NotFound => finding.mend(format!("mkdir -p {shown}")),
                _ => finding.mend(format!("ls -ld {shown}")),
            }];
        }
    };
    let mut findings = Vec::new();
    let mut count = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden || path.extension().is_none_or(|end| end != "wasm") {
            continue;
        }
        count += 1;
        findings.extend(file(&path, meta.uid()));
    }
    if meta.mode() & 0o002 != 0 {
        let what = format!("everybody may write to {shown}: a stranger can take plugins away");
        findings.push(Finding::warn(ABOUT, what).mend(format!("chmod o-w {shown}")));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(ABOUT, format!("{shown} has {count} components")));
    }
    findings
}

/// What a host would refuse for the file's sake, whatever is in it.
fn file(path: &Path, folder: u32) -> Option<Finding> {
    let shown = path.display();
    let meta = fs::symlink_metadata(path).ok()?;
    if meta.is_symlink() {
        let what = format!("{shown} is a symbolic link, which no host follows");
        let copy = format!("cp --remove-destination \"$(readlink -f {shown})\" {shown}");
        return Some(Finding::fail(ABOUT, what).mend(copy));
    }
    let user = rustix::process::geteuid().as_raw();
    if ![user, 0, folder].contains(&meta.uid()) {
        let what =
            format!("{shown} belongs to user {}; a host of this user refuses it", meta.uid());
        return Some(Finding::fail(ABOUT, what).mend(format!("sudo chown {user} {shown}")));
    }
    match fs::File::open(path) {
        Ok(_) => None,
        Err(error) => {
            let finding = Finding::fail(ABOUT, format!("{shown} cannot be read: {error}"));
            Some(finding.mend(format!("chmod u+r {shown}")))
        }
    }
}

const ABOUT: &str = "plugins";

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_folder_that_everybody_may_write_to_and_a_link_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        fs::write(place.join("good.wasm"), "").unwrap();
        fs::write(place.join(".draft.wasm"), "").unwrap();
        assert_eq!(look_at(place)[0].what, format!("{} has 1 components", place.display()));
        symlink(place.join("good.wasm"), place.join("link.wasm")).unwrap();
        fs::set_permissions(place, fs::Permissions::from_mode(0o777)).unwrap();
        let found = look_at(place);
        let levels: Vec<Level> = found.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Fail, Level::Warn], "{found:?}");
        assert_eq!(found[1].mend, [format!("chmod o-w {}", place.display())]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none");
        let found = look_at(&missing);
        assert_eq!(found[0].mend, [format!("mkdir -p {}", missing.display())]);
    }
}
